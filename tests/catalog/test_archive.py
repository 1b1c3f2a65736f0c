"""The archive on its way to a store: all of it or none, of files that are as they were recorded."""

import hashlib
import io
import os
import random
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backup_manager.catalog.archive import (
    Archive,
    Archiver,
    distrust_archive,
    sent_archive,
)
from backup_manager.catalog.dump_tar import _expect
from backup_manager.catalog.formats import RECORD
from backup_manager.catalog.layout import Layout
from backup_manager.catalog.publish import Publisher
from backup_manager.catalog.undo import abort_strays, undo
from backup_manager.errors import (
    BackupError,
    DumpInvalidError,
    HeldError,
    MismatchError,
    StoreError,
    VolumeError,
)
from backup_manager.store.client import Store
from backup_manager.store.multipart import Multipart
from backup_manager.store.parts import MIB
from backup_manager.store.retries import Patience
from backup_manager.store.settings import Pace
from backup_manager.store.source import FileChangedError
from backup_manager.volume.directory import FileState
from backup_manager.volume.journal import METADATA, Journal
from backup_manager.volume.rows import FileRow, UploadRow
from tests.s3_proxy import S3Proxy, operation
from tests.servers import Ceph
from tests.stores import DIRECTORY, Impatient, eventually, new_report, new_store, use_keys

KEY = f"{DIRECTORY}.tgz"
TOP = DIRECTORY.rpartition("/")[2]
MOMENT = 1_795_341_600
PART = operation("UploadPart")
COMPLETE = operation("CompleteMultipartUpload")
# Three parts of 5 MiB in all: noise does not compress.
FILES = {
    "metadata": b"Finished dump at: 2026-11-22 10:00:00\n",
    "shop-schema-create.sql": b"CREATE DATABASE shop;\n",
    "shop.a b'c\"%2E ü.000000000.sql": random.Random(1).randbytes(6 * MIB + 5),
    "shop.orders.000000000.sql": random.Random(2).randbytes(6 * MIB),
    "sub/dir/file.sql": b"",
    "zoo.sql": b"z" * 513,
}


class Dump:
    """A finished dump in a directory, its journal, and a store behind a proxy."""

    def __init__(self, proxy: S3Proxy, bucket: str, tmp_path: Path) -> None:
        self.root = tmp_path / "dump"
        self.bucket = bucket
        self.stop = Impatient()
        pace = Pace(part_bytes=5 * MIB)
        self.store = new_store(proxy.url, bucket, stop=self.stop, options={"pace": pace})
        self.store.patience = Patience(60)
        self.journal = Journal(tmp_path / "journal.sqlite", create=True)
        for name, data in FILES.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            self.journal.settle(name, FileState.of(path.lstat()))
        self.archiver: Archiver | None = None

    def begin(self) -> Archiver:
        self.archiver = Archiver(
            self.store.patient(Patience(60)),
            self.journal,
            root=self.root,
            key=KEY,
            moment=MOMENT,
            stop=self.stop,
            report=new_report(),
        )
        self.archiver.settle()
        self.archiver.start()
        return self.archiver

    def send(self) -> Archive:
        """Send it to its end; raise what went wrong."""
        archiver = self.begin()
        try:

            def ended() -> bool:
                archiver.check()
                return archiver.idle

            eventually(ended)
        finally:
            archiver.halt()
        archive = sent_archive(self.journal)
        assert archive
        return archive

    def data(self) -> bytes:
        body = self.store.client.get_object(Bucket=self.bucket, Key=KEY)["Body"]
        return bytes(body.read())

    def keys(self) -> list[str]:
        return [item.key for item in self.store.objects("")]

    def uploads(self) -> list[tuple[str, str]]:
        return Multipart(self.store).uploads("")

    def assert_nothing(self) -> None:
        """Neither an object nor an open upload, and the journal promises none."""
        assert ([], [], []) == (self.keys(), self.uploads(), self.journal.uploads())
        assert sent_archive(self.journal) is None


@pytest.fixture
def proxy(ceph: Ceph) -> Iterator[S3Proxy]:
    with S3Proxy(ceph.http) as running:
        yield running


@pytest.fixture
def dump(
    ceph: Ceph, proxy: S3Proxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Dump]:
    use_keys(monkeypatch, ceph.access_key, ceph.secret_key)
    made = Dump(proxy, bucket, tmp_path)
    yield made
    if made.archiver:
        made.archiver.halt()
    made.journal.close()


