"""The volume runs full, turns read-only, breaks, vanishes, or loses its power: for real."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.command import Export, Result
from tests.disks import Ext4, fill, remount, tmpfs
from tests.export.conftest import Make
from tests.export.state import assert_only, left_on, records
from tests.s3_proxy import Chooser, Request, S3Proxy, operation
from tests.servers import GC_COMMENT, GC_VALUE, Ceph, Database

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems")

DATA = operation("PutObject", containing=".0")
METADATA = operation("PutObject", containing="/metadata")
RECORD = operation("PutObject", containing="backup.json")
# Enough rows for the journal to grow when they are confirmed.
MANY: dict[str, Any] = {"replay": {"files": 160, "bytes": 300}}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "small", "size=8m") as where:
        yield where


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Ext4]:
    with Ext4(tmp_path / "disk", tmp_path / "mounted") as disk:
        yield disk


@pytest.fixture
def check(
    shop: Database, ceph: Ceph, bucket: str, tmp_path: Path
) -> Callable[[Result, Path, str], None]:
    """What must hold after every fault of the volume."""

    def check(result: Result, volume: Path, words: str) -> None:
        assert str(volume) in result.message
        assert words in result.message.lower()
        assert "To do: " in result.message
        assert [] == records(ceph, bucket)
        assert (GC_VALUE, GC_COMMENT) == shop.gc_row()

    return check


@pytest.fixture
def recover(ceph: Ceph, bucket: str, tmp_path: Path) -> Callable[[Export], Result]:
    """Run again on a volume that is well; nothing of the failed run may be left anywhere."""

    def recover(export: Export) -> Result:
        result = export.run().expect(0)
        assert_only(ceph, bucket, result.directory, tmp_path)
        assert [] == left_on(export.volume)
        return result

    return recover


Check = Callable[[Result, Path, str], None]
Recover = Callable[[Export], Result]


class Gate:
    """A place where the double stands until it is let through."""

    def __init__(self, directory: Path, **where: Any) -> None:
        self.reached, self._path = directory / "reached", directory / "go-on"
        self.control: dict[str, Any] = {
            "gate": {**where, "path": str(self._path), "reached": str(self.reached)}
        }

    def open(self) -> None:
        self._path.touch()


# Full --------------------------------------------------------------------------------------


def test_full_at_a_write_of_dumpling(
    double: Make, small: Path, tmp_path: Path, check: Check, recover: Recover
) -> None:
    gate = Gate(tmp_path, after_files=1)
    with double(gate.control, volume=small).start() as running:
        running.wait_until(gate.reached.exists)
        ballast = fill(small)
        gate.open()
        result = running.result().expect(9, "VolumeFull")
    check(result, small, "the volume is full")

    ballast.unlink()
    assert recover(double(volume=small)).summary["resumed"] is False


def test_what_filled_it_goes_before_the_next_run_begins(
    double: Make, small: Path, check: Check, recover: Recover
) -> None:
    """Else a Job's next Pods could do nothing, whatever the user changes."""
    remount(small, "size=400k")
    result = double(volume=small).run().expect(9, "VolumeFull")
    check(result, small, "the volume is full")
    double(volume=small).run().expect(9, "VolumeFull")
    assert 1 == len([path for path in small.iterdir() if path.is_dir()])

    recover(double(volume=small, after=["--compress=gzip"]))


def test_no_inode_left(
    double: Make, tmp_path: Path, small: Path, check: Check, recover: Recover
) -> None:
    remount(small, "nr_inodes=60")

    result = double(MANY, volume=small, table_filter=[]).run().expect(9, "VolumeFull")
    check(result, small, "no inode is left")

    remount(small, "nr_inodes=2000")
    recover(double(MANY, volume=small, table_filter=[]))


def test_full_at_a_write_of_the_journal_ends_the_run_while_dumpling_stands(
    double: Make, small: Path, tmp_path: Path, proxy: S3Proxy, check: Check, recover: Recover
) -> None:
    gate = Gate(tmp_path, at="metadata")
    hold = proxy.hold(DATA)
    export = double(MANY, gate.control, volume=small, table_filter=[], endpoint=proxy.url)
    with export.start() as running:
        running.wait_until(gate.reached.exists)
        running.wait_until(hold.reached.is_set)
        ballast = fill(small)
        hold.times = 0
        hold.released.set()
        # The gate stays closed: Dumpling itself never sees that the volume is full.
        result = running.result().expect(9, "VolumeFull")
    check(result, small, "the journal")

    ballast.unlink()
    gate.open()
    assert recover(export).summary["resumed"] is False


