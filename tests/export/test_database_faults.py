"""The database goes away, comes back, refuses, is slow, or is changed behind the run's back."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command import CANARY_PASSWORD, Result
from tests.database.command_proxy import Chooser, Command, CommandProxy
from tests.database.rows import forget_the_dead
from tests.export.conftest import Make
from tests.export.state import assert_nothing, assert_only, left_on, records
from tests.servers import GC_COMMENT, GC_NAME, GC_VALUE, Ceph, Database

# The answers that a database which is away may lead to: never a defect.
DATABASE_EXITS = {3, 4, 5}
# What every backup of these says, and then the other schemas of the server.
LEFT_OUT = "not in this backup, by the filter: "


@pytest.fixture
def between(shop: Database) -> Iterator[CommandProxy]:
    """A proxy between the run and the database; Dumpling goes through it too."""
    with CommandProxy(shop.host, shop.port) as made:
        yield made


def phase(number: int) -> Callable[[list[Command]], list[Command]]:
    """Those of a run's commands before Dumpling's (0), Dumpling's (1), and after them (2)."""

    def choose(commands: list[Command]) -> list[Command]:
        theirs = [each.number for each in commands if not each.ours]
        first, last = min(theirs), max(theirs)
        return [
            [each for each in commands if each.number < first],
            [each for each in commands if first <= each.number <= last],
            [each for each in commands if each.number > last],
        ][number]

    return choose


class _Whole:
    """The commands of one whole run, so that a test can say where in it a fault is to strike."""

    commands: tuple[Command, ...] = ()


@pytest.fixture
def whole(double: Make, ceph: Ceph, unique: str, between: CommandProxy) -> list[Command]:
    """What a run asks of the database from its begin to its end."""
    if not _Whole.commands:
        ceph.create_bucket(f"{unique}-whole")
        double(port=between.port, bucket=f"{unique}-whole").run().expect(0)
        _Whole.commands = tuple(between.commands)
        between.commands.clear()
    return list(_Whole.commands)


# Gone for good ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "share"),
    [
        # The last ones: the lease is written, the snapshot is taken.
        *((0, share) for share in (0, 0.3, 0.6, 0.95, 1)),
        *((1, share) for share in (0, 0.6)),
        *((2, share) for share in (0, 0.5, 1)),
    ],
)
def test_gone_from_some_command_on(
    double: Make,
    shop: Database,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    between: CommandProxy,
    whole: list[Command],
    part: int,
    share: float,
) -> None:
    among = phase(part)(whole)
    # Dumpling's commands come in any order; how many there are before a phase is always the same.
    number = among[round(share * (len(among) - 1))].number
    between.gone_from = lambda command: command.number >= number
    export = double(port=between.port, connect_timeout="1s")

    result = export.run()

    assert between.gone.is_set()
    assert "Traceback" not in result.stderr
    if part < 2:
        assert result.exit_code in DATABASE_EXITS, result.stderr
        assert (result.exit_code == 5) == (part == 1)
        # Dumpling names it in its own words.
        assert part == 1 or f"127.0.0.1:{between.port}" in result.message
        assert_nothing(ceph, bucket)
    else:
        # All was read: what is missing is but to tidy up, and is said.
        result.expect(0)
        assert "GC life time could not be given back" in " ".join(result.warnings) or share > 0

    between.back()
    if part == 2:
        # Published, and its journal with it gone: its lease ends by the clock.
        forget_the_dead(shop)
    again = export.run().expect(0)

    kept = [result.directory, again.directory] if part == 2 else [again.directory]
    assert sorted(kept) == sorted(key.rpartition("/")[0] for key in records(ceph, bucket))
    assert [] == left_on(volume)
    assert (GC_VALUE, GC_COMMENT) == shop.gc_row()


# And back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("forward", [False, True], ids=["before it is done", "after it was done"])
def test_every_command_of_ours_is_cut_once(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, between: CommandProxy, forward: bool
) -> None:
    """Each, the first time that it comes; and then one new connection is refused.

    But not the very first connection's: that one is waited for in steps of five seconds.
    """
    seen: set[str] = set()

    def first_time(command: Command) -> bool:
        # The ends of leases are other ones each time.
        text = command.text.partition("COMMENT = ")[0]
        if not command.ours or text in seen or len(between.commands) <= 3:
            return False
        seen.add(text)
        return True

    between.cut, between.forward, between.refusals = first_time, forward, 1

    # So many faults in a row take longer than a patience of ten seconds.
    result = double(port=between.port, connect_timeout="60s").run().expect(0)

    assert 10 < len(seen)
    assert len(seen) == between.refused
    # Not even what a backup could be without is missing.
    assert _unusual(result) == [] != result.warnings
    assert_only(ceph, bucket, result.directory, tmp_path)


def test_one_cut_of_dumplings_is_its_own_affair(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, between: CommandProxy
) -> None:
    between.cut = _first(
        lambda command: not command.ours and "FROM `shop`.`orders`" in command.text
    )
    between.refusals = 1

    result = double(port=between.port).run()

    assert result.exit_code in {0, 5}
    if result.exit_code == 0:
        assert_only(ceph, bucket, result.directory, tmp_path)
    else:
        assert_nothing(ceph, bucket)


