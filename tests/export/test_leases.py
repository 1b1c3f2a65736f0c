"""Runs that overlap on one GC row, and a person's hand on it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from backup_manager.database.lease_document import (
    COMMENT_LIMIT,
    Document,
    Original,
    Row,
    parse,
    parse_gc_life_time,
    renew,
)
from tests.command import Export, Running
from tests.database.command_proxy import CommandProxy
from tests.database.rows import forget_the_dead
from tests.export.conftest import Make
from tests.export.state import assert_nothing
from tests.s3_proxy import S3Proxy, operation
from tests.servers import GC_COMMENT, GC_VALUE, Ceph, Database


def test_overlapping_runs_put_the_original_back(
    double: Make, shop: Database, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    """Defect 3 of the operator's manager: B takes A's 72h for the original."""
    gates = [tmp_path / name for name in ("a", "b")]
    volumes = [tmp_path / f"volume-{name}" for name in ("a", "b")]
    for path in volumes:
        path.mkdir()
    first = double(_gate(gates[0]), volume=volumes[0], name="a", gc_life_time="24h")
    second = double(_gate(gates[1]), volume=volumes[1], name="b", gc_life_time="48h")
    with first.start() as one:
        one.wait_for("GC is held off")
        assert "24h0m0s" == shop.gc_row()[0]
        with second.start() as two:
            two.wait_for("GC is held off")
            value, comment = shop.gc_row()
            assert "48h0m0s" == value
            assert 2 == len(json.loads(comment)["leases"])
            gates[0].touch()
            one.result(60).expect(0)
            # The first has left; the second still needs its own.
            assert "48h0m0s" == shop.gc_row()[0]
            gates[1].touch()
            two.result(60).expect(0)
    assert (GC_VALUE, GC_COMMENT) == shop.gc_row()


def test_a_killed_runs_lease_goes_with_the_next_run(
    double: Make, shop: Database, tmp_path: Path
) -> None:
    with double(_gate(tmp_path / "never")).start() as running:
        running.wait_for("dumping")
        running.kill()
    assert "72h0m0s" == shop.gc_row()[0]

    double().run().expect(0)

    assert (GC_VALUE, GC_COMMENT) == shop.gc_row()


def test_a_life_time_that_is_long_enough_is_not_raised(
    double: Make, shop: Database, tmp_path: Path
) -> None:
    update = "UPDATE mysql.tidb SET VARIABLE_VALUE = %s WHERE VARIABLE_NAME = 'tikv_gc_life_time'"
    shop.execute(update, ("100h",))
    gate = tmp_path / "gate"
    try:
        with double(_gate(gate)).start() as running:
            running.wait_for("dumping")
            value, comment = shop.gc_row()
            assert "100h" == value
            assert 1 == len(json.loads(comment)["leases"])  # others can see it all the same
            gate.touch()
            running.result(60).expect(0)
        assert ("100h", GC_COMMENT) == shop.gc_row()
    finally:
        shop.execute(update, (GC_VALUE,))


def test_the_lease_ends_as_soon_as_dumpling_does(
    double: Make, shop: Database, tmp_path: Path, proxy: S3Proxy
) -> None:
    hold = proxy.hold(operation("PutObject", containing=".0"))
    with double(endpoint=proxy.url).start() as running:
        running.wait_for("sending the rest")
        assert (GC_VALUE, GC_COMMENT) == shop.gc_row()
        hold.released.set()
        running.result(60).expect(0)


class Cast:
    """Runs by their letters, each with a volume, a proxy to the database and a gate of its own."""

    def __init__(self, double: Make, shop: Database, tmp_path: Path, stack: ExitStack) -> None:
        self._double = double
        self._shop = shop
        self._tmp_path = tmp_path
        self._stack = stack
        self._proxies: dict[str, CommandProxy] = {}
        self._running: dict[str, Running] = {}

    def _gate(self, run: str) -> Path:
        return self._tmp_path / f"gate-{run}"

    def _reached(self, run: str) -> Path:
        return self._tmp_path / f"reached-{run}"

    def _export(self, run: str) -> Export:
        volume = self._tmp_path / f"volume-{run}"
        volume.mkdir(exist_ok=True)
        if run not in self._proxies:
            proxy = CommandProxy(self._shop.host, self._shop.port)
            self._proxies[run] = self._stack.enter_context(proxy)
        # Where the whole dump is there, and Dumpling has not ended yet.
        gate = {"at": "exit", "path": str(self._gate(run)), "reached": str(self._reached(run))}
        return self._double(
            {"gate": gate},
            port=self._proxies[run].port,
            volume=volume,
            name=run.lower(),
            gc_life_time=_NEEDS[run],
            connect_timeout="1s",
        )

    def begin(self, run: str) -> None:
        for file in (self._gate(run), self._reached(run)):
            file.unlink(missing_ok=True)
        self._running[run] = self._stack.enter_context(self._export(run).start())
        self._running[run].wait_until(self._reached(run).exists)

    def end(self, run: str) -> None:
        self._gate(run).touch()
        self._running[run].result(60).expect(0)

    def run(self, run: str) -> None:
        self.begin(run)
        self.end(run)

    def refuse(self, run: str) -> None:
        before = self._shop.gc_row()
        self._export(run).run().expect(4)
        assert before == self._shop.gc_row()

    def terminate(self, run: str) -> None:
        self._running[run].terminate()
        self._running[run].result().expect(143)

    def kill(self, run: str) -> None:
        self._running[run].kill()

    def lose(self, run: str) -> None:
        """It ends well, but for the database, which it cannot reach any more."""
        self._proxies[run].go()
        self._gate(run).touch()
        result = self._running[run].result(60).expect(0)
        assert any("could not be given back" in each for each in result.warnings)
        self._proxies[run].back()

    def value(self, value: str) -> None:
        """A person's UPDATE of the value alone."""
        self._shop.execute(f"{_SET} VARIABLE_VALUE = %s {_WHERE}", (value,))

    def set_global(self, value: str) -> None:
        """What SET GLOBAL does: the comment is its own again."""
        self._shop.execute(f"{_SET} VARIABLE_VALUE = %s, COMMENT = %s {_WHERE}", (value, "by hand"))

    def wipe(self, comment: str) -> None:
        self._shop.execute(f"{_SET} COMMENT = %s {_WHERE}", (comment,))

    def age(self, _: str) -> None:
        """A quarter of an hour without a heartbeat."""
        forget_the_dead(self._shop)

    def is_(self, value: str) -> None:
        assert value == self._shop.gc_row()[0]