def test_full_only_when_dumpling_closes_its_files(
    double: Make, small: Path, tmp_path: Path, check: Check, recover: Recover
) -> None:
    gate = Gate(tmp_path, at="metadata")
    with double({"misdeed": "enospc-at-close"}, gate.control, volume=small).start() as running:
        running.wait_until(gate.reached.exists)
        ballast = fill(small)
        gate.open()
        result = running.result().expect(9, "VolumeFull")
    check(result, small, "the volume is full")

    ballast.unlink()
    recover(double(volume=small))


def test_full_at_the_manifest(
    double: Make, small: Path, proxy: S3Proxy, check: Check, recover: Recover
) -> None:
    hold = proxy.hold(METADATA)
    export = double(volume=small, endpoint=proxy.url)
    with export.start() as running:
        running.wait_until(hold.reached.is_set)
        ballast = fill(small)
        hold.times = 0
        hold.released.set()
        result = running.result().expect(9, "VolumeFull")
    check(result, small, "manifest.jsonl.gz")

    # A volume that is still full is no reason to forget the dump.
    fill(small)
    export.run().expect(9, "VolumeFull")
    ballast.unlink()
    assert recover(export).summary["resumed"] is True


# Broken ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"), [("turn_read_only", "read-only"), ("shut_down", "kernel log")]
)
@pytest.mark.parametrize("dumped", [False, True], ids=["in mid-dump", "after the dump"])
def test_broken_half_way(
    double: Make,
    tmp_path: Path,
    disk: Ext4,
    proxy: S3Proxy,
    check: Check,
    recover: Recover,
    fault: str,
    words: str,
    dumped: bool,
) -> None:
    gate = Gate(tmp_path, after_files=2)
    hold = proxy.hold(DATA)
    export = double(*([] if dumped else [gate.control]), volume=disk.where, endpoint=proxy.url)
    with export.start() as running:
        if dumped:
            running.wait_for("sending the rest")
        else:
            running.wait_until(gate.reached.exists)
        running.wait_until(hold.reached.is_set)
        getattr(disk, fault)()
        hold.times = 0
        hold.released.set()
        gate.open()
        result = running.result().expect(9, "VolumeUnusable")
    check(result, disk.where, words)

    disk.mend()
    recover(double(volume=disk.where, endpoint=proxy.url))


def test_a_device_that_takes_no_more_blocks(
    double: Make, tmp_path: Path, check: Check, recover: Recover
) -> None:
    """As of thin provisioning that has run out: the file system has room, its device has not."""
    gate = Gate(tmp_path, after_files=2)
    with (
        tmpfs(tmp_path / "pool", "size=24m") as pool,
        Ext4(pool / "disk", tmp_path / "mounted") as disk,
    ):
        with double(gate.control, volume=disk.where).start() as running:
            running.wait_until(gate.reached.exists)
            ballast = fill(pool)
            gate.open()
            result = running.result().expect(9, "VolumeUnusable")
        check(result, disk.where, "kernel log")

        ballast.unlink()
        disk.mend()
        recover(double(volume=disk.where))


# Gone --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["unmounted", "renamed"])
@pytest.mark.parametrize("dumped", [False, True], ids=["in mid-dump", "after the dump"])
def test_gone_half_way(
    double: Make,
    tmp_path: Path,
    disk: Ext4,
    proxy: S3Proxy,
    check: Check,
    recover: Recover,
    fault: str,
    dumped: bool,
) -> None:
    volume, gate = disk.where, Gate(tmp_path, after_files=2)
    hold = proxy.hold(DATA)
    export = double(*([] if dumped else [gate.control]), volume=volume, endpoint=proxy.url)
    with export.start() as running:
        if dumped:
            running.wait_for("sending the rest")
        else:
            running.wait_until(gate.reached.exists)
        running.wait_until(hold.reached.is_set)
        (run,) = volume.glob("*.backup-*")
        if fault == "unmounted":
            disk.pull_out()
        else:
            run.rename(volume / "moved away")
        hold.times = 0
        hold.released.set()
        gate.open()
        result = running.result().expect(9, "VolumeUnusable")
    check(result, volume, "no longer")

    if fault == "unmounted":
        disk.mend()
    else:
        # Dumpling makes its directory anew where that is gone.
        shutil.rmtree(run, ignore_errors=True)
        (volume / "moved away").rename(run)
    again = recover(double(volume=volume, endpoint=proxy.url))
    assert dumped == again.summary["resumed"]


