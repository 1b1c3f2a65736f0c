"""Killed and asked to stop, in every phase; then the same command again."""

import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import Running
from tests.export.conftest import Make
from tests.export.state import assert_nothing, assert_only, keys, left_on, records
from tests.s3_proxy import Chooser, S3Proxy, operation
from tests.servers import GC_COMMENT, GC_VALUE, Ceph, Database
from tests.torture.confirmed import read

DATA = operation("PutObject", containing=".0")
RECORD = operation("PutObject", containing="backup.json")
METADATA = operation("PutObject", containing="/metadata")


def _confirmed(volume: Path) -> int:
    """The bytes that a run's journal holds as confirmed, those of parts included."""
    (journal,) = volume.glob("*/journal.sqlite")
    # A living run holds the file locked, and may write at this moment: then it is asked again.
    with sqlite3.connect(f"file:{journal}?mode=ro&immutable=1", uri=True) as database:
        (total,) = database.execute(
            "SELECT (SELECT coalesce(sum(bytes), 0) FROM files WHERE confirmed = 1)"
            " + (SELECT coalesce(sum(bytes), 0) FROM parts)"
        ).fetchone()
    return int(total)


def test_killed_in_mid_dump(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path
) -> None:
    reached = tmp_path / "reached"
    gate = {"gate": {"after_files": 2, "path": str(tmp_path / "never"), "reached": str(reached)}}
    with double(gate).start() as running:
        running.wait_until(reached.exists)
        running.wait_until(lambda: bool(keys(ceph, bucket)))
        running.kill()
    assert [] == records(ceph, bucket)

    result = double().run().expect(0)

    assert result.summary["resumed"] is False
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


@pytest.mark.parametrize("big", [False, True], ids=["small files", "big files"])
def test_killed_in_mid_upload_goes_on_where_it_was(
    double: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    proxy: S3Proxy,
    big: bool,
) -> None:
    files: dict[str, Any] = {"files": 600, "bytes": 20_000}
    if big:
        files |= {"files": 2, "big": {"files": 2, "bytes": 100_000_000}}
    export = double({"replay": files}, endpoint=proxy.url, table_filter=[])
    through: set[str] = set()

    def the_later_ones(request: Any) -> bool:
        # By names: a file that was closed twice may be sent twice, and counts once.
        data = request.operation == "UploadPart" if big else DATA(request)
        if data and len(through) < (6 if big else 400):
            through.add(request.target)
        return bool(data) and request.target not in through

    hold = proxy.hold(the_later_ones)
    with export.start() as running:
        running.wait_for("sending the rest")
        running.wait_until(hold.reached.is_set)
        # All that the proxy lets through: nothing is on its way any more when it is killed.
        let_through = 6 * (16 << 20) if big else 400 * 20_000
        running.wait_until(lambda: _confirmed(volume) >= let_through)
        running.kill()
    # Anew, since a commit that was under way at the kill is undone by the next run.
    confirmed = read(volume).bytes
    proxy.forget()
    before = proxy.bytes_accepted

    result = export.run().expect(0)

    assert result.summary["resumed"] is True
    fetched = assert_only(ceph, bucket, result.directory, tmp_path)
    again = proxy.bytes_accepted - before
    # The probe, the manifest and the record have some bytes too.
    assert again <= fetched.record["bytes"] - confirmed + 100_000
    assert 0 == len(result.events("dumping"))
    assert [] == left_on(volume)


@pytest.mark.parametrize(
    ("chooser", "published"), [(METADATA, False), (RECORD, False), (RECORD, True)]
)
def test_killed_while_it_publishes(
    double: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    proxy: S3Proxy,
    chooser: Chooser,
    published: bool,
) -> None:
    hold = proxy.hold(chooser)
    with double(endpoint=proxy.url).start() as running:
        running.wait_until(hold.reached.is_set)
        running.kill()
    if published:
        hold.released.set()
        while not records(ceph, bucket):
            pass
    else:
        proxy.forget()

    result = double(endpoint=proxy.url).run().expect(0)

    assert result.summary["resumed"] is True
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


Prepare = Callable[[Make, S3Proxy, Path], Running]


def _connecting(double: Make, proxy: S3Proxy, tmp_path: Path) -> Running:
    running = double(port=1, connect_timeout="5m").start()
    running.wait_for("waiting for the database")
    return running


def _probing(double: Make, proxy: S3Proxy, tmp_path: Path) -> Running:
    hold = proxy.hold(operation("ListObjectsV2"))
    running = double(endpoint=proxy.url).start()
    running.wait_until(hold.reached.is_set)
    return running