def test_what_is_sent(dump: Dump, proxy: S3Proxy) -> None:
    archive = dump.send()

    data = dump.data()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (archive.bytes, archive.sha256)
    (item,) = dump.store.objects("")
    assert (KEY, len(data), archive.etag) == (item.key, item.bytes, item.etag)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
        found = {
            member.name: file.read() for member in members if (file := tar.extractfile(member))
        }
    assert {f"{TOP}/{name}": content for name, content in FILES.items()} == found
    # In the order of their bytes, but what says that the dump is whole comes last.
    names = [member.name for member in members if not member.isdir()]
    ordered = sorted(FILES.keys() - {METADATA}, key=str.encode)
    assert [f"{TOP}/{name}" for name in [*ordered, METADATA]] == names
    hashes = {row.name: row.sha256 for row in dump.journal.files()}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()} == hashes
    assert [] == dump.uploads()
    assert (1, 3, 1) == (
        proxy.count("CreateMultipartUpload"),
        proxy.count("UploadPart"),
        proxy.count("CompleteMultipartUpload"),
    )
    assert 0 == proxy.count("PutObject")


def test_the_same_dump_makes_the_same_bytes(dump: Dump) -> None:
    first, before = dump.send(), dump.data()
    distrust_archive(dump.journal)
    assert (first, before) == (dump.send(), dump.data())


def test_what_was_sent_is_not_sent_again(dump: Dump, proxy: S3Proxy) -> None:
    first = dump.send()
    sent = len(proxy.requests)
    assert first == dump.send()
    assert sent == len(proxy.requests)


def test_nothing_goes_before_the_dump_has_ended(dump: Dump, proxy: S3Proxy) -> None:
    archiver = Archiver(
        dump.store.patient(Patience(60)),
        dump.journal,
        root=dump.root,
        key=KEY,
        moment=MOMENT,
        stop=dump.stop,
        report=new_report(),
    )
    archiver.start()
    archiver.offer(list(FILES))
    archiver.halt()
    assert not archiver.idle
    assert [] == proxy.requests


