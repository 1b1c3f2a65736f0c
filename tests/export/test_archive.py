"""A backup as one archive: whole, the same each time, and nothing of it before it is."""

import signal
import threading
from pathlib import Path

import pytest

from tests import hard_schema
from tests.disks import tmpfs
from tests.export.conftest import Make
from tests.export.state import keys, left_on, open_uploads
from tests.restore import Fetched, fetch_archive, fetch_backup
from tests.s3_proxy import Answer, S3Proxy, operation
from tests.servers import GC_COMMENT, GC_VALUE, Ceph, Database

PART = operation("UploadPart")
COMPLETE = operation("CompleteMultipartUpload")
RECORD = operation("PutObject", containing="tgz.backup.json")
# Hexadecimal noise, of which gzip makes about half: three parts of 5 MiB.
_FILES = {"replay": {"files": 3, "bytes": 1000, "big": {"files": 2, "bytes": 11_000_000}}}
_SETTINGS = {"format": "archive", "table_filter": [], "s3_option": ["--s3-chunk-size=5Mi"]}


def only(ceph: Ceph, bucket: str, key: str, into: Path) -> Fetched:
    """Only this one, whole archive is in the bucket, and no open upload."""
    fetched = fetch_archive(ceph.client(), bucket, key, into)
    assert [] == [each for each in keys(ceph, bucket) if not each.startswith(key)]
    assert [] == open_uploads(ceph, bucket)
    return fetched


def test_an_archive_is_whole(
    make: Make,
    shop: Database,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    proxy: S3Proxy,
) -> None:
    tables = ["shop.*", "stock.*", *(f'"{name}".*' for name in hard_schema.SCHEMAS)]
    export = make(format="archive", table_filter=tables, name="nightly-1", endpoint=proxy.url)
    held: list[tuple[str, str | None]] = []
    proxy.before(operation("CreateMultipartUpload"), lambda _: held.append(shop.gc_row()))

    result = export.run().expect(0, "Complete")

    assert result.directory.endswith(".tgz")
    # GC was put back as soon as Dumpling had ended.
    assert [(GC_VALUE, GC_COMMENT)] == held
    assert [] == left_on(volume)
    fetched = only(ceph, bucket, result.directory, tmp_path / "archive")
    record = fetched.record
    assert result.directory.endswith(f"-{record['id'][:8]}.tgz")
    assert (record["files"], record["bytes"]) == (result.summary["files"], result.summary["bytes"])
    assert record["bytes"] > record["archive"]["bytes"]
    text = (fetched.files / "metadata").read_text()
    assert f"\tPos: {record['snapshot']['tso']}\n" in text
    # Nothing but the archive in parts, the manifest and the record, beside the probe.
    put = [each.target for each in proxy.accepted if each.operation == "PutObject"]
    assert 3 == len(put)
    assert not any(".sql" in each.target for each in proxy.requests)
    result.assert_clean_bucket(ceph.client(), bucket)

    files = export.but(format=None).run().expect(0)
    plain = fetch_backup(ceph.client(), bucket, files.directory, tmp_path / "files")
    assert _content(plain) == _content(fetched)


def _content(fetched: Fetched) -> dict[str, str]:
    """The hash of each file, but that of `metadata`, which tells the time."""
    return {row["name"]: row["sha256"] for row in fetched.rows if row["name"] != "metadata"}


@pytest.mark.parametrize("moment", ["part", "complete", "record"])
def test_killed_and_run_again(
    double: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    proxy: S3Proxy,
    moment: str,
) -> None:
    """Nothing is dumped twice; no upload and no other archive stays."""
    export = double(_FILES, endpoint=proxy.url, **_SETTINGS)
    killed = threading.Event()

    def kill(answer: Answer) -> Answer:
        running.kill()
        killed.set()
        return answer

    proxy.change({"part": PART, "complete": COMPLETE, "record": RECORD}[moment], kill)
    with export.start() as running:
        running.wait_until(killed.is_set)
    proxy.forget()
    (left,) = (path.name.partition(".")[2] for path in volume.glob("*.backup-*"))
    assert (1 if moment == "part" else 0) == len(open_uploads(ceph, bucket))

    result = export.run().expect(0)

    assert result.summary["resumed"] is True
    assert f"nightly/{left}.tgz" == result.directory
    only(ceph, bucket, result.directory, tmp_path / "archive")
    assert [] == left_on(volume)
    # A stream that was cut starts again; one that is published is only cleared away.
    assert (1 if moment == "record" else 2) == proxy.count("CreateMultipartUpload")


