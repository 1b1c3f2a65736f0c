"""The backups under one prefix of a store: listed, read, and found by what a person calls them."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from backup_manager.ahead import ahead
from backup_manager.catalog.backups import Backup, State, judge
from backup_manager.catalog.formats import RECORD_BYTES
from backup_manager.catalog.layout import ARCHIVE_SUFFIX, Layout
from backup_manager.catalog.naming import LATEST, PREFIX, Name, own_name, parse_name
from backup_manager.errors import StoreError, UsageError
from backup_manager.report import Report
from backup_manager.settings import Settings
from backup_manager.signals import Stop
from backup_manager.store.client import Listed, Store
from backup_manager.store.configure import configure
from backup_manager.store.credentials import check_access
from backup_manager.store.faults import status_of
from backup_manager.store.locks import lock_of
from backup_manager.store.reader import Reader, last_modified

_SHOWN = 5
_FORBIDDEN = 403


@dataclass(frozen=True)
class Found:
    """What the listing by delimiter shows of a backup; ``archive`` is the archive's own object."""

    name: Name
    archive: Listed | None = None


@dataclass(frozen=True)
class Catalog:
    """The backups under one prefix of a store. Every method raises StoreError."""

    store: Store
    reader: Reader
    report: Report
    stop: Stop

    @property
    def url(self) -> str:
        """Where they lie, for people."""
        return self.store.settings.url(self.store.settings.key("")).rstrip("/")

    def layout(self, name: Name) -> Layout:
        return Layout(self.store.settings.key(name.text))

    def names(self) -> list[Found]:
        """List what looks like a backup, newest first, by one listing by delimiter.

        Memory grows with the backups, not with their files.
        """
        found: dict[str, Found] = {}
        for item in self.store.level(self.store.settings.key(PREFIX)):
            self.stop.check()
            key = item if isinstance(item, str) else item.key
            name = parse_name(own_name(key))
            # A directory is no archive, and an object no directory.
            if name is None or name.archived == isinstance(item, str):
                continue
            if not self.layout(name).owns(key):
                continue
            if isinstance(item, Listed) and key == self.layout(name).root:
                found[name.text] = Found(name, item)
            else:
                found.setdefault(name.text, Found(name))
        # A run makes files or an archive: beside one, this is where somebody has unpacked it.
        runs = [one for one in found.values() if f"{one.name.text}{ARCHIVE_SUFFIX}" not in found]
        return sorted(runs, key=lambda one: one.name, reverse=True)

    def read(self, found: Found) -> Backup:
        """Read a backup's commit record."""
        layout = self.layout(found.name)
        backup = Backup(found.name, layout, self.store.settings.url(layout.root), State.INCOMPLETE)
        if found.name.operators:
            return _of_operator(backup, found)
        try:
            got = self.reader.whole(layout.record, limit=RECORD_BYTES)
        except StoreError as error:
            # It may be archived, or another's: what else is there is no worse for it.
            if error.__cause__ is None or status_of(error.__cause__) != _FORBIDDEN:
                raise
            return replace(backup, state=State.UNREADABLE, why=error.why)
        if got is None:
            return backup
        state, record, why = judge(got.data, found.name, layout)
        return replace(
            backup,
            state=state,
            record=record,
            why=why,
            stored=last_modified(got),
            locked=lock_of(got.headers),
        )

    def backups(self) -> Generator[Backup]:
        """Yield every backup, newest first; close it where it is not read to its end."""
        at_once = self.store.options.pace.requests_at_once
        yield from ahead(self.read, self.names(), at_once=at_once, look=self.stop.check)

    def find(self, text: str) -> Backup:
        """Return the one backup that is meant.

        By its address or name; ``latest``, the newest complete one; the beginning of its name or
        id; or the name that export was given. Raises UsageError where that is more than one, or no
        backup of ours.
        """
        if text == LATEST:
            return self._latest()
        last = self._below_prefix(text)
        if name := parse_name(last):
            backup = self.named(name)
            if backup is not None:
                return backup
            raise self._none(text)
        with closing(self.backups()) as backups:
            matching = [backup for backup in backups if _means(last, backup)]
        if not matching:
            raise self._none(text)
        if len(matching) > 1:
            shown = ", ".join(backup.name.text for backup in matching[:_SHOWN])
            more = f" and {len(matching) - _SHOWN} more" if len(matching) > _SHOWN else ""
            raise UsageError(
                f"{text!r} is the name of {len(matching)} backups",
                why=f"{shown}{more}",
                fix="give one of these names",
            )
        return matching[0]

    def _below_prefix(self, text: str) -> str:
        """Return the last part of an address, a key or a name; raise where it lies elsewhere."""
        settings = self.store.settings
        key = text.removeprefix(settings.url("")) if text.startswith("s3://") else text
        key = key.rstrip("/")
        last = key.rpartition("/")[2]
        if not last or key not in {last, settings.key(last)}:
            raise UsageError(
                f"{text!r} is no backup under {self.url}",
                fix="give its name alone, or its whole address s3://BUCKET/PREFIX/backup-...",
            )
        return last

    def _latest(self) -> Backup:
        with closing(self.backups()) as backups:
            for backup in backups:
                if backup.state is State.COMPLETE:
                    return backup
                if backup.state in {State.DAMAGED, State.LATER, State.UNREADABLE}:
                    self.report.warn(f"{backup.url} is newer and was left out: {backup.why}")
        raise StoreError(
            f"there is no complete backup under {self.url}",
            fix="check --bucket and --prefix; backup-manager list shows what is there",
        )

    def named(self, name: Name) -> Backup | None:
        """Return the backup of that very name, if anything of it is there."""
        layout = self.layout(name)
        there = (item for item in self.store.objects(layout.prefix) if layout.owns(item.key))
        first = next(there, None)
        if first is None:
            return None
        return self.read(Found(name, first if first.key == layout.root else None))

    def _none(self, text: str) -> StoreError:
        return StoreError(
            f"there is no backup {text!r} under {self.url}",
            fix="check --bucket and --prefix; backup-manager list shows what is there",
        )


def _means(text: str, backup: Backup) -> bool:
    record = backup.record
    if record and text == record.name:
        return True
    run_id = record.id if record else backup.name.short_id
    # An id is told from the beginning of a name by its first letter alone: no hex digit is a "b-".
    return backup.name.text.startswith(text) or (bool(run_id) and run_id.startswith(text))


def _of_operator(backup: Backup, found: Found) -> Backup:
    if found.archive is None:
        return backup  # its upload was never completed: only backup-....tgz.tmp is there
    return replace(
        backup,
        state=State.OPERATOR,
        stored=found.archive.modified,
        bytes=found.archive.bytes,
    )


@contextmanager
def open_catalog(settings: Settings, report: Report, stop: Stop) -> Iterator[Catalog]:
    """Open the store that the settings name. Raises UsageError, StoreError."""
    place, options = configure(settings, report)
    check_access()
    store = Store(place, options, report=report, stop=stop)
    reader = Reader(store, stop=stop, report=report)
    try:
        yield Catalog(store, reader, report, stop)
    finally:
        reader.end()