# What cannot be deleted --------------------------------------------------------------------


def test_a_file_that_cannot_be_deleted_is_named_and_hinders_nothing(
    double: Make, disk: Ext4, ceph: Ceph, bucket: str, tmp_path: Path, proxy: S3Proxy
) -> None:
    hold = proxy.hold(METADATA)
    export = double(volume=disk.where, endpoint=proxy.url)
    with export.start() as running:
        running.wait_until(hold.reached.is_set)
        stuck = next(disk.where.glob("*/dump/shop.orders.0*"))
        disk.forbid(stuck)
        hold.times = 0
        hold.released.set()
        first = running.result(60).expect(0)
    assert any(str(stuck) in text for text in first.warnings)
    # All the rest is gone: the room is needed by the next run.
    assert [stuck] == list(disk.where.glob("*/dump/*"))

    # The next run is a new backup, not that one again.
    second = export.run().expect(0)
    assert first.directory != second.directory
    assert any(str(stuck) in text for text in second.warnings)

    disk.forbid(stuck, forbidden=False)
    third = export.run().expect(0)
    assert not any(str(stuck) in text for text in third.warnings)
    assert [] == left_on(disk.where)
    assert 3 == len(records(ceph, bucket))


# A power cut -------------------------------------------------------------------------------


def test_a_power_cut_in_mid_dump(
    double: Make, disk: Ext4, ceph: Ceph, bucket: str, tmp_path: Path, recover: Recover
) -> None:
    gate = Gate(tmp_path, at="metadata")
    with double(gate.control, volume=disk.where).start() as running:
        running.wait_until(gate.reached.exists)
        running.wait_until(lambda: bool(ceph.client().list_objects_v2(Bucket=bucket)["KeyCount"]))
        running.kill()
    disk.cut_the_power()

    assert recover(double(volume=disk.where)).summary["resumed"] is False


@pytest.mark.parametrize(
    ("held", "let_through"),
    [(DATA, 0), (DATA, 20), (METADATA, 0), (RECORD, 0)],
    ids=["nothing is sent", "some is confirmed", "before metadata", "before the record"],
)
def test_a_power_cut_after_the_dump(
    double: Make,
    disk: Ext4,
    proxy: S3Proxy,
    recover: Recover,
    held: Chooser,
    let_through: int,
) -> None:
    through: set[str] = set()

    def the_later_ones(request: Request) -> bool:
        # By names: a file that was closed twice may be sent twice, and counts once.
        if held(request) and len(through) < let_through:
            through.add(request.target)
        return held(request) and request.target not in through

    few = {"replay": {"files": 40, "bytes": 300}}
    tree = [{"misdeed": "subdirectories"}, {"misdeed": "odd-names"}]
    hold = proxy.hold(the_later_ones)
    export = double(few, *tree, volume=disk.where, endpoint=proxy.url, table_filter=[])
    with export.start() as running:
        # The journal says dumped from here on.
        running.wait_for("sending the rest")
        running.wait_until(hold.reached.is_set)
        running.wait_until(lambda: _data_files(disk.where, 1, "immutable=1") >= let_through)
        running.kill()
    disk.cut_the_power()
    proxy.forget()
    waiting = _data_files(disk.where, 0)
    before = len(proxy.requests)

    # Had what was written of a file or of the journal been lost, it would begin anew.
    assert recover(export).summary["resumed"] is True
    # Nothing that the journal holds as confirmed is sent again.
    assert waiting == sum(map(DATA, proxy.requests[before:]))


def _data_files(volume: Path, confirmed: int, how: str = "mode=rw") -> int:
    """How many files of rows the journal of the one run there holds as confirmed, or not.

    What a commit that was cut off has left is undone, unless a living run has it (immutable).
    """
    (journal,) = volume.glob("*/journal.sqlite")
    query = "SELECT count(*) FROM files WHERE confirmed = ? AND name LIKE '%.0%'"
    with closing(sqlite3.connect(f"file:{journal}?{how}", uri=True)) as database:
        ((count,),) = database.execute(query, (confirmed,))
    return int(count)
