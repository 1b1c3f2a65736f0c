"""The steps of a backup that ``export`` puts in order."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from backup_manager.canonical import timestamp
from backup_manager.catalog.formats import read_record
from backup_manager.catalog.layout import Layout
from backup_manager.catalog.publish import Publisher
from backup_manager.catalog.undo import abort_strays, undo
from backup_manager.database import privileges, snapshot
from backup_manager.database.connection import Database
from backup_manager.database.lease import Lease
from backup_manager.database.waiting import wait_for_database
from backup_manager.dumpling.options import Options
from backup_manager.errors import (
    BackupError,
    InterruptedBySignalError,
    StoreError,
)
from backup_manager.export.atrest import differs, send_anew
from backup_manager.export.attention import warn_of_room, warn_of_what_is_not_in_it
from backup_manager.export.beside import Beside
from backup_manager.export.conclude import conclude
from backup_manager.export.dump import DumpEnd, run_dumpling
from backup_manager.export.engine import open_engine
from backup_manager.export.job import Job
from backup_manager.export.record import facts_of, record_for
from backup_manager.progress import open_progress, size
from backup_manager.report import Report
from backup_manager.store import probe
from backup_manager.store.client import Store
from backup_manager.store.retries import Patience
from backup_manager.telling import Phase
from backup_manager.volume import directory
from backup_manager.volume.lock import IdentityLock
from backup_manager.volume.runs import Run


def check_volume(job: Job) -> None:
    """Prove that the volume can be written. Raises VolumeError."""
    directory.check(job.volume)


def connect(job: Job) -> Database:
    """Connect, prove the privileges that this run needs, and warn of what it will not hold.

    Raises DatabaseError, ProtectionError.
    """
    host, user = job.source.address, job.source.user
    job.step(Phase.CONNECTING, "connecting to the database", host=host, user=user)
    database = wait_for_database(
        job.source,
        timeout=job.settings["connect_timeout"],
        stop=job.stop,
        report=job.report,
    )
    prove_privileges(database, job.options, gc=not job.settings["no_gc"], report=job.report)
    privileges.warn_of_partial_select(database, job.report)
    warn_of_room(job, database)
    if not database.is_tidb:
        job.report.info(
            "this server is no TiDB: GC and the pinned snapshot have no meaning and are skipped",
            version=database.version,
        )
    return database


def prove_privileges(database: Database, options: Options, *, gc: bool, report: Report) -> None:
    """Prove the privileges that a dump with these options needs; ``gc``: to hold GC off too.

    Raises DatabaseError, ProtectionError.
    """
    tidb = database.is_tidb
    pinned = tidb and options.pins_snapshot
    privileges.check(
        database,
        gc=tidb and gc,
        snapshot=pinned,
        consistency="snapshot" if pinned else options.consistency or "auto",
        views=options.values.get("no-views") == "false",
        report=report,
    )


def reach_store(job: Job) -> Store:
    """Open the store and prove that it can be used. Raises StoreError."""
    job.step(Phase.PROBING, "trying the store", to=job.store.url(job.store.key("")))
    store = Store(
        job.store,
        job.store_options,
        report=job.report,
        stop=job.stop,
    )
    probe.prove(
        store,
        run_id=job.identity,
        stop=job.stop,
        report=job.report,
        seconds=job.settings["stall_timeout"],
    )
    return store


@contextmanager
def running(job: Job, store: Store, database: Database | None, taken: Run | None) -> Iterator[Run]:
    """Go on with the run that was taken up, or begin one; undo it if its dump stays unfinished."""
    run = taken
    if run is None:
        assert database  # noqa: S101 - for the type checker: a new run has connected
        run = Run.create(
            job.volume, job.identity, key=job.backup_key, facts=facts_of(job, database.version)
        )
    job.report.summary.backup = store.settings.url(run.directory)
    job.report.summary.resumed = taken is not None
    job.telling.begin(job.report.summary.backup, resumed=taken is not None)
    job.step(
        Phase.PREPARING,
        "going on with a finished dump" if taken else "beginning a backup",
        backup=job.report.summary.backup,
    )
    if taken and differs(job, taken):
        send_anew(job, store, taken)
    try:
        yield run
    except BaseException:
        # A worker may have been the first to notice a signal.
        job.stop.begin_end()
        try:
            if not run.dumped:
                job.telling.enter(Phase.UNDOING)
                _undo(job, store, run)
            run.close()
        except BackupError as error:
            # What ended the run is what the user must hear of; the next run clears up.
            job.report.debug("the run could not be closed", why=error.message)
        raise
    run.close()


def _undo(job: Job, store: Store, run: Run) -> None:
    """Leave nothing in the store, and on the volume only what Dumpling had written."""
    try:
        undo(store, Layout(run.directory), run.journal.uploads())
    except (StoreError, InterruptedBySignalError) as error:
        job.report.warn(
            f"{store.settings.url(run.directory)} is unfinished and could not be cleared away "
            f"({error.why or error.what}); the next run does it"
        )
        return
    # Its journal is how the next run knows a lease that could not be given back.
    leased = run.journal.fact("gc_original") and not run.journal.fact("gc_returned")
    if not leased and next(directory.scan(run.place.dump), None) is None:
        run.close()
        run.place.remove()


@contextmanager
def sending(job: Job, store: Store, run: Run, lock: IdentityLock) -> Iterator[Beside]:
    """Have the upload engine at work, and the progress shown, until the end of the block."""
    uploader = open_engine(job, store, run)
    progress = open_progress(job.report)
    if run.dumped:
        uploader.settle()  # before a worker looks: what is sent must be as it was recorded
    uploader.start()
    try:
        yield Beside(job, run, uploader, progress, lock)
    finally:
        progress.close()
        uploader.halt()


def dump(job: Job, run: Run, beside: Beside, pinned: str | None, lease: Lease | None) -> DumpEnd:
    """Run Dumpling, with the upload beside it. Raises DumplingError and what goes wrong beside."""
    run.journal.remember(snapshot_taken=datetime.now(UTC).isoformat())
    job.step(
        Phase.DUMPING, "dumping", dumpling=job.dumpling.version, options=list(job.options.argv)
    )
    started = time.monotonic()
    try:
        return run_dumpling(job, run, beside, pinned, lease)
    finally:
        job.report.summary.seconds["dump"] = round(time.monotonic() - started, 3)


def finish_dump(job: Job, run: Run, database: Database, beside: Beside, end: DumpEnd) -> None:
    """Prove that the dump is whole, and write down its end. Raises DumpInvalidError.

    From then on a confirmed file is never sent again, and an unconfirmed one must be as recorded.
    """
    job.telling.enter(Phase.CHECKING)
    beside.show("checking the dump")
    tidb = database.is_tidb
    said, content = conclude(
        job,
        run,
        exact=end.exact,
        expected_position=end.pinned or (job.options.snapshot if tidb else None),
        position_required=tidb,
        cause=end.no_position,
    )
    position = end.pinned or said.position or ""
    moment = snapshot.tso_time(position, datetime.now(UTC)) if tidb else None
    warn_of_what_is_not_in_it(job, database, content)
    # All in one: a run that is taken up must find everything that the record needs.
    run.journal.remember(
        snapshot=json.dumps({"tso": position, "time": timestamp(moment) if moment else None}),
        warnings=json.dumps(job.report.summary.warnings),
        digest=run.journal.digest(),
        dumped=timestamp(datetime.now(UTC)),
    )
    beside.uploader.settle()


def send_rest(job: Job, run: Run, beside: Beside) -> None:
    """Wait until every file has been sent and confirmed."""
    job.step(Phase.UPLOADING, "sending the rest", files=beside.uploader.files_waiting)
    beside.complete()
    beside.show("sending the rest")
    while not beside.uploader.idle:
        beside.tick("sending the rest")
    beside.uploader.check()
    run.journal.commit()


def publish(job: Job, run: Run, store: Store, beside: Beside, lock: IdentityLock) -> None:
    """Ask the store what it holds, then write the commit record.

    Raises MismatchError, HeldError, StoreError.
    """
    layout = Layout(run.directory)
    abort_strays(store, layout, job.report)
    publisher = Publisher(
        # Everything is there already: a store that is away is worth waiting for.
        store.patient(Patience(job.settings["stall_timeout"])),
        run.journal,
        layout=layout,
        stop=job.stop,
        report=job.report,
    )
    publisher.send_metadata(beside.uploader.sender, run.place.dump)
    sha256, manifest_bytes, etag = publisher.send_manifest(
        beside.uploader.sender, run.place.manifest
    )
    job.step(Phase.VERIFYING, "asking the store what it holds")
    beside.show("asking the store")
    publisher.verify(manifest_bytes, etag)
    job.stop.check()
    lock.check()
    job.telling.enter(Phase.PUBLISHING)
    record = record_for(job, run, sha256)
    read_record(record)  # what is published can be read
    publisher.publish(record)
    # If it is gone when a next run looks, it was removed on purpose.
    run.journal.remember(published="true")
    job.report.summary.seconds["upload_after_dump"] = round(beside.seconds_after_dump, 3)


def succeed(job: Job, run: Run) -> None:
    """Say that the record is in the store, and clear the volume."""
    record = json.loads(run.record or b"{}")
    summary = job.report.summary
    summary.snapshot = record["snapshot"]
    summary.files, summary.bytes = record["files"], record["bytes"]
    job.report.succeed(
        f"{summary.backup} is complete: {summary.files} files, {size(summary.bytes)}"
    )
    job.telling.publish(record)
    job.step(Phase.CLEARING, "published; clearing the volume", backup=summary.backup)
    try:
        directory.remove_tree(run.place.dump)
        run.close()
        run.place.remove()
    except BackupError as error:
        with suppress(BackupError):
            # Said to be complete: what stays is no result of the next run.
            run.journal.remember(reported="true")
        job.report.warn(f"the backup is complete, but its local data stays: {error.message}")
