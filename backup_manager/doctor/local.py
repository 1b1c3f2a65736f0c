"""The volume: can it be written and locked, has it room, what did earlier runs leave on it."""

import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from backup_manager.database.privileges import estimate_bytes
from backup_manager.doctor.case import Case, Left, the
from backup_manager.doctor.findings import Finding
from backup_manager.durations import format_duration
from backup_manager.errors import BackupError
from backup_manager.export.attention import lacks_room
from backup_manager.export.job import Job
from backup_manager.export.takeup import publishable, usable
from backup_manager.progress import size
from backup_manager.volume import directory
from backup_manager.volume.lock import IdentityLock, holder_of
from backup_manager.volume.runs import Run, lock_path

_REMOVED = "nothing: the next export removes it"


def write(case: Case) -> Iterator[Finding]:
    """Write a small file, and make it durable."""

    def clear_away() -> None:
        # What was under way when a signal came.
        with suppress(BackupError):
            case.ask_volume(directory.remove_old_probes)

    case.there = case.ask_volume(os.path.isdir)
    case.closing.callback(clear_away)
    case.ask_volume(directory.check)
    case.writable = True
    yield Finding.ok(f"{case.volume}: a file can be written and made durable")


def lock(case: Case) -> Iterator[Finding]:
    """Take a lock, and see who holds the one of this backup."""

    def try_lock(volume: Path) -> None:
        lock = IdentityLock(volume / f"{directory.PROBE}-{uuid.uuid4().hex}.lock")
        lock.try_acquire({})
        lock.release()

    case.ask_volume(try_lock)
    job = case.job
    if job is None:
        yield Finding.ok(
            "the volume can lock; who holds this backup is not known, as not all of it is right"
        )
        return
    holder = case.ask_volume(lambda volume: holder_of(lock_path(volume, job.identity)))
    if holder is None:
        yield Finding.ok("the volume can lock, and nobody holds this backup")
        return
    waits = _span(case.settings["lock_timeout"])
    yield Finding.warning(
        f"another run of this backup is at work ({holder})",
        f"let it end; an export waits {waits} for it, then ends with exit code 10",
    )


def room(case: Case) -> Iterator[Finding]:
    """Compare the room on the volume with the database."""
    volume = the(case.volume)
    free, inodes = case.ask_volume(directory.room)
    if case.writable and directory.is_full(volume):
        raise directory.full(f"the volume {volume} cannot be used", where=volume)
    expected = estimate_bytes(case.database) if case.database else None
    counted = "" if inodes is None else f" and {inodes:,} inodes"
    data = "how much data there is is not known"
    if expected is not None:
        data = f"the database has about {size(expected)} of data"
    text = f"{size(free)}{counted} free; {data}"
    if lacks_room(expected, free):
        yield Finding.warning(
            f"the volume may be too small: {text}",
            "give the PVC more storage (1.5 times the data), or let Dumpling pack it: "
            "--dumpling-option=--compress=gzip",
        )
    else:
        yield Finding.ok(text)


def leftovers(case: Case) -> Iterator[Finding]:
    """Tell what earlier runs have left on the volume, and what becomes of it."""
    left = case.left()
    for one in left:
        yield case.ask_volume(lambda _, one=one: _leftover(case, one))  # type: ignore[misc]  # mypy has no type for it
    if not left:
        yield Finding.ok("none")


def _leftover(case: Case, left: Left) -> Finding:
    name = left.place.path.name
    if left.holder:
        return Finding.ok(f"{name} is at work ({left.holder})")
    if left.error:
        return Finding.warning(f"{name}: {left.error.what}: {left.error.why}", left.error.fix)
    run = left.run
    if run is None:
        return Finding.warning(
            f"{name}: its journal cannot be read as it is",
            "nothing, unless it was a finished dump: the next export removes its local data, but "
            "not what it may have left in the store",
        )
    if why := _useless(run):
        return Finding.warning(f"{name} {why}", _REMOVED)
    return _finished(case.job, run, name, _span(case.settings["retain_unpublished"]))


def _useless(run: Run) -> str | None:
    """Say why nobody goes on with a run."""
    if not run.at_home:
        return "came with a copy of another volume"
    if run.journal.fact("reported"):
        return "was published, but not cleared away"
    if run.journal.fact("superseded"):
        return "was made for nothing: another run has published in its place"
    if not run.dumped:
        return "is unfinished"
    return None if publishable(run) else "is a finished dump that is not whole any more"


def _finished(job: Job | None, run: Run, name: str, kept: str) -> Finding:
    text = f"{name} is a finished dump, {_span(run.snapshot_age_seconds)} old, never published"
    if job and run.place.identity == job.identity and usable(job, run):
        return Finding.warning(text, "run export: it goes on with this dump")
    return Finding.warning(
        text, f"this publishes it: {run.fact('command')}. It is removed once it is {kept} old"
    )


def _span(seconds: float) -> str:
    return format_duration(round(seconds) * 1_000_000_000)
