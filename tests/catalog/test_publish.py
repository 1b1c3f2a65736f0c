"""Publishing: a record is written only where the backup is whole, and only ours is success."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from backup_manager.catalog.formats import MANIFEST, RECORD, seal
from backup_manager.catalog.layout import Layout
from backup_manager.catalog.manifest import ManifestError
from backup_manager.catalog.publish import Publisher, holds
from backup_manager.catalog.undo import undo
from backup_manager.errors import (
    BackupError,
    DumpInvalidError,
    ExitCode,
    HeldError,
    InterruptedBySignalError,
    MismatchError,
    Reason,
    StoreError,
    VolumeError,
)
from backup_manager.signals import Stop
from backup_manager.store.client import Store
from backup_manager.store.deletion import Deletion
from backup_manager.store.multipart import Multipart
from backup_manager.store.retries import Patience
from backup_manager.store.sender import Sender
from backup_manager.volume.directory import FileState
from backup_manager.volume.journal import METADATA, Journal
from tests.s3_proxy import S3Proxy, operation
from tests.servers import Ceph
from tests.stores import DIRECTORY, Impatient, new_report, new_store

OURS = seal({"id": "ours", "files": 1})
THEIRS = seal({"id": "theirs", "files": 1})
KEY = f"{DIRECTORY}/{RECORD}"


@pytest.fixture(autouse=True)
def _manifest(ceph: Ceph, bucket: str) -> None:
    """It stands before the record is written."""
    ceph.client().put_object(Bucket=bucket, Key=Layout(DIRECTORY).manifest, Body=b"")


def publisher(store: Store, journal: Journal, stop: Stop | None = None) -> Publisher:
    return Publisher(
        store, journal, layout=Layout(DIRECTORY), stop=stop or Impatient(), report=new_report()
    )


def record(store: Store) -> bytes | None:
    return store.get(KEY, limit=1 << 20)


def error(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "PutObject",
    )


def overtaken(store: Store, meanwhile: Callable[[], object]) -> Store:
    """The store, where this happens right after the record was written."""
    other = store.unheeding()
    put = other.put

    def put_and_more(*words: Any, **named: Any) -> str:
        etag = put(*words, **named)
        meanwhile()
        return etag

    other.put = put_and_more  # type: ignore[method-assign]
    store.unheeding = lambda: other  # type: ignore[method-assign]
    return store


@pytest.mark.parametrize("ended", [False, True])
def test_a_removal_that_overtakes_the_record_leaves_none(
    store: Store, journal: Journal, ceph: Ceph, bucket: str, *, ended: bool
) -> None:
    layout = Layout(DIRECTORY)

    def removal() -> None:
        if ended:
            ceph.client().delete_object(Bucket=bucket, Key=layout.manifest)
        else:
            ceph.client().put_object(Bucket=bucket, Key=layout.tombstone, Body=b"being removed")

    with pytest.raises(HeldError, match="was removed by prune or clean"):
        publisher(overtaken(store, removal), journal).publish(OURS)
    assert None is record(store)


# Writing the record ------------------------------------------------------------------------


def test_the_record_is_in_the_journal_before_it_is_sent(store: Store, journal: Journal) -> None:
    class Seen(Exception):  # noqa: N818 - no error
        pass

    def put(*_: object, **__: object) -> str:
        assert not journal._db.in_transaction
        assert OURS.decode() == journal.fact("record")
        raise Seen

    other = store.unheeding()
    other.put = put  # type: ignore[method-assign]
    store.unheeding = lambda: other  # type: ignore[method-assign]
    with pytest.raises(Seen):
        publisher(store, journal).publish(OURS)


def test_publishing(store: Store, journal: Journal) -> None:
    publisher(store, journal).publish(OURS)
    assert OURS == record(store)
    assert holds(store, KEY, OURS)


def test_publishing_twice_is_publishing_once(store: Store, journal: Journal) -> None:
    """As after a kill between the answer and the next step: 412, and it is ours."""
    publisher(store, journal).publish(OURS)
    publisher(store, journal).publish(OURS)
    assert OURS == record(store)


def taken(call: Callable[[], object]) -> None:
    with pytest.raises(HeldError) as caught:
        call()
    assert (ExitCode.HELD, Reason.SUPERSEDED) == (caught.value.exit_code, caught.value.reason)


@pytest.mark.parametrize("there", [THEIRS, b"", b"{}", OURS[:-1], b"x" * (2 << 20)])
def test_another_record_is_left_alone(store: Store, journal: Journal, there: bytes) -> None:
    store.put(KEY, there)
    taken(lambda: publisher(store, journal).publish(OURS))
    assert there == store.get(KEY, limit=4 << 20)


def test_the_same_id_with_another_hash_is_another_record(store: Store, journal: Journal) -> None:
    store.put(KEY, seal({"id": "ours", "files": 2}))
    taken(lambda: publisher(store, journal).publish(OURS))


def test_the_same_record_in_another_spelling_is_ours(store: Store, journal: Journal) -> None:
    store.put(KEY, OURS.replace(b",", b", "))
    publisher(store, journal).publish(OURS)


def test_a_record_of_megabytes(store: Store, journal: Journal) -> None:
    """Thousands of schemas may be named in its warnings."""
    large = seal({"id": "ours", "warnings": ["schema"] * 300_000})
    publisher(store, journal).publish(large)
    publisher(store, journal).publish(large)
    assert holds(store, KEY, large)


class Put:
    """Stands in for PutObject: raises errors in turn, having written or not; then it works."""

    def __init__(self, store: Store, patch: pytest.MonkeyPatch) -> None:
        self.conditional: list[bool] = []
        self.turns: list[tuple[Exception, bytes | None]] = []
        self._put = store.client.put_object
        patch.setattr(store.client, "put_object", self)

    def __call__(self, **arguments: Any) -> Any:
        self.conditional.append("IfNoneMatch" in arguments)
        if not self.turns:
            return self._put(**arguments)
        error, written = self.turns.pop(0)
        if written is not None:
            self._put(Bucket=arguments["Bucket"], Key=arguments["Key"], Body=written)
        raise error


@pytest.fixture
def put(store: Store, monkeypatch: pytest.MonkeyPatch) -> Put:
    return Put(store, monkeypatch)


@pytest.mark.parametrize(("code", "status"), [("InvalidRequest", 400), ("NotImplemented", 501)])
def test_a_store_that_knows_no_conditions(
    store: Store, journal: Journal, put: Put, code: str, status: int
) -> None:
    put.turns = [(error(code, status), None)]
    publisher(store, journal).publish(OURS)
    assert ([True, False], OURS) == (put.conditional, record(store))


def test_a_400_for_another_reason_does_not_lift_the_condition(
    store: Store, journal: Journal, put: Put
) -> None:
    put.turns = [(error("RequestTimeout", 400), None)]
    publisher(store, journal).publish(OURS)
    assert ([True, True], OURS) == (put.conditional, record(store))


def test_a_store_that_knows_no_conditions_and_has_another_record(
    store: Store, journal: Journal, put: Put
) -> None:
    store.put(KEY, THEIRS)
    put.conditional.clear()
    put.turns = [(error("NotImplemented", 501), None)]
    taken(lambda: publisher(store, journal).publish(OURS))
    assert ([True], THEIRS) == (put.conditional, record(store))


def test_a_store_that_ignores_conditions_and_somebody_was_faster(
    store: Store, journal: Journal, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their record overwrote ours between our write and our look."""
    get = store.client.get_object

    def overwritten(**arguments: Any) -> Any:
        put._put(Bucket=arguments["Bucket"], Key=arguments["Key"], Body=THEIRS)
        return get(**arguments)

    monkeypatch.setattr(store.client, "get_object", overwritten)
    taken(lambda: publisher(store, journal).publish(OURS))


