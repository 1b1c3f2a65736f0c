"""What earlier runs left on the volume: taken up, kept, or cleared away with all that is theirs."""

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime

from backup_manager.catalog.archive import sent_archive
from backup_manager.catalog.layout import Layout
from backup_manager.catalog.publish import holds, removed_since
from backup_manager.catalog.undo import undo
from backup_manager.dumpling.leftovers import end_leftover
from backup_manager.errors import BackupError, HeldError, VolumeError
from backup_manager.export.atrest import differs, warn_of_another_way
from backup_manager.export.found import Dead, Found
from backup_manager.export.job import Job
from backup_manager.store.client import Store
from backup_manager.store.retries import Patience
from backup_manager.store.settings import StoreSettings
from backup_manager.volume.directory import FileState, remove_tree, scan, volume_errors
from backup_manager.volume.journal_file import DamagedJournalError
from backup_manager.volume.lock import IdentityLock
from backup_manager.volume.runs import Place, Run, find, lock_path

_IDENTITY = re.compile("[0-9a-f]{16}")
# How long one call for a dead run is tried again: it holds up a living one.
_CLEAR_SECONDS = 15.0
_CLOCK_SECONDS = 300.0
_SIGNED_SECONDS = 1200.0


@contextmanager
def hold_identity(job: Job) -> Iterator[IdentityLock]:
    """Hold the lock of this job's identity; unlink it at the end. Raises HeldError."""
    lock = IdentityLock(lock_path(job.volume, job.identity))
    timeout = job.settings["lock_timeout"]
    if not lock.try_acquire(_holder(job)):
        job.report.info(
            "waiting, as another run of this backup holds the volume",
            holder=lock.holder(),
            limit=timeout,
        )
        lock.acquire(_holder(job), timeout=timeout, stop=job.stop)
    try:
        yield lock
    finally:
        try:
            lock.release()
        except VolumeError as error:
            # Let go it is; and a backup that is published stays so.
            job.report.warn(error.message)


def _holder(job: Job) -> dict[str, str]:
    """Say who holds a lock: what a person needs to find the process."""
    holder = {"host": socket.gethostname(), "pid": str(os.getpid())}
    if job.settings["name"]:
        holder["name"] = job.settings["name"]
    return holder


@contextmanager
def earlier_runs(job: Job) -> Iterator[Found]:
    """Find the run to take up, the newest finished dump of this identity, and the dead ones.

    The dead ones of other identities are locked meanwhile; those that somebody holds are left out.
    """
    found = Found()
    ours = {job.identity: True}
    with ExitStack() as held:
        held.callback(found.close)
        places = find(job.volume)
        _remove_stale_locks(job, {place.identity for place in places})
        for place in places:
            same = place.identity == job.identity
            try:
                if place.identity not in ours:
                    ours[place.identity] = _lock(job, place.identity, found)
                if not ours[place.identity]:
                    continue
                run = _open(place)
            except (HeldError, VolumeError) as error:
                if same:
                    raise
                # At work though its lock was removed, or another user's.
                job.report.info("left alone on the volume", run=place.backup, why=error.message)
                continue
            if run and same and not found.taken and usable(job, run):
                found.taken = run
                held.callback(run.close)
                adopt(run)
            else:
                found.dead.append(Dead(place, run))
        yield found


def _open(place: Place) -> Run | None:
    try:
        return Run.open(place)
    except DamagedJournalError:
        return None


def _lock(job: Job, identity: str, found: Found) -> bool:
    lock = IdentityLock(lock_path(job.volume, identity))
    if not lock.try_acquire(_holder(job)):
        return False
    found.locks.append(lock)
    return True


def _remove_stale_locks(job: Job, with_runs: set[str]) -> None:
    """Remove the locks of runs of other identities that were killed before they had begun."""
    for path in job.volume.glob("*.lock"):
        if _IDENTITY.fullmatch(path.stem) and path.stem not in {*with_runs, job.identity}:
            with suppress(VolumeError):
                lock = IdentityLock(path)
                if lock.try_acquire(_holder(job)):
                    lock.release()


def usable(job: Job, run: Run) -> bool:
    """Tell whether this command goes on with a run: a finished dump that is not too old."""
    # Less than nothing: the clock was ahead then, and how old it is cannot be told.
    young = -_CLOCK_SECONDS < run.snapshot_age_seconds < job.settings["resume_max_age"]
    # A record that was encrypted otherwise could not be read back.
    readable = run.record is None or not differs(job, run)
    return young and readable and not job.settings["no_resume"] and publishable(run)


def _kept(job: Job, run: Run) -> bool:
    young = run.snapshot_age_seconds < job.settings["retain_unpublished"]
    return bool(young) and publishable(run)


