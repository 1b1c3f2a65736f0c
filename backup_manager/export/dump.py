"""Dumpling, with the upload beside it, until it has ended."""

import os
import signal
import stat as modes
from contextlib import suppress
from dataclasses import dataclass

from backup_manager.database.lease import Lease
from backup_manager.dumpling.binary import child_environment
from backup_manager.dumpling.command import command, secret_environment
from backup_manager.dumpling.leftovers import writers
from backup_manager.dumpling.process import Process
from backup_manager.errors import DumplingError
from backup_manager.export.beside import Beside
from backup_manager.export.conclude import check_name
from backup_manager.export.engine import Engine
from backup_manager.export.job import Job
from backup_manager.volume.directory import FileState, scan
from backup_manager.volume.runs import Run
from backup_manager.volume.watcher import Watcher

_STOP_GRACE_SECONDS = 3.0


@dataclass(frozen=True)
class DumpEnd:
    """How Dumpling ran.

    ``pinned``: the snapshot that we had it read; ``exact``: whether every close of a file was
    seen; ``no_position``: why it could not read the position, if it said so.
    """

    pinned: str | None
    exact: bool
    no_position: str


def run_dumpling(
    job: Job, run: Run, beside: Beside, snapshot: str | None, lease: Lease | None
) -> DumpEnd:
    """Run Dumpling to its end, sending each file as it is closed; return how it went.

    Raises DumplingError, VolumeError, and whatever goes wrong beside it.
    """
    uploader = beside.uploader
    watcher = Watcher(
        run.place.dump,
        offer=lambda names: _offer_and_count(names, run, beside),
        rescan=lambda: offer_unknown(run, uploader) if uploader.streams else None,
        report=job.report,
    )
    argv = command(job.dumpling, job.options, job.source, run.place.dump, snapshot)
    watcher.start()
    try:
        environment = child_environment(os.environ, job.report.redact)
        environment |= secret_environment(job.dumpling, job.source)
        output = run.place.dump.absolute()
        process = Process.start(argv, environment, job.report, output)
        beside.follow(process.pid)
        try:
            while process.poll() is None:
                beside.tick("dumping")
                watcher.check()
                if lease:
                    lease.check()
        finally:
            beside.unfollow()
            process.stop(_STOP_GRACE_SECONDS)
        process.outcome()
        if left := writers(run.place.dump):
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            raise DumplingError(
                "Dumpling has ended, and a process that it left goes on writing",
                why=f"process {left[0]} has a file of the dump open",
                fix="name Dumpling itself by --dumpling, not a script that runs it beside itself",
            )
        watcher.finish()
    finally:
        watcher.stop()
    return DumpEnd(snapshot, watcher.exact, process.findings.metadata_error)


def _offer_and_count(names: list[str], run: Run, beside: Beside) -> None:
    offer(names, beside.uploader)
    for name in names:
        with suppress(OSError):  # gone, or the dump itself is: others find that out
            beside.offered((run.place.dump / name).stat().st_size)


def offer(names: list[str], uploader: Engine) -> None:
    """Offer files, unless their names are those of the backup's own. Raises DumpInvalidError."""
    for name in names:
        check_name(name)
    uploader.offer(names)


def offer_unknown(run: Run, uploader: Engine) -> None:
    """Look through the dump and offer what the journal does not know in its present state."""
    for name, stat in scan(run.place.dump):
        if not modes.S_ISREG(stat.st_mode):
            continue  # the end of the dump tells of it
        row = run.journal.file(name)
        if row is None or (row.confirmed and row.state != FileState.of(stat)):
            offer([name], uploader)
