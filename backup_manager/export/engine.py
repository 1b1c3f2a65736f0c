"""What sends a backup's data: file by file while Dumpling writes, or afterwards as one archive."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from backup_manager.catalog.archive import Archiver
from backup_manager.catalog.layout import Layout
from backup_manager.export.job import Job
from backup_manager.store.client import Store
from backup_manager.store.retries import Patience
from backup_manager.store.sender import Sender
from backup_manager.store.upload import Uploader
from backup_manager.volume.runs import Run


class Engine(Protocol):
    """Works in threads of its own; see ``Uploader`` and ``Archiver``."""

    sender: Sender

    @property
    def files_sent(self) -> int: ...

    @property
    def streams(self) -> bool:
        """Whether files go while Dumpling writes."""

    @property
    def files_waiting(self) -> int: ...

    @property
    def bytes_done(self) -> int:
        """How many bytes of the dump have been sent, before they were compressed here."""

    @property
    def bytes_waiting(self) -> int:
        """How many there are still to be sent, once every file is as it stays."""

    @property
    def idle(self) -> bool: ...

    def start(self) -> None: ...

    def offer(self, names: Iterable[str]) -> None: ...

    def settle(self) -> None: ...

    def check(self) -> None: ...

    def halt(self) -> None: ...


class _FileByFile(Uploader):
    streams = True

    @property
    def files_waiting(self) -> int:
        return self._journal.waiting

    @property
    def bytes_done(self) -> int:
        return self.sender.bytes_sent

    @property
    def bytes_waiting(self) -> int:
        return self._journal.unsent_bytes()


def open_engine(job: Job, store: Store, run: Run) -> Engine:
    """Make what sends this run's data; it is not yet started."""
    store = store.patient(Patience(job.settings["stall_timeout"], held=not run.dumped))
    if Layout(run.directory).archived:
        return Archiver(
            store,
            run.journal,
            root=run.place.dump,
            key=run.directory,
            moment=int(datetime.fromisoformat(run.fact("started")).timestamp()),
            stop=job.stop,
            report=job.report,
        )
    return _FileByFile(
        store,
        run.journal,
        root=run.place.dump,
        directory=run.directory,
        stop=job.stop,
        report=job.report,
    )