def _dumping(double: Make, proxy: S3Proxy, tmp_path: Path) -> Running:
    reached = tmp_path / "reached"
    gate = {"gate": {"after_files": 2, "path": str(tmp_path / "never"), "reached": str(reached)}}
    running = double(gate, {"misdeed": "ignore-sigterm"}).start()
    running.wait_until(reached.exists)
    return running


def _dumping_while_the_store_is_silent(double: Make, proxy: S3Proxy, tmp_path: Path) -> Running:
    hold = proxy.hold(DATA)
    gate = {"gate": {"at": "metadata", "path": str(tmp_path / "never")}}
    running = double(gate, endpoint=proxy.url).start()
    running.wait_until(hold.reached.is_set)
    return running


def _sending_the_rest(double: Make, proxy: S3Proxy, tmp_path: Path) -> Running:
    hold = proxy.hold(DATA)
    running = double(endpoint=proxy.url).start()
    running.wait_until(hold.reached.is_set)
    running.wait_for("sending the rest")
    return running


def _sending_metadata(double: Make, proxy: S3Proxy, tmp_path: Path) -> Running:
    hold = proxy.hold(METADATA)
    running = double(endpoint=proxy.url).start()
    running.wait_until(hold.reached.is_set)
    return running


def _verifying(double: Make, proxy: S3Proxy, tmp_path: Path) -> Running:
    hold = proxy.hold(operation("ListObjectsV2", containing="prefix=nightly%2Fbackup-"))
    running = double(endpoint=proxy.url).start()
    running.wait_until(hold.reached.is_set)
    return running


_PHASES: list[Prepare] = [
    _connecting,
    _probing,
    _dumping,
    _dumping_while_the_store_is_silent,
    _sending_the_rest,
    _sending_metadata,
    _verifying,
]


@pytest.mark.parametrize(
    ("prepare", "number"),
    [
        *((phase, signal.SIGTERM) for phase in _PHASES),
        (_dumping, signal.SIGINT),
        (_sending_the_rest, signal.SIGINT),
    ],
)
def test_a_signal_ends_every_phase(
    double: Make,
    shop: Database,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    proxy: S3Proxy,
    prepare: Prepare,
    number: signal.Signals,
) -> None:
    with prepare(double, proxy, tmp_path) as running:
        running.signal(number)
        running.result().expect(128 + number)
    proxy.forget()
    assert (GC_VALUE, GC_COMMENT) == shop.gc_row()
    assert [] == records(ceph, bucket)
    if prepare in {_connecting, _probing, _dumping}:
        assert_nothing(ceph, bucket)

    result = double(endpoint=proxy.url).run().expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_a_signal_while_the_record_is_written_does_not_undo_it(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    hold = proxy.hold(RECORD)
    with double(endpoint=proxy.url).start() as running:
        running.wait_until(hold.reached.is_set)
        running.terminate()
        hold.released.set()
        result = running.result().expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_the_answer_to_the_record_is_lost(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, proxy: S3Proxy
) -> None:
    proxy.lose(RECORD, times=2)

    result = double(endpoint=proxy.url).run().expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)


def test_a_part_that_fails_is_sent_again_alone(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, proxy: S3Proxy
) -> None:
    replay = {"replay": {"files": 1, "bytes": 1000, "big": {"files": 1, "bytes": 50_000_000}}}
    proxy.refuse(operation("UploadPart", containing="partNumber=2"), times=2)

    result = double(replay, endpoint=proxy.url, table_filter=[]).run().expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert 3 + 2 == proxy.count("UploadPart")


def test_a_forbidden_write_in_the_middle_is_named_and_undone(
    double: Make, ceph: Ceph, bucket: str, proxy: S3Proxy
) -> None:
    proxy.refuse(DATA, times=1, status=403, code="AccessDenied")

    result = double(endpoint=proxy.url).run()

    # The dump may have ended by then; if not, it is undone.
    result.expect(7, "BackupDataToRemoteFailed")
    assert "s3:PutObject" in result.message
    assert [] == records(ceph, bucket)


def test_two_at_once_on_one_volume(double: Make, ceph: Ceph, bucket: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    controls = {"gate": {"after_files": 1, "path": str(gate)}}
    with double(controls).start() as first:
        first.wait_for("dumping")
        second = double(controls, lock_timeout="1s").run().expect(10, "HeldByAnotherRun")
        assert str(first.pid) in second.message
        gate.touch()
        result = first.result(60).expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
