"""Dumpling's bad days that need more than a misdeed: what it does while something else goes on."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backup_manager.dumpling.lines import LINE_BYTES
from tests.command import CANARY_PASSWORD, Running
from tests.disks import tmpfs
from tests.export.conftest import Make
from tests.export.state import assert_nothing, assert_only, keys, left_on, records
from tests.export.test_hostile import fake
from tests.s3_proxy import S3Proxy, operation
from tests.servers import GC_COMMENT, GC_VALUE, Ceph, Database
from tests.servers.process import program
from tests.torture.burst import state

DATA = operation("PutObject", containing=".0")
BIG: dict[str, Any] = {
    "replay": {"files": 2, "bytes": 1000, "big": {"files": 1, "bytes": 34_000_000}}
}


def _gate(directory: Path, name: str, **where: Any) -> tuple[dict[str, Any], Path, Path]:
    """A place to stand at: its control, the file that tells of it, the one that lets it go on."""
    reached, go_on = directory / f"{name}-reached", directory / f"{name}-go-on"
    return {**where, "reached": str(reached), "path": str(go_on)}, reached, go_on


# Files that are written again --------------------------------------------------------------


@pytest.mark.parametrize("length", ["same", "shorter", "longer"])
def test_a_big_file_that_is_written_again_twice_after_it_was_sent(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, length: str
) -> None:
    retry, reached, go_on = _gate(tmp_path, "retry", file="replay.big.*", length=length, times=2)
    export = double(BIG, {"misdeed": "retry-chunk", **retry}, table_filter=[])
    with export.start() as running:
        running.wait_until(reached.exists)
        running.wait_until(lambda: any("replay.big.0" in key for key in keys(ceph, bucket)))
        go_on.touch()
        result = running.result(60).expect(0)

    fetched = assert_only(ceph, bucket, result.directory, tmp_path)
    (big,) = fetched.files.glob("replay.big.0*")
    assert 34_000_000 == big.stat().st_size
    # What the failed attempt had in place of the rows.
    assert b"an attempt that failed" not in big.read_bytes()


def test_a_big_file_that_is_written_again_while_its_parts_are_sent(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, proxy: S3Proxy
) -> None:
    hold = proxy.hold(operation("UploadPart", containing="partNumber=2"), times=1)
    retry, reached, go_on = _gate(tmp_path, "retry", file="replay.big.*", length="same")
    last, at_last, end = _gate(tmp_path, "last", at="metadata")
    controls = [{"misdeed": "retry-chunk", **retry}, {"gate": last}]
    export = double(BIG, *controls, table_filter=[], endpoint=proxy.url)
    with export.start() as running:
        running.wait_until(reached.exists)
        running.wait_until(hold.reached.is_set)
        go_on.touch()
        running.wait_until(at_last.exists)
        hold.released.set()
        end.touch()
        result = running.result(60).expect(0)

    fetched = assert_only(ceph, bucket, result.directory, tmp_path)
    (big,) = fetched.files.glob("replay.big.0*")
    assert b"an attempt that failed" not in big.read_bytes()


@pytest.mark.parametrize("misdeed", ["rename-file", "delete-file"])
def test_a_file_that_it_takes_away_again(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, misdeed: str
) -> None:
    # All data files: which of them is the first to be closed is not known.
    act, reached, go_on = _gate(tmp_path, "act", file="shop.orders.0*", after_files=2)
    with double({"misdeed": misdeed, **act}).start() as running:
        running.wait_until(reached.exists)
        running.wait_until(lambda: any("shop.orders.0" in key for key in keys(ceph, bucket)))
        go_on.touch()
        result = running.result(60).expect(6, "DumpInvalid")

    assert "shop.orders.000000000.sql of the dump is gone" in result.message
    assert_nothing(ceph, bucket)


# What tells of finished files --------------------------------------------------------------


def test_inotifys_queue_overflows_and_nothing_is_missed(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    room = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if room > 1_000_000:
        pytest.skip(f"the queue takes {room} events here")
    first, reached, go_on = _gate(tmp_path, "first", after_files=1)
    last, at_last, end = _gate(tmp_path, "last", at="metadata")
    count = 150
    # In turn, since equal events in a row are merged.
    burst = {"misdeed": "burst", "after_files": 2, "count": count, "bytes": 20}
    burst["rounds"] = room // count + 2
    with double({"gate": [first, last]}, burst).start() as running:
        running.wait_until(reached.exists)
        running.signal(signal.SIGSTOP)
        running.wait_until(lambda: state(running) == "T")
        go_on.touch()
        running.wait_until(at_last.exists)
        running.signal(signal.SIGCONT)
        end.touch()
        result = running.result(60).expect(0)

    assert 1 <= len(result.events("inotify's queue overflowed"))
    fetched = assert_only(ceph, bucket, result.directory, tmp_path)
    tiny = [path.read_bytes() for path in fetched.files.glob("burst.t.*")]
    assert [b"-" * 19 + b"\n"] * count == tiny


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a user namespace with rights of its own")
def test_without_inotify(double: Make, ceph: Ceph, bucket: str, tmp_path: Path) -> None:
    retry, reached, go_on = _gate(tmp_path, "retry", file="shop.orders.*", length="same")
    export = double({"misdeed": "retry-chunk", **retry}, {"misdeed": "subdirectories"})
    # Nobody in this namespace may have an inotify instance: the error is EMFILE.
    none = 'echo 0 >/proc/sys/user/max_inotify_instances || exit 77; exec "$@"'
    wrapped = [program("unshare"), "-Ur", "sh", "-c", none, "sh"]
    wrapped += [program("setpriv"), "--pdeathsig", "KILL", "--", *export.argv()]
    with Running(wrapped, export.environment(), export.secrets) as running:

        def sent_already() -> bool:
            return reached.exists() and any("shop.orders.0" in key for key in keys(ceph, bucket))

        running.wait_until(sent_already)
        go_on.touch()
        result = running.result(60).expect(0)

    assert 1 == len(result.events("inotify is not to be had here"))
    fetched = assert_only(ceph, bucket, result.directory, tmp_path)
    (orders,) = fetched.files.glob("shop.orders.0*.sql")
    assert 1000 == orders.read_bytes().count(b"order ")
    assert 3 == len(list(fetched.files.glob("sub*/**/*.sql")))


# Names and kinds of files ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["backup.json", "sub/backup.json", "manifest.jsonl.gz", "sub/manifest.jsonl.gz"]
)
def test_a_file_with_the_name_of_the_record_is_never_sent(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, proxy: S3Proxy, name: str
) -> None:
    """In a subdirectory too: who looks for records by their name finds a backup there."""
    last, at_last, end = _gate(tmp_path, "last", at="metadata")
    export = double({"misdeed": "odd-names", "names": [name]}, {"gate": last}, endpoint=proxy.url)
    with export.start() as running:
        # Until it has ended, or files that were closed after it are there: it would be, too.
        while not running.ended and not (
            at_last.exists() and any(".items." in key for key in keys(ceph, bucket))
        ):
            pass
        end.touch()
        result = running.result(60).expect(6, "DumpInvalid")

    assert name in result.message
    targets = [request.target for request in proxy.requests if request.method == "PUT"]
    names = [target.partition("?")[0].rpartition("/")[2] for target in targets]
    assert name.rpartition("/")[2] not in names
    assert_nothing(ceph, bucket)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("fifo", "shop.special.000000000.sql"),
        ("symlink", "shop.special.000000000.sql"),
        ("symlink", "sub/shop.special.000000000.sql"),
        ("device", "sub/shop.special.000000000.sql"),
    ],
)
def test_what_is_no_file(double: Make, ceph: Ceph, bucket: str, kind: str, name: str) -> None:
    result = double({"misdeed": "special-file", "kind": kind, "name": name}).run()

    result.expect(6, "DumpInvalid")
    assert f"{name} in the dump is no regular file" in result.message
    assert_nothing(ceph, bucket)


# Its process -------------------------------------------------------------------------------


def test_one_that_hangs_before_it_has_begun(double: Make, ceph: Ceph, bucket: str) -> None:
    result = double({"misdeed": "hang-at-start"}, stall_timeout="2s").run().expect(5, "Stalled")

    assert "Dumpling" in result.message
    assert_nothing(ceph, bucket)


def test_one_that_says_nothing_and_closes_its_streams(
    make: Make, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    export = make(dumpling=fake(tmp_path, "os.close(1); os.close(2)"), table_filter=["shop.*"])

    result = export.run().expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)


def test_an_exit_code_of_its_own(double: Make, ceph: Ceph, bucket: str) -> None:
    misdeed = {"misdeed": "exit-1-at-end", "code": 2, "words": "strange"}

    result = double(misdeed).run().expect(5, "DumpTidbClusterFailed")

    assert "exit code 2" in result.message
    assert "strange" in result.message
    assert_nothing(ceph, bucket)


def test_what_it_left_behind_writes_when_it_has_ended(
    make: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    go_on, done = tmp_path / "go-on", tmp_path / "done"
    child = (
        f"import os, time\nwhile not os.path.exists('{go_on}'): time.sleep(0.01)\n"
        "open('shop.orders.000000000.sql', 'a').write('-- more')\n"
        f"open('{done}', 'w')"
    )
    streams = ", ".join(f"{name}=subprocess.DEVNULL" for name in ("stdin", "stdout", "stderr"))
    misdeed = f"subprocess.Popen([sys.executable, '-c', {child!r}], {streams})"
    hold = proxy.hold(DATA)
    program = fake(tmp_path, misdeed)
    export = make(dumpling=program, table_filter=["shop.*"], endpoint=proxy.url)
    with export.start() as running:
        running.wait_for("sending the rest")
        running.wait_until(hold.reached.is_set)
        go_on.touch()
        running.wait_until(done.exists)
        hold.times = 0
        hold.released.set()
        result = running.result(60).expect(6, "DumpInvalid")
    assert "changed after the dump had ended" in result.message
    assert [] == records(ceph, bucket)

    result = export.but(dumpling=fake(tmp_path)).run().expect(0)

    assert result.summary["resumed"] is False
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


@pytest.fixture
def noexec(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "noexec", "noexec,size=1m") as where:
        yield where


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_volume_that_lets_nothing_be_executed(make: Make, noexec: Path) -> None:
    result = make(dumpling=fake(noexec)).run().expect(5, "DumplingUnusable")

    assert "noexec" in result.message
    assert "chmod" not in result.message


@pytest.mark.parametrize(
    ("then", "words"),
    [(b"\x7fELF\2\1\1" + bytes(57), "another architecture"), (None, "missing")],
    ids=["another program", "none"],
)
def test_one_that_is_replaced_after_it_was_looked_at(
    make: Make,
    shop: Database,
    ceph: Ceph,
    bucket: str,
    tmp_path: Path,
    proxy: S3Proxy,
    then: bytes | None,
    words: str,
) -> None:
    dumpling = fake(tmp_path)
    hold = proxy.hold(operation("ListObjectsV2"), times=1)
    export = make(dumpling=dumpling, table_filter=["shop.*"], endpoint=proxy.url)
    with export.start() as running:
        running.wait_until(hold.reached.is_set)
        dumpling.unlink()
        if then:
            dumpling.write_bytes(then)
            dumpling.chmod(0o755)
        hold.released.set()
        result = running.result(60).expect(5, "DumplingUnusable")

    assert str(dumpling) in result.message
    assert words in result.message
    assert (GC_VALUE, GC_COMMENT) == shop.gc_row()
    assert_nothing(ceph, bucket)


# Secrets -----------------------------------------------------------------------------------


def test_the_password_in_long_and_broken_lines(double: Make) -> None:
    """That it is nowhere whole is asserted of every run; nor may a piece be, where a line is cut"""
    cut = [LINE_BYTES - length for length in (1, 5, 12, 20)]
    controls = [
        {"misdeed": "long-log-line", "plain": True, "password_at": [at]} for at in [0, *cut]
    ]
    controls += [
        {"misdeed": "long-log-line", "password_at": [10, 30_000, LINE_BYTES, 1 << 20]},
        {"misdeed": "bad-utf8-log", "password": True},
        {"misdeed": "password-leak", "last_words": False},
    ]

    result = double(*controls, log_level="debug").run().expect(0)

    assert "***" in result.stderr
    assert CANARY_PASSWORD[:6] not in result.stderr


@pytest.mark.parametrize("offered", [False, True])
def test_the_password_is_in_argv_only_where_there_is_no_other_way(
    double: Make, volume: Path, tmp_path: Path, offered: bool
) -> None:
    gate, reached, go_on = _gate(tmp_path, "gate", after_files=1)
    controls: list[dict[str, Any]] = [{"gate": gate}]
    if offered:
        controls.append({"misdeed": "password-by-environment"})
    export = double(*controls)
    with export.start() as running:
        running.wait_until(reached.exists)
        (dumpling,) = _dumplings(volume)
        argv = (dumpling / "cmdline").read_bytes()
        environment = (dumpling / "environ").read_bytes().split(b"\0")
        go_on.touch()
        running.result(60).expect(0)

    secret = CANARY_PASSWORD.encode()
    assert (not offered) == (secret in argv)
    holders = [entry for entry in environment if secret in entry]
    assert ([b"MYSQL_PWD=" + secret] if offered else []) == holders
    others = [text for text in export.secrets if text != CANARY_PASSWORD]
    assert others
    assert not [entry for entry in environment for text in others if text.encode() in entry]


def _dumplings(volume: Path) -> list[Path]:
    """The processes that dump onto this volume."""
    option = f"--output={volume}/".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if option in (process / "cmdline").read_bytes():
                found.append(process)
        except OSError:
            continue
    return found
