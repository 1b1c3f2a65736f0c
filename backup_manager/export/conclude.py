"""The end of the dump: every file is looked at, and its final state written down for good."""

import os
import stat as modes
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from backup_manager.catalog.formats import MANIFEST, RECORD, TOMBSTONE
from backup_manager.dumpling import metadata
from backup_manager.dumpling.content import Content
from backup_manager.errors import DumpInvalidError
from backup_manager.export.job import Job
from backup_manager.store.source import utf8
from backup_manager.volume.directory import (
    FileState,
    directories,
    scan,
    sync_directory,
    volume_errors,
)
from backup_manager.volume.journal import METADATA
from backup_manager.volume.rows import FileRow
from backup_manager.volume.runs import Run
from backup_manager.volume.watcher import POLL_SECONDS

_SYNC_THREADS = 8
_SYNC_BATCH = 1000
# Without a close event for certain, a file that was read so soon after its last change may have
# changed again within the same tick of the file system's clock.
_RACY_NS = int(POLL_SECONDS * 1e9)


def conclude(
    job: Job,
    run: Run,
    *,
    exact: bool,
    expected_position: str | None,
    position_required: bool,
    cause: str,
) -> tuple[metadata.Metadata, Content]:
    """Reconcile the dump with what was sent, prove that it is whole, and make it durable.

    ``exact`` says that no close of a file was missed; ``cause`` is what Dumpling said of a
    position that it could not read. Raises DumpInvalidError, VolumeError.
    """
    _check_is_file(run.place.dump / METADATA)
    said = metadata.check(
        run.place.dump / METADATA,
        expected_position,
        position_required=position_required,
        cause=cause,
    )
    content = Content(
        job.options.literals,
        case_sensitive=job.options.case_sensitive,
        names_readable=not job.options.template,
    )
    _reconcile(run, content, exact=exact)
    content.check(job.volume)
    _make_durable(job, run)
    return said, content


def _reconcile(run: Run, content: Content, *, exact: bool) -> None:
    found = 0
    for name, stat in scan(run.place.dump):
        found += 1
        check_name(name)
        if not modes.S_ISREG(stat.st_mode):
            raise _no_file(name)
        content.add(name, stat.st_size)
        state = FileState.of(stat)
        row = run.journal.file(name)
        if not (row and row.confirmed and row.state == state and (exact or not _racy(row))):
            run.journal.settle(name, state)
    written = run.journal.totals()[0]
    if written != found:
        with volume_errors(f"{run.place.dump} cannot be read"):
            for row in run.journal.files():
                if not (run.place.dump / row.name).exists():
                    raise DumpInvalidError(
                        f"the file {row.name} of the dump is gone",
                        fix="find out who deletes or renames files on the volume (Dumpling itself "
                        "does not), then run the command again",
                    )
        raise DumpInvalidError(
            "the journal does not hold what lies on the volume",
            why=f"{found} files were found, {written} are written down",
            fix="run the command again: it begins anew",
        )


def _racy(row: FileRow) -> bool:
    return row.state is None or row.read_ns - row.state.mtime_ns < _RACY_NS


def check_name(name: str) -> None:
    """Raise DumpInvalidError for a name that is no UTF-8, or the backup's own.

    In a subdirectory too: who looks for records by their name would find a backup there.
    """
    utf8(name)
    if name.rpartition("/")[2] in {MANIFEST, RECORD, TOMBSTONE}:
        raise DumpInvalidError(
            f"the dump has a file {name}, which is the name of one of the backup's own",
            fix="choose other names by --output-filename-template",
        )


def _check_is_file(path: Path) -> None:
    """Raise DumpInvalidError for a FIFO or the like, which would be waited for without an end."""
    try:
        stat = path.lstat()
    except FileNotFoundError:
        return  # that is somebody else's to tell
    if not modes.S_ISREG(stat.st_mode):
        raise _no_file(path.name)


def _no_file(name: str) -> DumpInvalidError:
    return DumpInvalidError(
        f"{name} in the dump is no regular file",
        fix="find out who writes on the volume, then run the command again",
    )


def _make_durable(job: Job, run: Run) -> None:
    """Fsync what is only on the volume yet: Dumpling never does."""
    dump = run.place.dump
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        paths = (dump / row.name for row in run.journal.files(waiting_only=True))
        while batch := list(islice(paths, _SYNC_BATCH)):
            job.stop.check()
            list(pool.map(_sync, batch))
    for directory in directories(dump):
        sync_directory(directory)


def _sync(path: Path) -> None:
    with volume_errors(f"{path} cannot be made durable"):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
