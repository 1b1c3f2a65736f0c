"""What is taken up of earlier runs, and what is said of a record that is not theirs."""

import json
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backup_manager.canonical import timestamp
from backup_manager.catalog.archive import distrust_archive
from backup_manager.catalog.formats import RECORD, open_record, seal
from backup_manager.database import privileges, visible
from backup_manager.errors import (
    DatabaseError,
    HeldError,
    InterruptedBySignalError,
    VolumeError,
)
from backup_manager.export import attention, steps
from backup_manager.export.atrest import FACT, at_rest
from backup_manager.export.found import Dead
from backup_manager.export.job import Job
from backup_manager.export.record import record_for
from backup_manager.export.takeup import (
    clear,
    earlier_runs,
    hold_identity,
    make_room,
    published,
)
from backup_manager.store.client import Store
from backup_manager.store.settings import StoreOptions
from backup_manager.telling import Telling
from backup_manager.volume.directory import FileState
from backup_manager.volume.lock import IdentityLock
from backup_manager.volume.runs import Run, find, lock_path
from tests.servers import Ceph
from tests.stores import Impatient, new_report, new_store, use_keys

IDENTITY, OTHER = "0" * 16, "f" * 16
OURS = seal({"id": "ours", "manifest": {"sha256": "aa"}})


@pytest.fixture
def job(volume: Path) -> Job:
    settings = {
        "name": None,
        "schedule": None,
        "lock_timeout": 0,
        "no_resume": False,
        "resume_max_age": 3600.0,
        "retain_unpublished": 3600.0,
    }
    made = SimpleNamespace(
        volume=volume,
        identity=IDENTITY,
        settings=settings,
        report=new_report(),
        stop=Impatient(),
        store=None,
        store_options=StoreOptions(),
        telling=Telling(),
        step=lambda *_, **__: None,
    )
    return cast(Job, made)