def test_terminated_in_mid_stream(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    export = double(_FILES, endpoint=proxy.url, **_SETTINGS)
    hold = proxy.hold(PART)
    with export.start() as running:
        running.wait_until(hold.reached.is_set)
        running.terminate()
        running.result().expect(143, "Terminated")
    proxy.forget()
    assert 0 == proxy.count("CompleteMultipartUpload")
    assert [] == open_uploads(ceph, bucket)
    assert [] == keys(ceph, bucket)

    result = export.run().expect(0)

    assert result.summary["resumed"] is True
    only(ceph, bucket, result.directory, tmp_path / "archive")
    assert [] == left_on(volume)


def test_a_file_that_changes_in_mid_stream(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    """The dump is invalid; the next run makes another one."""

    def change(_: object) -> None:
        (path,) = volume.glob("*/dump/replay.small.000000002.sql")
        with path.open("r+b") as file:
            file.write(b"?")

    proxy.before(operation("CreateMultipartUpload"), change)
    export = double(_FILES, endpoint=proxy.url, **_SETTINGS)

    result = export.run().expect(6, "DumpInvalid")

    assert "replay.small.000000002.sql" in result.message
    assert 0 == proxy.count("CompleteMultipartUpload")
    assert ([], []) == (keys(ceph, bucket), open_uploads(ceph, bucket))
    again = export.run().expect(0)
    assert again.summary["resumed"] is False
    only(ceph, bucket, again.directory, tmp_path / "archive")
    assert [] == left_on(volume)


def test_a_store_that_refuses_in_mid_stream(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    parts = 0

    def second(request: object) -> bool:
        nonlocal parts
        parts += PART(request)  # type: ignore[arg-type]  # a Request
        return parts > 1 and PART(request)  # type: ignore[arg-type]  # the same

    proxy.refuse(second, times=1000, status=403, code="AccessDenied")
    export = double(_FILES, endpoint=proxy.url, **_SETTINGS)

    result = export.run().expect(7, "BackupDataToRemoteFailed")

    assert "s3:PutObject" in result.message
    assert ([], []) == (keys(ceph, bucket), open_uploads(ceph, bucket))
    proxy.forget()
    again = export.run().expect(0)
    assert again.summary["resumed"] is True
    only(ceph, bucket, again.directory, tmp_path / "archive")


def test_an_unfinished_dump_leaves_nothing(
    double: Make, ceph: Ceph, bucket: str, volume: Path, proxy: S3Proxy
) -> None:
    failing = {"misdeed": "exit-1-at-end"}
    double(_FILES, failing, endpoint=proxy.url, **_SETTINGS).run().expect(5)
    assert ([], []) == (keys(ceph, bucket), open_uploads(ceph, bucket))
    assert 0 == proxy.count("CreateMultipartUpload")


def test_a_volume_without_room_for_a_second_copy(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "small", "size=26m") as volume:
        result = double(_FILES, volume=volume, **_SETTINGS).run().expect(0)
        assert [] == left_on(volume)
    only(ceph, bucket, result.directory, tmp_path / "archive")


def test_files_and_archive_are_two_backups(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    """An archive that was killed is not taken up as files, but kept for its own command."""
    export = double(_FILES, endpoint=proxy.url, **_SETTINGS)
    hold = proxy.hold(PART)
    with export.start() as running:
        running.wait_until(hold.reached.is_set)
        running.signal(signal.SIGKILL)
        running.process.wait()
    proxy.forget()

    files = export.but(format="files").run().expect(0)

    assert files.summary["resumed"] is False
    (warning,) = [text for text in files.warnings if "this publishes it" in text]
    assert "--format=archive" in warning
    archive = export.run().expect(0)
    assert archive.summary["resumed"] is True
    fetch_backup(ceph.client(), bucket, files.directory, tmp_path / "files")
    fetch_archive(ceph.client(), bucket, archive.directory, tmp_path / "archive")
    assert ([], []) == (left_on(volume), open_uploads(ceph, bucket))


def test_what_a_dry_run_shows(make: Make) -> None:
    result = make(format="archive").run("--dry-run").expect(0, "DryRun")
    assert "/nightly/backup-<start>-<id>.tgz\n" in result.stdout
    assert "--format" in result.stdout


def test_a_format_that_there_is_not(make: Make) -> None:
    result = make(environment={"BACKUP_MANAGER_FORMAT": "zip"}).refused().expect(2)
    assert "files or archive" in result.message
    assert "BACKUP_MANAGER_FORMAT" in result.message
