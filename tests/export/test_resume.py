"""What a run takes up, leaves alone and clears away of the runs before it; and who may run."""

import json
import shlex
import shutil
import signal
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.export.conftest import Make
from tests.export.state import assert_only, left_on, open_uploads, records
from tests.restore import fetch_backup
from tests.s3_proxy import Answer, Request, S3Proxy, operation
from tests.servers import Ceph

_FILES = {"replay": {"files": 40, "bytes": 20_000}}
_BIG = {"replay": {"files": 2, "bytes": 1000, "big": {"files": 1, "bytes": 50_000_000}}}


def _killed_while_sending(export: Make, proxy: S3Proxy, volume: Path) -> Path:
    """Kill a run whose dump is finished and half sent; return its journal."""
    sent = 0

    def the_later_ones(request: Request) -> bool:
        nonlocal sent
        sent += request.operation == "PutObject" and "small" in request.target
        return sent > 20 and request.operation == "PutObject"

    hold = proxy.hold(the_later_ones)
    with export(_FILES, endpoint=proxy.url, table_filter=[]).start() as running:
        running.wait_for("sending the rest")
        running.wait_until(hold.reached.is_set)
        running.kill()
    proxy.forget()
    (journal,) = volume.glob("*/journal.sqlite")
    return journal


def test_asked_to_begin_anew(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    """The finished dump stays, and what the warning says publishes it."""
    old = _killed_while_sending(double, proxy, volume).parent.name.partition(".")[2]
    export = double(_FILES, endpoint=proxy.url, table_filter=[])

    result = export.but(no_resume=True).run().expect(0)

    assert result.summary["resumed"] is False
    assert not result.directory.endswith(old)
    (warning,) = [text for text in result.warnings if old in text]
    assert [f"{result.directory}/backup.json"] == records(ceph, bucket)
    command = shlex.split(warning.partition("this publishes it: ")[2])
    assert ["backup-manager", "export"] == command[:2]
    # The harness has a password file for each run.
    words = [word for word in command[2:] if not word.startswith("--password-file=")]
    published = export.run(*words).expect(0)
    assert (True, f"nightly/{old}") == (published.summary["resumed"], published.directory)
    assert 2 == len(records(ceph, bucket))
    assert [] == left_on(volume)
    assert [] == open_uploads(ceph, bucket)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:0],
        lambda data: _flipped(data, b"confirmed-of-no-row", at=5000),
        lambda data: _flipped(data, b"digest"),
        lambda data: _flipped(data, b"replay.small.000000003.sql"),
    ],
    ids=["cut", "empty", "somewhere", "a fact", "a file"],
)
def test_a_damaged_journal_leads_to_a_fresh_start(
    double: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    proxy: S3Proxy,
    damage: Callable[[bytes], bytes],
) -> None:
    journal = _killed_while_sending(double, proxy, volume)
    old = journal.parent.name.partition(".")[2]
    journal.write_bytes(damage(journal.read_bytes()))

    result = double(_FILES, table_filter=[]).run().expect(0)

    assert result.summary["resumed"] is False
    assert any(old in text and "journal" in text for text in result.warnings)
    assert [f"{result.directory}/backup.json"] == records(ceph, bucket)
    assert [] == left_on(volume)


def _flipped(data: bytes, near: bytes, at: int = 0) -> bytes:
    """Flip a bit of a value: behind these bytes, or at the first row after an offset."""
    place = data.find(near) + len(near) + 1 if near in data else data.find(b"replay", at)
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


def test_an_upload_whose_beginning_was_answered_to_nobody_is_aborted(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, proxy: S3Proxy
) -> None:
    proxy.lose(operation("CreateMultipartUpload"))

    result = double(_BIG, endpoint=proxy.url, table_filter=[]).run().expect(0)

    assert 2 == proxy.count("CreateMultipartUpload")
    assert_only(ceph, bucket, result.directory, tmp_path)