@pytest.fixture
def store(ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    use_keys(monkeypatch, ceph.access_key, ceph.secret_key)
    return new_store(ceph.http, bucket)


def begin(volume: Path, identity: str = IDENTITY, **facts: str) -> Run:
    known = {"source_address": "x", FACT: at_rest(StoreOptions()), **facts}
    return Run.create(volume, identity, key=lambda backup: f"p/{backup}", facts=known)


def dumped(volume: Path, identity: str = IDENTITY, **facts: str) -> Run:
    """A run with a finished dump of one file."""
    run = begin(volume, identity, **facts)
    (run.place.dump / "a").write_text("text")
    run.journal.settle("a", FileState.of((run.place.dump / "a").lstat()))
    run.journal.remember(
        digest=run.journal.digest(),
        dumped=timestamp(datetime.now(UTC)),
        snapshot_taken=datetime.now(UTC).isoformat(),
    )
    return run


def found(job: Job) -> tuple[str | None, list[str]]:
    """The backup that is taken up, and the dead ones."""
    with earlier_runs(job) as runs:
        taken = runs.taken.place.backup if runs.taken else None
        return taken, [dead.place.backup for dead in runs.dead]


# Taken up ----------------------------------------------------------------------------------


def test_a_finished_dump_is_taken_up(job: Job, volume: Path) -> None:
    run = dumped(volume)
    run.close()
    assert (run.place.backup, []) == found(job)


def test_an_unfinished_one_is_dead(job: Job, volume: Path) -> None:
    run = begin(volume)
    run.close()
    assert (None, [run.place.backup]) == found(job)


CHANGES: dict[str, Callable[[Path], object]] = {
    "changed": lambda path: path.write_text("other"),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_dump_that_is_not_as_recorded_is_dead(job: Job, volume: Path, change: str) -> None:
    run = dumped(volume)
    run.close()
    CHANGES[change](run.place.dump / "a")
    assert (None, [run.place.backup]) == found(job)


@pytest.mark.parametrize("change", CHANGES)
def test_a_dump_whose_archive_is_in_the_store_is_taken_up(
    job: Job, volume: Path, change: str
) -> None:
    """Its files are needed no more; but those of one that the store has lost are."""
    run = dumped(volume)
    run.journal.remember(archive=json.dumps({"bytes": 1, "sha256": "s", "etag": "e"}))
    run.close()
    CHANGES[change](run.place.dump / "a")
    assert (run.place.backup, []) == found(job)
    again = Run.open(run.place)
    distrust_archive(again.journal)
    again.close()
    assert (None, [run.place.backup]) == found(job)


def test_a_dump_that_is_too_old_is_dead(job: Job, volume: Path) -> None:
    run = dumped(volume)
    run.journal.remember(snapshot_taken="2020-01-01T00:00:00+00:00")
    run.close()
    assert (None, [run.place.backup]) == found(job)


def test_a_journal_that_lost_a_row_is_dead(job: Job, volume: Path) -> None:
    """Whole rows can go missing with a damaged rollback journal, and nothing else shows it."""
    run = dumped(volume)
    run.journal._db.execute("DELETE FROM files")
    run.close()
    assert (None, [run.place.backup]) == found(job)


def test_asked_to_begin_anew_no_dump_is_taken_up(job: Job, volume: Path) -> None:
    run = dumped(volume)
    run.close()
    cast(dict[str, Any], job.settings)["no_resume"] = True
    assert (None, [run.place.backup]) == found(job)


def test_links_on_the_volume_are_not_followed(job: Job, volume: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_text("text")
    (volume / f"{IDENTITY}.backup-2026-11-22T10:00:00Z-1a2b3c4d").symlink_to(outside)
    run = begin(volume)
    run.close()
    run.place.dump.rmdir()
    run.place.dump.symlink_to(outside)
    assert (None, [run.place.backup]) == found(job)
    make_room(job, [Dead(run.place, None)])
    assert (False, "text") == (run.place.dump.is_symlink(), (outside / "a").read_text())


def test_what_cannot_be_opened_of_another_identity_is_left_alone(job: Job, volume: Path) -> None:
    run = begin(volume, OTHER)
    run.close()
    run.place.journal.unlink()
    run.place.journal.mkdir()
    assert (None, []) == found(job)
    lock_path(volume, OTHER).mkdir()
    assert (None, []) == found(job)
    assert run.place.path.exists()


def test_locks_of_others_are_held_no_longer_than_needed(job: Job, volume: Path) -> None:
    begin(volume, OTHER).close()
    with earlier_runs(job) as runs:
        assert lock_path(volume, OTHER).exists()
        runs.close()
        assert not lock_path(volume, OTHER).exists()


def test_a_lock_whose_run_was_never_begun_goes(job: Job, volume: Path) -> None:
    lock_path(volume, OTHER).write_text("{}")
    (volume / "theirs.lock").write_text("")
    assert (None, []) == found(job)
    assert [volume / "theirs.lock"] == list(volume.glob("*.lock"))


def test_a_clock_that_was_ahead_makes_no_dump_young(job: Job, volume: Path) -> None:
    run = dumped(volume)
    run.journal.remember(snapshot_taken="2126-01-01T00:00:00+00:00")
    run.close()
    assert (None, [run.place.backup]) == found(job)


def test_a_record_that_may_be_on_its_way_keeps_its_files(
    job: Job, volume: Path, store: Store
) -> None:
    """Else a request that a killed run had sent would leave a record, and nothing else."""
    record = seal({"id": "ours", "finished": timestamp(datetime.now(UTC))})
    location = json.dumps(asdict(store.settings))
    run = dumped(volume, record=record.decode(), store=location, command="…")
    key = f"{run.directory}/a"
    store.put(key, b"text")
    run.close()
    cast(dict[str, Any], job.settings)["no_resume"] = True
    cast(dict[str, Any], job.settings)["retain_unpublished"] = 0.0
    with earlier_runs(job) as runs:
        clear(job, store, runs)
    assert [key] == [item.key for item in store.objects("")]
    assert [run.place.backup] == [place.backup for place in find(volume)]


def test_a_kill_before_the_journal_was_made(job: Job, volume: Path) -> None:
    (volume / f"{IDENTITY}.backup-2026-11-22T10:00:00Z-1a2b3c4d").mkdir()
    assert (None, ["backup-2026-11-22T10:00:00Z-1a2b3c4d"]) == found(job)


def test_a_kill_while_the_local_data_was_cleared_away(job: Job, volume: Path) -> None:
    """The journal goes last of the files, the directory after it."""
    run = dumped(volume)
    run.close()
    (run.place.dump / "a").unlink()
    run.place.dump.rmdir()
    run.place.journal.unlink()
    assert (None, [run.place.backup]) == found(job)
    with earlier_runs(job) as runs:
        clear(job, cast(Store, None), runs)
    assert ([], []) == (find(volume), job.report.summary.warnings)


def test_a_journal_that_another_process_has_open_is_not_touched(
    job: Job, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where somebody removed the lock of a run that is at work."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0}))
    run = dumped(volume)
    with pytest.raises(HeldError, match="in use by another process"):
        found(job)
    theirs = dumped(volume, OTHER)
    run.close()
    assert (run.place.backup, []) == found(job)
    theirs.close()
    assert (run.place.backup, [theirs.place.backup]) == found(job)


# Other identities --------------------------------------------------------------------------


def test_all_dead_runs_of_another_identity_are_found(job: Job, volume: Path) -> None:
    runs = [begin(volume, OTHER), dumped(volume, OTHER), begin(volume, OTHER)]
    for run in runs:
        run.close()
    taken, dead = found(job)
    assert (None, {run.place.backup for run in runs}) == (taken, set(dead))


def test_a_run_that_somebody_holds_is_left_out(job: Job, volume: Path) -> None:
    run = begin(volume, OTHER)
    run.close()
    lock = IdentityLock(lock_path(volume, OTHER))
    assert lock.try_acquire({"host": "theirs"})
    assert (None, []) == found(job)
    assert lock.held()
    lock.release()
    assert (None, [run.place.backup]) == found(job)
    assert not lock_path(volume, OTHER).exists()


# The lock ----------------------------------------------------------------------------------


def test_a_lock_that_cannot_be_removed_is_a_warning(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup may be published by then: that stays a success."""

    def refuse(_: IdentityLock) -> None:
        raise VolumeError("the lock cannot be removed")

    with hold_identity(job):
        monkeypatch.setattr(IdentityLock, "release", refuse)
    assert ["the lock cannot be removed"] == job.report.summary.warnings


# Published or not --------------------------------------------------------------------------


@pytest.fixture
def recorded(volume: Path, store: Store) -> Run:
    """A run whose record's writing was begun."""
    return dumped(volume, record=OURS.decode(), store=json.dumps(asdict(store.settings)))


def test_a_record_that_is_there(store: Store, recorded: Run) -> None:
    assert not published(store, recorded)
    store.put(f"{recorded.directory}/{RECORD}", OURS)
    assert published(store, recorded)
    recorded.close()


def test_a_record_whose_files_are_gone_on_both_sides(job: Job, recorded: Run) -> None:
    """Killed while it cleared the volume; then somebody deleted the backup in the store."""
    state = FileState.of((recorded.place.dump / "a").lstat())
    recorded.journal.confirm("a", state, read_ns=0, sha256="s", etag="e")
    (recorded.place.dump / "a").unlink()
    recorded.journal.commit()
    recorded.close()
    assert (recorded.place.backup, []) == found(job)
    # That run finds that the store has it not, and would have to send it again.
    with earlier_runs(job) as runs:
        assert runs.taken
        runs.taken.journal.distrust("a")
        runs.taken.journal.commit()
    assert (None, [recorded.place.backup]) == found(job)


@pytest.mark.parametrize("there", [seal({"id": "theirs"}), OURS[:-1]], ids=["theirs", "damaged"])
def test_another_record_is_no_success(job: Job, store: Store, recorded: Run, there: bytes) -> None:
    """Nor does it hold up the next run for ever: that makes a new backup."""
    key = f"{recorded.directory}/{RECORD}"
    store.put(key, there)
    with pytest.raises(HeldError, match="another run has published in this one's place"):
        published(store, recorded)
    recorded.close()
    assert (None, [recorded.place.backup]) == found(job)
    with earlier_runs(job) as runs:
        clear(job, store, runs)
    assert [] == find(job.volume)
    assert there == store.get(key, limit=1000)


@pytest.mark.parametrize("told_by", ["the journal", "a tombstone"])
def test_a_backup_that_was_removed_does_not_come_back(
    job: Job, store: Store, recorded: Run, told_by: str
) -> None:
    """Nor is what is left of it undone: who removes it knows the order."""
    tombstone = f"{recorded.directory}/{RECORD}.deleted"
    if told_by == "the journal":
        recorded.journal.remember(published="true")
    else:
        # An empty one was taken back.
        store.put(tombstone, b"")
        assert not published(store, recorded)
        store.put(tombstone, b"being removed")
    before = list(store.objects(""))
    with pytest.raises(HeldError, match="removed by prune or clean"):
        published(store, recorded)
    recorded.close()
    assert (None, [recorded.place.backup]) == found(job)
    with earlier_runs(job) as runs:
        clear(job, store, runs)
    assert [] == find(job.volume)
    assert before == list(store.objects(""))


# Undone ------------------------------------------------------------------------------------


def test_a_signal_that_a_worker_noticed_first_is_no_reason_not_to_undo(
    job: Job, volume: Path, store: Store, bucket: str, ceph: Ceph
) -> None:
    store = new_store(ceph.http, bucket, stop=job.stop)
    run = begin(volume)
    store.put(f"{run.directory}/a", b"text")

    def fail() -> None:
        with steps.running(job, store, None, run):
            job.stop.request(signal.SIGTERM)
            raise job.stop.error

    with pytest.raises(InterruptedBySignalError):
        fail()
    assert [] == list(store.objects(""))
    assert ([], []) == (find(volume), job.report.summary.warnings)


# The record of a run that was taken up -----------------------------------------------------


def test_the_record_that_was_begun_is_gone_on_with(job: Job, volume: Path) -> None:
    run = dumped(volume, record=OURS.decode())
    assert OURS == record_for(job, run, "aa")
    run.close()


@pytest.mark.parametrize("damaged", [False, True])
def test_a_record_of_another_manifest_is_not(job: Job, volume: Path, damaged: bool) -> None:
    """Another version of this program may pack the same lines into other bytes."""
    facts: dict[str, Any] = {
        "record": (OURS[:-3] if damaged else OURS).decode(),
        "snapshot": json.dumps({"tso": "1", "time": None}),
        "source": "{}",
        "dumpling": json.dumps({"version": "v8", "options": []}),
        "warnings": "[]",
    }
    run = dumped(volume, **facts)
    record = open_record(record_for(job, run, "aa" if damaged else "bb"))
    assert ("aa" if damaged else "bb", run.id) == (record["manifest"]["sha256"], record["id"])
    run.close()


def test_a_record_of_another_archive_is_not(job: Job, volume: Path) -> None:
    """The same files, packed by another version: the manifest is the same, the archive is not."""
    before = {"key": "x", "bytes": 1, "sha256": "before"}
    begun = seal({"id": "ours", "manifest": {"sha256": "aa"}, "archive": before})
    facts = {
        "record": begun.decode(),
        "snapshot": json.dumps({"tso": "1", "time": None}),
        "source": "{}",
        "dumpling": json.dumps({"version": "v8", "options": []}),
        "warnings": "[]",
    }
    run = dumped(volume, **facts)
    name = run.directory.rpartition("/")[2]
    run.journal.remember(archive=json.dumps({"bytes": 1, "sha256": "after", "etag": "e"}))
    record = open_record(record_for(job, run, "aa"))
    assert {"key": name, "bytes": 1, "sha256": "after"} == record["archive"]
    assert run.id == record["id"]
    run.close()


# The end of the dump -----------------------------------------------------------------------


def test_whatever_the_record_needs_is_there_once_the_dump_is_finished(
    job: Job, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill may come right after any of the journal's commits."""
    run = begin(volume)
    remember = run.journal.remember

    def checked(**facts: str) -> None:
        assert not run.dumped
        remember(**facts)
        if run.dumped:
            assert ({"tso": "7", "time": None}, []) == (run.load("snapshot"), run.load("warnings"))

    monkeypatch.setattr(run.journal, "remember", checked)
    said, content = SimpleNamespace(position="7"), SimpleNamespace()
    monkeypatch.setattr(steps, "conclude", lambda *_, **__: (said, content))
    monkeypatch.setattr(steps, "warn_of_what_is_not_in_it", lambda *_: None)
    vars(job)["options"] = SimpleNamespace(snapshot=None)
    settled: list[bool] = []
    uploader = SimpleNamespace(settle=lambda: settled.append(run.dumped))
    beside = SimpleNamespace(uploader=uploader, show=lambda _: None)
    end = SimpleNamespace(pinned=None, exact=True, no_position="")
    database = SimpleNamespace(is_tidb=False)
    steps.finish_dump(job, run, cast(Any, database), cast(Any, beside), cast(Any, end))
    assert [True] == settled
    run.close()


def test_a_database_that_goes_away_at_the_end_costs_no_dump(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is said about the dump is lost: it is whole."""

    def gone(*_: object) -> None:
        raise DatabaseError("the database is gone")

    content = SimpleNamespace(left_out=lambda _: [], names_readable=True, schemas={"shop"})
    monkeypatch.setattr(privileges, "visible_schemas", lambda _: [])
    monkeypatch.setattr(visible, "objects", gone)
    vars(job)["options"] = SimpleNamespace(values={})
    attention.warn_of_what_is_not_in_it(job, cast(Any, None), cast(Any, content))
    assert [] == job.report.summary.warnings