_NEEDS = {"A": "24h", "B": "48h", "C": "36h"}
_SET = "UPDATE mysql.tidb SET"
_WHERE = "WHERE VARIABLE_NAME = 'tikv_gc_life_time'"


@pytest.fixture
def cast(double: Make, shop: Database, tmp_path: Path) -> Iterator[Cast]:
    with ExitStack() as stack:
        yield Cast(double, shop, tmp_path, stack)


@pytest.mark.parametrize(
    ("story", "left"),
    [
        (
            "begin A, begin B, terminate A, is_ 48h0m0s, end B",
            (GC_VALUE, GC_COMMENT),
        ),
        (
            # The journal on A's volume names the dead one: nobody has to wait for its end.
            "begin A, begin B, kill A, is_ 48h0m0s, run A, end B",
            (GC_VALUE, GC_COMMENT),
        ),
        (
            # Nobody knows that A is dead until its time is up; then the next run clears it away.
            "begin A, begin B, kill A, end B, is_ 48h0m0s, age -, run C",
            (GC_VALUE, GC_COMMENT),
        ),
        (
            "begin A, begin B, lose B, begin C, lose A, age -, end C",
            (GC_VALUE, GC_COMMENT),
        ),
        (
            # A's lease has run out although it lives: B takes it for dead.
            "begin A, age -, begin B, end B, is_ 10m0s, end A",
            (GC_VALUE, GC_COMMENT),
        ),
        (
            "begin A, begin B, set_global 20m, end A, begin C, end B, end C",
            ("20m", "by hand"),
        ),
        (
            "begin A, begin B, value 30m, terminate A, kill B, run B",
            ("30m", GC_COMMENT),
        ),
        (
            "begin A, begin B, value 100h, end B, is_ 100h, end A",
            ("100h", GC_COMMENT),
        ),
        (
            "begin A, begin B, value 10min, end A, refuse C, end B",
            ("10min", GC_COMMENT),
        ),
        (
            # Over what the leases have set, a comment is all that was changed.
            "begin A, begin B, wipe words, end B, is_ 48h0m0s, end A",
            (GC_VALUE, GC_COMMENT),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_happens_the_row_is_right_in_the_end(
    cast: Cast, shop: Database, story: str, left: tuple[str, str]
) -> None:
    try:
        for step in story.split(", "):
            act, what = step.split()
            getattr(cast, act)(what)
        assert left == shop.gc_row()
    finally:
        _put(shop, GC_VALUE, GC_COMMENT)


def _put(shop: Database, value: str, comment: str) -> None:
    shop.execute(f"{_SET} VARIABLE_VALUE = %s, COMMENT = %s {_WHERE}", (value, comment))


def test_there_is_no_room_for_another_lease(
    double: Make, shop: Database, ceph: Ceph, bucket: str, volume: Path
) -> None:
    ((now,),) = shop.execute("SELECT UNIX_TIMESTAMP()")
    original = Original(GC_VALUE, GC_COMMENT, "72h0m0s")
    leases = {f"{number:08x}": now + 800 for number in range(39)}
    full = Document(original, leases).encode()
    assert COMMENT_LIMIT - 22 < len(full) <= COMMENT_LIMIT
    _put(shop, "72h0m0s", full)

    result = double().run().expect(4, "SetTikvGCLifeTimeFailed")

    assert "40 leases" in result.message
    assert "wait until other backups have ended" in result.message
    assert ("72h0m0s", full) == shop.gc_row()
    assert_nothing(ceph, bucket)
    # They end some time, and then there is room.
    forget_the_dead(shop)
    double().run().expect(0)


@pytest.mark.parametrize("more", [0, 1])
def test_a_long_comment_of_emoji(double: Make, shop: Database, tmp_path: Path, more: int) -> None:
    """1,024 characters are what the column holds, whatever their bytes."""
    need = parse_gc_life_time("72h")
    bare = renew(Row(GC_VALUE, ""), "aaaaaaaa", need=need, now=1_800_000_000).row.comment or ""
    comment = "\U0001f511" * (COMMENT_LIMIT - len(bare) - 1) + "é" * more + "漢"
    _put(shop, GC_VALUE, comment)
    gate = tmp_path / "gate"
    try:
        with double(_gate(gate)).start() as running:
            if more:
                result = running.result(60).expect(4)
                assert f"{COMMENT_LIMIT + 1} of {COMMENT_LIMIT} characters" in result.message
            else:
                running.wait_for("dumping")
                held = shop.gc_row()[1]
                assert COMMENT_LIMIT == len(held)
                assert parse(held) is not None
                gate.touch()
                running.result(60).expect(0)
        assert (GC_VALUE, comment) == shop.gc_row()
    finally:
        _put(shop, GC_VALUE, GC_COMMENT)


def _gate(path: Path) -> dict[str, object]:
    return {"gate": {"after_files": 1, "path": str(path)}}