def test_killed_the_moment_a_big_file_is_complete(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    """Its parts were confirmed a moment ago, and the upload is gone: none of it is sent again."""
    export = double(_BIG, endpoint=proxy.url, table_filter=[])
    completed = threading.Event()

    def kill(answer: Answer) -> Answer:
        running.kill()
        completed.set()
        return answer

    proxy.before(operation("UploadPart"), lambda _: running.wait_for("sending the rest"), times=3)
    proxy.change(operation("CompleteMultipartUpload"), kill)
    with export.start() as running:
        running.wait_until(completed.is_set)
    sent = proxy.count("UploadPart")

    result = export.run().expect(0)

    assert (True, sent) == (result.summary["resumed"], proxy.count("UploadPart"))
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_owner_and_mode_of_every_file_were_set_meanwhile(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    """As a kubelet does it before each Pod that has an fsGroup."""
    hold = proxy.hold(operation("UploadPart", containing="partNumber=2"))
    proxy.before(operation("UploadPart"), lambda _: running.wait_for("sending the rest"), times=3)
    export = double(_BIG, endpoint=proxy.url, table_filter=[])
    with export.start() as running:
        running.wait_until(hold.reached.is_set)
        running.wait_until(lambda: 2 == _parts(volume))
        running.terminate()
        running.result().expect(143)
    proxy.forget()
    sent = proxy.count("UploadPart")
    for path in volume.rglob("*"):
        path.chmod(path.stat().st_mode | (0o2770 if path.is_dir() else 0o660))

    result = export.run().expect(0)

    assert (True, sent + 1) == (result.summary["resumed"], proxy.count("UploadPart"))
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def _parts(volume: Path) -> int:
    """How many parts the journal holds as confirmed, durably."""
    (journal,) = volume.glob("*/journal.sqlite")
    # The run that is at work has it locked: a copy is read.
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copy(journal, scratch)
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(copy)) as database:
            return int(database.execute("SELECT count(*) FROM parts").fetchone()[0])
    return 0  # it was being written just then


def test_a_copy_of_the_volume_touches_nothing_of_the_run_on_the_other(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    _killed_while_sending(double, proxy, volume)
    copy = tmp_path / "copy"
    shutil.copytree(volume, copy)
    export = double(_FILES, endpoint=proxy.url, table_filter=[])

    one = export.run().expect(0)
    two = export.but(volume=copy).run().expect(0)

    assert one.summary["resumed"] is True
    assert sorted(f"{each.directory}/backup.json" for each in (one, two)) == records(ceph, bucket)
    for each in (one, two):
        fetch_backup(ceph.client(), bucket, each.directory, tmp_path / each.directory)
    assert [] == left_on(copy)


# Two at once -------------------------------------------------------------------------------


def test_the_second_waits_for_the_first(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    export = double({"gate": {"after_files": 1, "path": str(gate)}})
    with export.start() as first:
        first.wait_for("dumping")
        with export.but(lock_timeout="60s").start() as second:
            second.wait_for("waiting, as another run of this backup holds the volume")
            gate.touch()
            one, two = first.result(60).expect(0), second.result(60).expect(0)
    assert sorted(f"{each.directory}/backup.json" for each in (one, two)) == records(ceph, bucket)
    assert [] == left_on(volume)


def _give_away(volume: Path) -> None:
    """Let the lock be another's, as a network file system may that lost it."""
    (lock,) = volume.glob("*.lock")
    lock.write_text(json.dumps({"host": "pod-2", "pid": "8", "signature": "another"}))


def test_a_holder_that_lost_the_lock_in_mid_dump_finds_out(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with double({"gate": {"after_files": 1, "path": str(gate)}}).start() as running:
        running.wait_for("dumping")
        _give_away(volume)
        result = running.result(60).expect(10, "HeldByAnotherRun")
    assert "pod-2" in result.message
    assert [] == records(ceph, bucket)
    # The other's lock is left alone.
    assert 1 == len(list(volume.glob("*.lock")))


def test_a_holder_that_lost_the_lock_before_it_publishes_does_not(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    hold = proxy.hold(operation("ListObjectsV2", containing="prefix=nightly%2Fbackup-"))
    with double(endpoint=proxy.url).start() as running:
        running.wait_until(hold.reached.is_set)
        _give_away(volume)
        hold.released.set()
        running.result(60).expect(10, "HeldByAnotherRun")
    assert [] == records(ceph, bucket)


def test_a_lock_and_a_run_that_were_taken_away(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path
) -> None:
    """A holder that was frozen, and another run that took it for dead and cleared it away."""
    gate, reached = tmp_path / "gate", tmp_path / "reached"
    export = double({"gate": {"after_files": 1, "path": str(gate), "reached": str(reached)}})
    with export.start() as frozen:
        frozen.wait_until(reached.exists)
        frozen.signal(signal.SIGSTOP)
        for lock in volume.glob("*.lock"):
            lock.unlink()
        for journal in volume.glob("*/journal.sqlite"):
            journal.unlink()
        gate.touch()
        result = export.run().expect(0)
        frozen.signal(signal.SIGCONT)
        frozen.result(60).expect(10, "HeldByAnotherRun")
    assert [f"{result.directory}/backup.json"] == records(ceph, bucket)
    assert [] == left_on(volume)