def _first(choose: Chooser) -> Chooser:
    """Pick the first of what another one picks."""
    picked: list[Command] = []

    def once(command: Command) -> bool:
        if not picked and choose(command):
            picked.append(command)
            return True
        return False

    return once


@pytest.mark.parametrize("step", ["lease", "giving back"])
def test_a_connection_that_the_server_kills(
    double: Make, shop: Database, between: CommandProxy, step: str
) -> None:
    value = {"lease": "72h0m0s", "giving back": GC_VALUE}[step]
    killed: list[int] = []

    def kill(command: Command) -> None:
        if not killed and command.ours and f"SET VARIABLE_VALUE = '{value}'" in command.text:
            ((number,),) = shop.execute(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE HOST LIKE %s",
                (f"%:{command.port}",),
            )
            killed.append(int(number))
            shop.execute(f"KILL {int(number)}")

    between.at = kill

    result = double(port=between.port).run().expect(0)

    assert 1 == len(killed)
    assert [] == _unusual(result)


def test_seconds_of_latency(double: Make, between: CommandProxy) -> None:
    slow = ["SET VARIABLE_VALUE = '72h", "SHOW MASTER STATUS", "FROM `shop`.`orders`"]

    def wait(command: Command) -> None:
        if any(text in command.text for text in slow):
            time.sleep(1)

    between.at = wait

    result = double(port=between.port).run().expect(0)

    assert [] == _unusual(result)


def _unusual(result: Result) -> list[str]:
    return [each for each in result.warnings if not each.startswith(LEFT_OUT)]


# What the server refuses ----------------------------------------------------------------------


@contextmanager
def read_only(server: Database) -> Iterator[None]:
    server.execute("SET GLOBAL read_only = 1")
    try:
        yield
    finally:
        server.execute("SET GLOBAL read_only = 0")


def test_a_server_that_is_read_only(
    double: Make, shop: Database, ceph: Ceph, bucket: str, volume: Path
) -> None:
    with read_only(shop):
        result = double().run().expect(4, "SetTikvGCLifeTimeFailed")

    assert "read-only" in result.message
    assert "--no-gc" in result.message
    assert_nothing(ceph, bucket)
    assert [] == left_on(volume)


def test_a_server_that_becomes_read_only(
    double: Make, shop: Database, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with double({"gate": {"path": str(gate)}}, connect_timeout="2s").start() as running:
        running.wait_for("dumping")
        with read_only(shop):
            gate.touch()
            result = running.result(60).expect(0)

    (warning,) = _unusual(result)
    assert "read-only" in warning
    assert f"SET GLOBAL tidb_gc_life_time = '{GC_VALUE}'" in warning
    assert_only(ceph, bucket, result.directory, tmp_path)
    forget_the_dead(shop)
    double().run().expect(0)


@contextmanager
def without(server: Database, what: str) -> Iterator[None]:
    """The server without the row, or without the table."""
    if what == "row":
        server.execute("DELETE FROM mysql.tidb WHERE VARIABLE_NAME = %s", (GC_NAME,))
    else:
        server.execute("RENAME TABLE mysql.tidb TO mysql.tidb_away")
    try:
        yield
    finally:
        if what == "row":
            row = (GC_NAME, GC_VALUE, GC_COMMENT)
            server.execute("INSERT INTO mysql.tidb VALUES (%s, %s, %s)", row)
        else:
            server.execute("RENAME TABLE mysql.tidb_away TO mysql.tidb")


@pytest.mark.parametrize("what", ["row", "table"])
def test_a_server_without_it(
    double: Make, shop: Database, ceph: Ceph, bucket: str, what: str
) -> None:
    with without(shop, what):
        result = double().run().expect(4, "GetTikvGCLifeTimeFailed")
        assert_nothing(ceph, bucket)
        double().but(no_gc=True).run().expect(0)

    assert "SET GLOBAL tidb_gc_life_time = '10m0s'" in result.message
    assert "--no-gc" in result.message


def test_the_row_goes_in_mid_run(
    double: Make, shop: Database, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with double({"gate": {"path": str(gate)}}).start() as running:
        running.wait_for("dumping")
        with without(shop, "row"):
            gate.touch()
            result = running.result(60).expect(0)

    # Nothing is promised that cannot come.
    (warning,) = _unusual(result)
    assert "nothing to put back" in warning
    assert "the next backup" not in warning
    assert ": )" not in warning
    assert f"SET GLOBAL tidb_gc_life_time = '{GC_VALUE}'" in warning
    assert_only(ceph, bucket, result.directory, tmp_path)


# Passwords ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [" -p\"a'ss\\w`o$rd;%s%%{}\n#@:/?&=+,é漢\U0001f511 ", "-" + "p/w " * 49 + "\t"],
    ids=["every kind of quoting", "two hundred characters"],
)
def test_a_password_that_needs_quoting(
    double: Make, shop: Database, ceph: Ceph, bucket: str, tmp_path: Path, password: str
) -> None:
    assert password != CANARY_PASSWORD
    shop.create_account("quoting", password)
    try:
        export = double(user="quoting", password=password, password_by="environment")
        result = export.run("--log-level=debug").expect(0)
    finally:
        shop.execute("DROP USER 'quoting'@'%'")

    assert_only(ceph, bucket, result.directory, tmp_path)
    result.assert_clean_bucket(ceph.client(), bucket)
