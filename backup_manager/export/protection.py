"""Protection of the snapshot: GC is held off, then the snapshot is taken, then GC is given back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from backup_manager.database import snapshot
from backup_manager.database.connection import Database
from backup_manager.database.dead_leases import clear_dead
from backup_manager.database.lease import Lease
from backup_manager.errors import BackupError, DatabaseError, VolumeError
from backup_manager.export.found import Found
from backup_manager.export.job import Job
from backup_manager.volume.runs import Run


@contextmanager
def gc_held_off(job: Job, database: Database, run: Run, earlier: Found) -> Iterator[Lease | None]:
    """Hold a lease on the GC life time until the end of the block, where GC has a meaning."""
    if not database.is_tidb or job.settings["no_gc"]:
        yield None
        return
    lease = Lease(
        database,
        run.short_id,
        need=job.gc_life_time,
        stop=job.stop,
        report=job.report,
        remember=lambda original: run.journal.remember(gc_original=json.dumps(asdict(original))),
        dead_ids=earlier.lease_ids,
        known=earlier.gc_original(job.source.address),
    )
    try:
        with lease:
            job.telling.hold_gc_off(True)
            yield lease
    finally:
        job.telling.hold_gc_off(not lease.given_back)
        if lease.given_back:
            try:
                run.journal.remember(gc_returned="true")
            except VolumeError as error:
                # No harm, and no reason to hide what ended the run.
                job.report.debug("that GC is as it was is not written down", why=error.message)


def give_back_leases(job: Job, earlier: Found) -> None:
    """Remove the leases that this run and dead ones have left, if the database is there."""
    if job.settings["no_gc"]:
        return
    try:
        with Database(job.unlocked().source, stop=job.stop) as database:
            if database.is_tidb:
                clear_dead(
                    database,
                    earlier.lease_ids,
                    stop=job.stop,
                    report=job.report,
                    known=earlier.gc_original(job.source.address),
                )
    except BackupError as error:
        job.stop.check()
        job.report.debug("leases on GC were not looked for", why=error.message)


def take_snapshot(job: Job, database: Database, lease: Lease | None) -> str | None:
    """Take the snapshot, now that GC is held off; None where there is none for us to take."""
    given = job.options.snapshot
    if not database.is_tidb:
        return None
    if job.options.pins_snapshot:
        taken = snapshot.take(database)
        if lease:
            lease.watch(taken)
        job.report.info("the snapshot is taken", tso=taken)
        return taken
    if given and lease:
        lease.watch(given, given=True)
    elif given:
        snapshot.check_not_collected(database, given)
    return None


def look_back(job: Job, database: Database, pinned: str | None, lease: Lease | None) -> None:
    """Prove that GC has not passed the snapshot while Dumpling read, as far as that is known.

    To be called while the lease is still held: right after it, GC may pass the snapshot with every
    right. Raises ProtectionError.
    """
    read_at = pinned or job.options.snapshot
    if lease is None or read_at is None:
        return
    try:
        snapshot.check_not_collected(database, read_at)
    except DatabaseError as error:
        job.stop.check()
        job.report.warn(
            f"whether GC stayed behind the snapshot to the end is not known: {error.message}"
        )
