"""What the checks know of each other: each finds out something that later ones need."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from backup_manager.bounded import bounded
from backup_manager.database.connection import Database
from backup_manager.database.lease_document import Row
from backup_manager.database.source import Source
from backup_manager.doctor.findings import Finding
from backup_manager.doctor.probing import Probing
from backup_manager.dumpling.binary import Binary
from backup_manager.errors import BackupError, VolumeError
from backup_manager.export.found import Dead, Found
from backup_manager.export.job import Dump, Job, assemble
from backup_manager.report import Report
from backup_manager.settings import Settings
from backup_manager.signals import Stop
from backup_manager.store.settings import StoreOptions, StoreSettings
from backup_manager.volume.journal_file import DamagedJournalError
from backup_manager.volume.lock import holder_of
from backup_manager.volume.runs import Place, Run, find, lock_path

if TYPE_CHECKING:
    from backup_manager.kubernetes.backup_object import BackupObject

_T = TypeVar("_T")

# A file system that is away lets its callers hang.
_VOLUME_SECONDS = 20.0


@dataclass(frozen=True)
class Left:
    """A run on the volume: at work, with its holder's words, or dead.

    ``run`` is None where it is at work, where its journal is damaged, and where there was an
    ``error``: it may be another user's.
    """

    place: Place
    holder: str | None = None
    run: Run | None = None
    error: VolumeError | None = None


@dataclass
class Case:
    """One command line and what was found out about it; None and False: not, or not yet.

    ``wrong`` are the settings that cannot be read, and ``said`` are warnings that they gave.
    ``backup`` is the Backup object that is named, if one is, and ``object_trouble`` why it could
    not be read. ``mend``: remove dead leases. ``closing`` is closed at the end, whatever comes.
    """

    settings: Settings
    dumpling_args: Sequence[str]
    wrong: Mapping[str, BackupError]
    said: Sequence[str]
    mend: bool
    report: Report
    stop: Stop
    closing: ExitStack = field(default_factory=ExitStack)
    source: Source | None = None
    place: tuple[StoreSettings, StoreOptions] | None = None
    gc_life_time: int | None = None  # nanoseconds
    volume: Path | None = None
    backup: "BackupObject | None" = None
    object_trouble: BackupError | None = None
    binary: Binary | None = None
    dump: Dump | None = None
    database: Database | None = None
    gc_trouble: BackupError | None = None
    row: tuple[Row, int] | None = None  # of the GC life time, and the database's time
    there: bool = False
    writable: bool = False
    probing: Probing | None = None
    clock_ahead: float | None = None  # seconds of the store's clock before ours
    listed: bool = False
    written: bool = False
    readable: bool = False
    deleted: bool = False
    _left: list[Left] | None = None

    @property
    def job(self) -> Job | None:
        """The export that this command line stands for, once all of it is known."""
        if self.wrong or not (
            self.source and self.place and self.gc_life_time and self.volume and self.dump
        ):
            return None
        return assemble(
            self.settings,
            self.report,
            self.stop,
            source=self.source,
            store=self.place,
            gc_life_time=self.gc_life_time,
            dump=self.dump,
        )

    def ask_volume(self, call: Callable[[Path], _T]) -> _T:
        """Call what works on the volume; raise VolumeError where it does not answer."""
        volume = the(self.volume)
        try:
            return bounded(self.stop, lambda: call(volume), seconds=_VOLUME_SECONDS)
        except TimeoutError as error:
            raise VolumeError(
                f"the volume {volume} does not answer",
                why=f"nothing within {_VOLUME_SECONDS:.0f} s",
                fix="look at the node's kernel log, and at the server where it is a network's",
            ) from error

    def left(self) -> list[Left]:
        """Look at the runs on the volume, and change nothing there. Raises VolumeError."""
        if self._left is None:
            self._left = self.ask_volume(self._look)
            for left in self._left:
                if left.run:
                    self.closing.callback(left.run.close)
        return self._left

    def _look(self, volume: Path) -> list[Left]:
        return [_look_at(volume, place) for place in find(volume)]

    def dead(self) -> Found:
        """Return the dead runs whose leases may be removed.

        Not those of a copied volume: the run may be at work on the other one.
        """
        if not self.volume:
            return Found()
        try:
            left = self.left()
        except VolumeError:
            return Found()  # the checks of the volume say so
        return Found(dead=[Dead(one.place, one.run) for one in left if one.run and one.run.at_home])


def _look_at(volume: Path, place: Place) -> Left:
    try:
        holder = holder_of(lock_path(volume, place.identity))
        return Left(place, holder, None if holder else Run.open(place, look_only=True))
    except DamagedJournalError:
        return Left(place)
    except VolumeError as error:
        return Left(place, error=error)


def the(value: _T | None) -> _T:
    """Return what an earlier check has found; its absence is a defect of the order of checks."""
    if value is None:
        raise LookupError("a check before this one should have found it")
    return value


# What later checks need of earlier ones, and why it may not be there.
NEEDS = {
    "backup": "the Backup object was not read",
    "source": "the settings of the database are wrong",
    "place": "the settings of the store are wrong",
    "gc_life_time": "--gc-life-time is wrong",
    "volume": "--volume is wrong",
    "binary": "there is no Dumpling that can be used",
    "database": "there is no connection to the database",
    "row": "the GC life time was not read",
    "there": "the volume is not there",
    "writable": "the volume cannot be written",
    "probing": "there are no credentials",
    "listed": "the bucket cannot be listed",
    "written": "nothing can be written there",
}


@dataclass(frozen=True)
class Check:
    """One check: its title, what it does, the names in NEEDS, and the settings that it reads."""

    title: str
    run: Callable[[Case], Iterator[Finding]]
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()

    def lacks(self, case: Case) -> str | None:
        """Say why it cannot be done."""
        for name in self.reads:
            if name in case.wrong:
                return f"--{name.replace('_', '-')} is wrong"
        return next((NEEDS[name] for name in self.needs if not getattr(case, name)), None)