def test_the_id_is_in_the_journal_before_a_part_goes(
    dump: Dump, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed then leaves an upload that the next one knows."""
    begin = dump.journal.begin_upload
    durable: list[bool] = []

    def begun(name: str, upload: UploadRow) -> None:
        begin(name, upload)
        durable.append(not dump.journal._db.in_transaction)
        assert 0 == proxy.count("UploadPart")

    def look(_: object) -> None:
        (known,) = dump.journal.uploads()
        durable.append([(KEY, known[1])] == dump.uploads())

    monkeypatch.setattr(dump.journal, "begin_upload", begun)
    proxy.before(PART, look)
    dump.send()
    assert [True, True] == durable


def test_an_upload_that_an_earlier_run_left_open_is_aborted(dump: Dump) -> None:
    left = Multipart(dump.store).create(KEY)
    dump.journal.begin_upload(TOP, UploadRow(left, 5 * MIB, FileState(0, 0, 0, 0)))
    dump.send()
    assert ([], []) == (dump.uploads(), dump.journal.uploads())


@pytest.mark.parametrize(("asked", "most"), [(16, 2), (1, 1)])
def test_only_so_many_parts_are_under_way(
    dump: Dump, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch, asked: int, most: int
) -> None:
    """Else they would fill the memory wherever the store is slower than gzip."""
    monkeypatch.setattr("backup_manager.catalog.archive.parts_in_memory", lambda _: 2)
    pace = Pace(part_bytes=5 * MIB, parts_at_once=asked)
    dump.store = new_store(proxy.url, dump.bucket, stop=dump.stop, options={"pace": pace})
    path = dump.root / "shop.orders.000000001.sql"
    path.write_bytes(random.Random(3).randbytes(9 * MIB))
    dump.journal.settle(path.name, FileState.of(path.lstat()))
    proxy.pause = 0.1  # so that a third part would come meanwhile

    archive = dump.send()

    assert archive.sha256 == hashlib.sha256(dump.data()).hexdigest()
    assert (5, most) == (
        proxy.count("UploadPart"),
        max(each.at_once for each in proxy.requests if PART(each)),
    )


# What goes wrong ---------------------------------------------------------------------------


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _rewrite(path: Path) -> None:
    """Other bytes of the same length, as another file would not have them."""
    with path.open("r+b") as file:
        file.write(b"?")


def _touch_back(path: Path) -> None:
    """A change that hides behind the time of before: only the inode's own time tells."""
    state = path.stat()
    _rewrite(path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def _replace(path: Path) -> None:
    path.with_suffix(".new").write_bytes(path.read_bytes())
    path.with_suffix(".new").rename(path)


DAMAGES: list[Callable[[Path], None]] = [
    _append,
    _rewrite,
    _touch_back,
    _replace,
    lambda path: os.truncate(path, 1000),
    lambda path: path.unlink(),
]


@pytest.mark.parametrize(
    "damage", DAMAGES, ids=["grown", "rewritten", "hidden", "replaced", "cut", "gone"]
)
def test_a_file_that_is_not_as_it_was_ends_it(dump: Dump, damage: Callable[[Path], None]) -> None:
    damage(dump.root / "shop.orders.000000000.sql")
    with pytest.raises(DumpInvalidError, match=r"shop\.orders\.000000000\.sql"):
        dump.send()
    dump.assert_nothing()


@pytest.mark.parametrize(
    "damage",
    [_append, _rewrite, lambda path: os.truncate(path, 2 * MIB)],
    ids=["grown", "rewritten", "cut"],
)
def test_a_file_that_changes_while_it_is_read_ends_it(
    dump: Dump, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was as recorded when it was opened, and is not when its end is read."""
    path = dump.root / "shop.orders.000000000.sql"

    def opened(row: FileRow, source: object) -> None:
        _expect(row, source)  # type: ignore[arg-type]  # a SourceFile, which is not looked at here
        if row.name == path.name:
            damage(path)

    monkeypatch.setattr("backup_manager.catalog.dump_tar._expect", opened)
    with pytest.raises(DumpInvalidError, match="changed after the dump had ended"):
        dump.send()
    dump.assert_nothing()


def test_what_is_expected_of_a_file(dump: Dump) -> None:
    row = dump.journal.file(METADATA)
    assert row
    other = FileRow(METADATA, FileState(1, 2, 3, 4), 0, None, None, confirmed=False)
    source = type("Source", (), {"state": row.state})()
    _expect(row, source)
    with pytest.raises(FileChangedError):
        _expect(other, source)


def test_the_dump_itself_is_gone(dump: Dump) -> None:
    dump.root.rename(dump.root.with_name("elsewhere"))
    with pytest.raises(VolumeError, match="no longer there"):
        dump.send()
    dump.assert_nothing()


@pytest.mark.parametrize(
    "chooser", [operation("CreateMultipartUpload"), PART, COMPLETE], ids=["begin", "part", "end"]
)
def test_a_store_that_refuses(dump: Dump, proxy: S3Proxy, chooser: object) -> None:
    assert callable(chooser)
    proxy.refuse(chooser, times=1000, status=403, code="AccessDenied")
    with pytest.raises(StoreError, match="s3:PutObject"):
        dump.send()
    dump.assert_nothing()


def test_a_part_is_tried_again(dump: Dump, proxy: S3Proxy) -> None:
    proxy.refuse(PART, times=2)
    proxy.lose(PART)
    archive = dump.send()
    assert archive.sha256 == hashlib.sha256(dump.data()).hexdigest()
    assert 1 == proxy.count("CreateMultipartUpload")


def test_an_upload_that_others_abort_is_begun_anew(dump: Dump, proxy: S3Proxy) -> None:
    lost = proxy.refuse(PART, status=404, code="NoSuchUpload")
    archive = dump.send()
    assert lost.reached.is_set()
    assert archive.sha256 == hashlib.sha256(dump.data()).hexdigest()
    assert [] == dump.uploads()
    proxy.refuse(PART, times=1000, status=404, code="NoSuchUpload")
    distrust_archive(dump.journal)
    with pytest.raises(StoreError, match="lifecycle rule"):
        dump.send()
    assert [] == dump.uploads()


def test_halted_in_mid_stream(dump: Dump, proxy: S3Proxy) -> None:
    hold = proxy.hold(PART)
    archiver = dump.begin()
    eventually(hold.reached.is_set)
    archiver.halt()
    hold.released.set()
    archiver._thread.join(60)
    assert not archiver._thread.is_alive()
    assert 0 == proxy.count("CompleteMultipartUpload")
    assert not archiver.idle
    dump.assert_nothing()


def test_halted_where_the_store_is_away(dump: Dump, proxy: S3Proxy) -> None:
    """The upload stays, and the journal names it for the next run."""
    hold = proxy.hold(PART)
    archiver = dump.begin()
    eventually(hold.reached.is_set)
    refused = proxy.refuse(operation("AbortMultipartUpload"), status=403, code="AccessDenied")
    archiver.halt()
    hold.released.set()
    assert refused.reached.is_set()
    (known,) = dump.journal.uploads()
    assert [(KEY, known[1])] == dump.uploads()


# Published, and undone ---------------------------------------------------------------------


def publisher(dump: Dump) -> Publisher:
    return Publisher(
        dump.store, dump.journal, layout=Layout(KEY), stop=dump.stop, report=new_report()
    )


def verify(dump: Dump, tmp_path: Path) -> None:
    made = publisher(dump)
    archiver = dump.begin()
    eventually(lambda: archiver.idle)
    made.send_metadata(archiver.sender, dump.root)
    _, size, etag = made.send_manifest(archiver.sender, tmp_path / "manifest.jsonl.gz")
    made.verify(size, etag)


def test_archive_and_manifest_are_asked_for(dump: Dump, proxy: S3Proxy, tmp_path: Path) -> None:
    dump.send()
    verify(dump, tmp_path)
    assert [KEY, f"{KEY}.manifest.jsonl.gz"] == dump.keys()


def test_no_archive_no_record(dump: Dump) -> None:
    """Whatever the journal has forgotten."""
    manifest = f"{KEY}.manifest.jsonl.gz"
    etag = dump.store.put(manifest, b"x")
    with pytest.raises(MismatchError, match=r"1a2b3c4d\.tgz is missing"):
        publisher(dump).verify(1, etag)


def _other_etag(dump: Dump) -> None:
    dump.store.put(KEY, dump.data())


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda dump: dump.store.delete_one(KEY), "1a2b3c4d.tgz is missing"),
        (lambda dump: dump.store.put(KEY, b"cut"), r"1a2b3c4d\.tgz has 3 bytes"),
        (_other_etag, "and ETag"),
        (lambda dump: dump.store.put(f"{KEY}.tmp", b""), r"\.tgz\.tmp is no file of this backup"),
    ],
    ids=["missing", "cut", "another", "more"],
)
def test_what_the_store_does_not_hold_as_sent(
    dump: Dump, tmp_path: Path, damage: Callable[[Dump], None], words: str
) -> None:
    """Nothing is published, and the next run sends it anew."""
    dump.send()
    damage(dump)
    with pytest.raises(MismatchError, match=words):
        verify(dump, tmp_path)
    assert sent_archive(dump.journal) is None


def test_undoing_touches_no_other_backup(dump: Dump, store: Store) -> None:
    dump.send()
    dump.store.put(f"{KEY}.manifest.jsonl.gz", b"")
    Multipart(store).create(KEY)
    others = [f"{DIRECTORY}/metadata", f"{DIRECTORY}x.tgz", f"{DIRECTORY[:-1]}.tgz"]
    for key in others:
        store.put(key, b"")
    other = Multipart(store).create(others[1])

    undo(dump.store, Layout(KEY), [])

    assert sorted(others) == sorted(dump.keys())
    assert [(others[1], other)] == dump.uploads()


def test_an_upload_that_only_the_journal_knows_is_undone(dump: Dump, proxy: S3Proxy) -> None:
    """Not every store lists them."""
    left = Multipart(dump.store).create(KEY)
    dump.journal.begin_upload(TOP, UploadRow(left, 5 * MIB, FileState(0, 0, 0, 0)))
    proxy.refuse(operation("ListMultipartUploads"), times=1000, status=501, code="NotImplemented")
    undo(dump.store, Layout(KEY), dump.journal.uploads())
    proxy.forget()
    assert [] == dump.uploads()


def test_nothing_is_undone_beside_a_record(dump: Dump) -> None:
    dump.send()
    dump.store.put(f"{KEY}.{RECORD}", b"{}")
    with pytest.raises(HeldError):
        undo(dump.store, Layout(KEY), [])
    assert [KEY, f"{KEY}.{RECORD}"] == dump.keys()


def test_strays_are_aborted(dump: Dump) -> None:
    Multipart(dump.store).create(KEY)
    abort_strays(dump.store, Layout(KEY), new_report())
    assert [] == dump.uploads()


def test_what_a_worker_says_after_a_signal(dump: Dump) -> None:
    dump.stop.request(15)
    with pytest.raises(BackupError, match="SIGTERM"):
        dump.send()


# Where things lie --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "archived", "record", "manifest", "prefix", "key"),
    [
        ("p/b-1a", False, "p/b-1a/backup.json", "p/b-1a/manifest.jsonl.gz", "p/b-1a/", "p/b-1a/x"),
        ("p/b.tgz", True, "p/b.tgz.backup.json", "p/b.tgz.manifest.jsonl.gz", "p/b.tgz", "p/b.tgz"),
    ],
)
def test_layout(
    root: str, archived: bool, record: str, manifest: str, prefix: str, key: str
) -> None:
    layout = Layout(root)
    assert (archived, record, manifest, prefix, key) == (
        layout.archived,
        layout.record,
        layout.manifest,
        layout.prefix,
        layout.key("x"),
    )
    assert record.startswith(prefix)
    assert manifest.startswith(prefix)