@pytest.mark.parametrize(
    "lost",
    [
        EndpointConnectionError(endpoint_url="x"),
        ConnectionResetError(),
        TimeoutError(),
        error("InternalError", 500),
        error("ConditionalRequestConflict", 409),
    ],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.parametrize("written", [OURS, None], ids=["written", "not written"])
def test_a_lost_answer(
    store: Store, journal: Journal, put: Put, lost: Exception, written: bytes | None
) -> None:
    put.turns = [(lost, written)]
    publisher(store, journal).publish(OURS)
    assert (1 if written else 2, OURS) == (len(put.conditional), record(store))


def test_a_conflict_that_another_has_won(store: Store, journal: Journal, put: Put) -> None:
    put.turns = [(error("ConditionalRequestConflict", 409), THEIRS)]
    taken(lambda: publisher(store, journal).publish(OURS))


def test_a_lost_answer_on_the_line(store: Store, journal: Journal, ceph: Ceph, bucket: str) -> None:
    with S3Proxy(ceph.http) as proxy:
        proxy.lose(operation("PutObject", containing=RECORD), times=2)
        publisher(new_store(proxy.url, bucket), journal).publish(OURS)
    assert OURS == record(store)


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("SlowDown", 503)])
def test_a_record_that_cannot_be_written(
    store: Store, journal: Journal, put: Put, code: str, status: int
) -> None:
    put.turns = [(error(code, status), None)] * 99
    store.patience = Patience(0)
    with pytest.raises(StoreError) as caught:
        publisher(store, journal).publish(OURS)
    assert (f"s3://{store.settings.bucket}/{KEY}: cannot publish", Reason.UPLOAD) == (
        caught.value.what,
        caught.value.reason,
    )
    assert 1 == len(put.conditional)
    assert record(store) is None