def publishable(run: Run) -> bool:
    """Tell whether a run can be gone on with: a finished dump, all of it there as it was."""
    if run.journal.fact("superseded") or run.journal.fact("reported"):
        return False
    if not run.dumped or not run.whole:
        return False
    if sent_archive(run.journal):
        return True
    for row in run.journal.files(waiting_only=True):
        try:
            state = FileState.of((run.place.dump / row.name).lstat())
        except OSError:
            return False
        if row.state is None or not row.state.same_content(state):
            return False
    return True


def adopt(run: Run) -> None:
    """Take the waiting files of a run that is taken up as they are now.

    Where a Pod has an fsGroup, the kubelet sets owner and mode of every file before each Pod of the
    Job (fsGroupChangePolicy Always, the default), and with them the ctime.
    """
    # An archive that is in the store needs no files.
    if not sent_archive(run.journal) and next(_touched(run), None):
        run.journal.adopt(_touched(run))


def _touched(run: Run) -> Iterator[tuple[str, FileState]]:
    for row in run.journal.files(waiting_only=True):
        with volume_errors(f"{run.place.dump} cannot be read"):
            state = FileState.of((run.place.dump / row.name).lstat())
        if row.state and row.state != state and row.state.same_content(state):
            yield row.name, state


def make_room(job: Job, dead: list[Dead]) -> None:
    """Remove the local dumps of dead runs that are of no use: a full volume takes no new run.

    Their journals stay until ``clear``: they know what is to be undone elsewhere. What cannot be
    removed stays, with a warning.
    """
    for one in dead:
        try:
            _make_room(job, one)
        except VolumeError as error:
            job.report.warn(f"the local data of {one.place.backup} stays: {error.message}")


def _make_room(job: Job, dead: Dead) -> None:
    place, run = dead.place, dead.run
    if run and _kept(job, run):
        return
    end_leftover(place.dump)
    # A run without a file was killed before it had sent anything.
    if run is None and place.dump.is_dir() and next(scan(place.dump), None):
        # Without its journal nobody knows what is ours in the store: nothing is removed there.
        job.report.warn(
            f"the journal of {place.backup} is damaged: its local data is removed; what it may "
            "have left in the store is not"
        )
    remove_tree(place.dump)


def clear(job: Job, store: Store, found: Found) -> None:
    """Clear away the dead runs, what they left in the store, then their local data; let go of them.

    A finished dump that was never published is kept for ``--retain-unpublished``. What cannot be
    cleared stays as it is, with a warning, for the next run.
    """
    for one in found.dead:
        try:
            _clear(job, store, one)
        except BackupError as error:
            job.stop.check()
            job.report.warn(f"the leftovers of {one.place.backup} stay: {error.message}")
    found.close()


def _clear(job: Job, store: Store, dead: Dead) -> None:
    place, run = dead.place, dead.run
    _make_room(job, dead)
    if run is None:
        place.remove()
        return
    if not run.at_home:
        job.report.warn(
            f"the volume was copied, and {place.backup} with it: its local data is removed; what "
            "is in the store belongs to the run on the other one"
        )
    else:
        if run.record is not None and differs(job, run):
            warn_of_another_way(job, run)
            return
        location = StoreSettings(**run.load("store"))
        theirs = store if location == job.store else store.elsewhere(location)
        theirs = theirs.patient(Patience(_CLEAR_SECONDS))
        try:
            if not published(theirs, run):
                if _keep(job, run):
                    return
                undo(theirs, Layout(run.directory), run.journal.uploads())
                job.report.info("cleared away what an earlier run left", backup=place.backup)
        except HeldError as error:
            # Somebody else's backup by now: nothing there is ours to remove.
            job.report.debug("nothing was undone", why=error.message)
    run.close()
    place.remove()


def _record_may_come(record: bytes) -> bool:
    """Tell whether a killed run's request to write its record may still be carried out.

    A store refuses what was signed more than 15 minutes ago (Signature Version 4).
    """
    begun = datetime.fromisoformat(json.loads(record)["finished"])
    return abs((datetime.now(UTC) - begun).total_seconds()) < _SIGNED_SECONDS


def published(store: Store, run: Run) -> bool:
    """Tell whether the store holds the run's record, which is in the journal before it is sent.

    Raises HeldError if it holds another one, or if ours was removed since; this run is then not
    taken up again: a backup that somebody has removed must not come back.
    """
    if run.record is None:
        return False
    layout = Layout(run.directory)
    try:
        if holds(store, layout.record, run.record):
            return True
        if run.journal.fact("published") or store.get(layout.tombstone, limit=1):
            raise removed_since(store, layout)
    except HeldError:
        run.journal.remember(superseded="true")
        raise
    return False


def _keep(job: Job, run: Run) -> bool:
    if run.record is not None and _record_may_come(run.record):
        job.report.debug("kept, as its record may be on its way yet", backup=run.place.backup)
        return True
    if not _kept(job, run):
        return False
    job.report.warn(
        f"the finished dump {run.place.backup} was never published and stays on the volume for "
        f"now; this publishes it: {run.fact('command')}"
    )
    return True