def test_a_storm_at_the_record_is_survived(store: Store, journal: Journal, put: Put) -> None:
    put.turns = [(error("SlowDown", 503), None)] * 20
    publisher(store, journal).publish(OURS)
    assert ([True] * 21, OURS) == (put.conditional, record(store))


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "OperationAborted"])
def test_conflicts_that_pass_are_waited_for(
    store: Store, journal: Journal, put: Put, code: str
) -> None:
    put.turns = [(error(code, 409), None)] * 20
    publisher(store, journal).publish(OURS)
    assert OURS == record(store)


def test_a_store_that_says_412_and_has_none(store: Store, journal: Journal, put: Put) -> None:
    put.turns = [(error("PreconditionFailed", 412), None)] * 99
    with pytest.raises(MismatchError, match="and then had none"):
        publisher(store, journal).publish(OURS)
    assert 5 == len(put.conditional)


def test_a_store_that_takes_the_record_and_has_none(
    store: Store, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.client, "put_object", lambda **_: {"ETag": '"x"'})
    with pytest.raises(MismatchError, match="does not hold the record"):
        publisher(store, journal).publish(OURS)


def test_a_signal_does_not_undo_what_was_begun(store: Store, journal: Journal, put: Put) -> None:
    stop = Stop()
    begun = put._put

    def put_object(**arguments: Any) -> Any:
        stop.request(15)
        return begun(**arguments)

    put._put = put_object
    publisher(store, journal, stop).publish(OURS)
    assert (True, OURS) == (stop.requested, record(store))


def test_a_signal_ends_it_at_last(
    store: Store, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome is not known then: the next run reads it back."""
    stop, released = Stop(), threading.Event()
    monkeypatch.setattr("backup_manager.signals.ORDERLY_SECONDS", 0.0)

    def put_object(**_: object) -> None:
        stop.request(15)
        released.wait(60)

    monkeypatch.setattr(store.client, "put_object", put_object)
    with pytest.raises(InterruptedBySignalError):
        publisher(store, journal, stop).publish(OURS)
    released.set()
    assert OURS.decode() == journal.fact("record")


# Comparing with the store ------------------------------------------------------------------


class Backup:
    """A backup of three files and a manifest, in the store and in the journal."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self.store, self.journal = store, journal
        for name in ("a", "sub/b ü", METADATA):
            self.add(name, f"content of {name}".encode())
        self.manifest = self.store.put(f"{DIRECTORY}/{MANIFEST}", b"manifest")

    def add(self, name: str, data: bytes) -> None:
        etag = self.store.put(f"{DIRECTORY}/{name}", data)
        self.journal.offer([name])
        state = FileState(1, len(data), 2, 3)
        self.journal.confirm(name, state, read_ns=0, sha256="s", etag=etag)

    def verify(self) -> None:
        publisher(self.store, self.journal).verify(8, self.manifest)

    def refusal(self) -> str:
        with pytest.raises(MismatchError) as caught:
            self.verify()
        assert ExitCode.MISMATCH == caught.value.exit_code
        assert f"s3://{self.store.settings.bucket}/{DIRECTORY}: the store does not" in (
            caught.value.what
        )
        return caught.value.why


@pytest.fixture
def backup(store: Store, journal: Journal) -> Backup:
    return Backup(store, journal)


def test_a_whole_backup(backup: Backup) -> None:
    backup.verify()
    # A neighbour whose name begins alike is no part of it.
    backup.store.put(f"{DIRECTORY}-and-more/x", b"")
    backup.verify()


@pytest.mark.parametrize("name", ["a", "sub/b ü", METADATA, MANIFEST])
def test_a_missing_object(backup: Backup, name: str) -> None:
    backup.store.delete_one(f"{DIRECTORY}/{name}")
    assert f"{name} is missing" == backup.refusal()


def test_all_objects_are_missing(backup: Backup) -> None:
    list(Deletion(backup.store).delete(backup.store.objects("")))
    missing = ("a", METADATA, "sub/b ü")
    assert "; ".join(f"{name} is missing" for name in (MANIFEST, *missing)) == backup.refusal()


def test_a_key_that_is_listed_twice_hides_no_missing_one(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup.store.delete_one(f"{DIRECTORY}/a")
    listed = list(backup.store.objects(f"{DIRECTORY}/"))
    monkeypatch.setattr(backup.store, "objects", lambda _prefix: [*listed, listed[-1]])
    assert "a is missing" == backup.refusal()


def test_a_backup_that_is_being_removed(backup: Backup, journal: Journal) -> None:
    """Nothing is published under the hands of prune; an empty tombstone was taken back."""
    tombstone = Layout(DIRECTORY).tombstone
    backup.store.put(tombstone, b"")
    backup.verify()
    assert None is journal.fact("superseded")
    backup.store.put(tombstone, b"being removed")
    with pytest.raises(HeldError, match="removed by prune or clean") as caught:
        backup.verify()
    assert (ExitCode.HELD, Reason.HELD) == (caught.value.exit_code, caught.value.reason)
    assert "true" == journal.fact("superseded")


@pytest.mark.parametrize("name", ["a", MANIFEST])
@pytest.mark.parametrize("data", [b"", b"content of A", b"manifesT", b"longer " * 9])
def test_an_object_of_other_bytes(backup: Backup, name: str, data: bytes) -> None:
    backup.store.put(f"{DIRECTORY}/{name}", data)
    why = backup.refusal()
    assert f"{name} has {len(data)} bytes and ETag " in why
    assert "sent were " in why


def test_a_record_that_stands_there_already(backup: Backup) -> None:
    backup.store.put(KEY, THEIRS)
    taken(backup.refusal)
    backup.journal.remember(record=OURS.decode())
    taken(backup.refusal)
    backup.store.put(KEY, OURS)  # late, by the run before this one
    backup.verify()


@pytest.mark.parametrize("name", ["b", "sub/c", "metadata.1"])
def test_an_object_too_many(backup: Backup, name: str) -> None:
    backup.store.put(f"{DIRECTORY}/{name}", b"")
    assert f"{name} is no file of this backup" == backup.refusal()


def test_one_too_many_does_not_make_up_for_one_missing(backup: Backup) -> None:
    backup.store.delete_one(f"{DIRECTORY}/a")
    backup.store.put(f"{DIRECTORY}/b", b"")
    assert "b is no file of this backup" in backup.refusal()


def test_a_file_that_is_not_confirmed_counts_for_nothing(backup: Backup) -> None:
    """Even where the store has what was confirmed of it before."""
    backup.journal.offer(["a"])
    assert "a is no file of this backup" == backup.refusal()


def test_only_the_first_few_are_named(backup: Backup) -> None:
    for number in range(20):
        backup.store.put(f"{DIRECTORY}/x{number:02}", b"")
    assert 5 == len(backup.refusal().split("; "))


# metadata and the manifest -----------------------------------------------------------------


@pytest.fixture
def sender(store: Store) -> Sender:
    return Sender(store, stop=Impatient(), report=new_report())


@pytest.fixture
def dump(tmp_path: Path, journal: Journal) -> Path:
    """A dump of `metadata` alone, settled."""
    path = tmp_path / "dump"
    path.mkdir()
    (path / METADATA).write_bytes(b"Started dump at")
    journal.settle(METADATA, FileState.of((path / METADATA).lstat()))
    return path


def test_sending_metadata(store: Store, journal: Journal, sender: Sender, dump: Path) -> None:
    store.delete_one(Layout(DIRECTORY).manifest)
    one = publisher(store, journal)
    one.send_metadata(sender, dump)
    row = journal.file(METADATA)
    assert row
    (item,) = store.objects(f"{DIRECTORY}/")
    assert (f"{DIRECTORY}/{METADATA}", 15, row.etag) == (item.key, item.bytes, item.etag)
    assert (True, False) == (row.confirmed, journal._db.in_transaction)
    # What is confirmed is not sent again, whatever became of the file.
    (dump / METADATA).unlink()
    one.send_metadata(sender, dump)


def test_metadata_that_is_not_what_was_recorded(
    store: Store, journal: Journal, sender: Sender, dump: Path
) -> None:
    (dump / METADATA).write_bytes(b"Finished dump at")
    with pytest.raises(DumpInvalidError, match="metadata changed after the dump had ended"):
        publisher(store, journal).send_metadata(sender, dump)
    row = journal.file(METADATA)
    assert row
    assert not row.confirmed


def test_sending_the_manifest(
    store: Store, journal: Journal, sender: Sender, dump: Path, tmp_path: Path
) -> None:
    one = publisher(store, journal)
    one.send_metadata(sender, dump)
    sent = [one.send_manifest(sender, tmp_path / "manifest") for _ in range(2)]
    assert sent[0] == sent[1]
    _, size, etag = sent[0]
    one.verify(size, etag)


def test_a_volume_that_garbles_the_manifest(
    store: Store, journal: Journal, sender: Sender, dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = publisher(store, journal)
    one.send_metadata(sender, dump)
    put_file = sender.put_file

    def garbled(path: Path, key: str) -> Any:
        path.write_bytes(path.read_bytes()[:-1])
        return put_file(path, key)

    monkeypatch.setattr(sender, "put_file", garbled)
    with pytest.raises(VolumeError, match="is not what was written"):
        one.send_manifest(sender, dump / "manifest")


def test_a_manifest_that_could_not_be_read_is_not_sent(
    store: Store, journal: Journal, sender: Sender, tmp_path: Path
) -> None:
    store.delete_one(Layout(DIRECTORY).manifest)
    journal.offer(["../outside"])
    journal.confirm("../outside", FileState(1, 1, 1, 1), read_ns=1, sha256="a" * 64, etag="e")
    with pytest.raises(ManifestError, match="no relative path"):
        publisher(store, journal).send_manifest(sender, tmp_path / "manifest")
    assert [] == list(store.objects(""))


# Undoing -----------------------------------------------------------------------------------


def test_undoing(backup: Backup, ceph: Ceph, bucket: str) -> None:
    multipart = Multipart(backup.store)
    multipart.create(f"{DIRECTORY}/big")
    multipart.create(f"{DIRECTORY}-other/big")
    backup.store.put(f"{DIRECTORY}-other/x", b"")
    undo(backup.store, Layout(DIRECTORY), [])
    undo(backup.store, Layout(DIRECTORY), [])
    assert [f"{DIRECTORY}-other/x"] == [item.key for item in backup.store.objects("")]
    uploads = ceph.client().list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [f"{DIRECTORY}-other/big"] == [upload["Key"] for upload in uploads]


def test_nothing_is_undone_under_a_record(backup: Backup) -> None:
    """As after a copy of the volume: the run on the other one has published."""
    backup.store.put(KEY, THEIRS)
    before = list(backup.store.objects(""))
    with pytest.raises(HeldError, match="published from another copy of this volume"):
        undo(backup.store, Layout(DIRECTORY), [])
    assert before == list(backup.store.objects(""))


def test_undoing_where_bulk_deletes_are_refused(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise error("NotImplemented", 501)

    monkeypatch.setattr(backup.store.client, "delete_objects", refuse)
    undo(backup.store, Layout(DIRECTORY), [])
    assert [] == list(backup.store.objects(""))


def test_undoing_where_every_delete_is_refused(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise error("AccessDenied", 403)

    monkeypatch.setattr(backup.store.client, "delete_objects", refuse)
    monkeypatch.setattr(backup.store.client, "delete_object", refuse)
    with pytest.raises(BackupError, match="s3:DeleteObject"):
        undo(backup.store, Layout(DIRECTORY), [])
