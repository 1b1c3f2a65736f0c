"""``verify``: whether a backup in the store is what its record and its manifest say."""

import threading
from collections.abc import Generator, Iterator
from contextlib import closing

from backup_manager.ahead import ahead
from backup_manager.catalog.backups import Backup
from backup_manager.catalog.catalog import Catalog
from backup_manager.catalog.checking import Compared, compare
from backup_manager.catalog.contents import Contents, Manifest
from backup_manager.errors import MismatchError
from backup_manager.progress import Figures, Progress, open_progress, size

_SHOWN = 5
_LOOK_EACH = 256  # files; a look costs more than a comparison


def verify(catalog: Catalog, backup: Backup, *, deep: bool) -> None:
    """Compare a backup's listing with its manifest; ``deep``: read and hash every byte too.

    Each file that does not fit is an error in the log. Raises MismatchError (exit 8) where there
    is any, StoreError.
    """
    report = catalog.report
    manifest = Manifest(catalog, backup)
    progress = open_progress(report)
    try:
        tally = _Tally(catalog, backup, progress, deep=deep)
        for compared in tally.checked(manifest):
            if compared.wrong:
                report.error("damaged", file=compared.name, why=compared.wrong)
                tally.wrong.append(compared)
                tally.count += 1
                del tally.wrong[_SHOWN:]
    finally:
        progress.close()
    if tally.count:
        raise _mismatch(backup, tally)
    record = manifest.record
    report.succeed(
        f"{backup.url} is whole: {record.files} files, {size(record.bytes)}, "
        f"{_compared(catalog, backup, deep=deep)}"
    )


def _compared(catalog: Catalog, backup: Backup, *, deep: bool) -> str:
    """Say what was compared: what was not may be otherwise."""
    if deep:
        return "every byte read"
    if backup.layout.archived:
        return "by the size of its archive; --deep compares the bytes"
    if catalog.store.options.compare_etags:
        return "by sizes and ETags"
    return "by sizes alone; --deep compares the bytes"


class _Tally:
    """What has been checked so far."""

    def __init__(self, catalog: Catalog, backup: Backup, progress: Progress, *, deep: bool) -> None:
        self.wrong: list[Compared] = []  # the first few
        self.count = 0
        self._catalog = catalog
        self._backup = backup
        self._progress = progress
        self._deep = deep
        self._contents = Contents(catalog)
        self._lock = threading.Lock()
        self._bytes = self._files = 0

    def checked(self, manifest: Manifest) -> Iterator[Compared]:
        """Yield what was compared, its bytes too where they are wanted."""
        compared: Generator[Compared] = compare(self._catalog, self._backup, manifest)
        if self._deep:
            at_once = self._catalog.store.options.pace.requests_at_once
            compared = ahead(self._read, compared, at_once=at_once, look=self._look)
        record = manifest.record
        self._known_files, self._known_bytes = record.files, record.bytes
        if record.archive:
            self._known_files, self._known_bytes = 1, record.archive.bytes
        with closing(compared):
            for one in compared:
                self._files += one.row is not None
                if self._deep or self._files % _LOOK_EACH == 0:
                    self._look()
                yield one

    def _read(self, compared: Compared) -> Compared:
        row = compared.row
        if row is None or compared.wrong:
            return compared
        key = self._backup.layout.key(row.name)
        try:
            if self._contents.sha256(key, row.bytes, self._moved) == row.sha256:
                return compared
        except MismatchError as error:
            return compared._replace(wrong=error.why)
        return compared._replace(wrong="its bytes are not those that were written: other SHA-256")

    def _moved(self, count: int) -> None:
        with self._lock:
            self._bytes += count

    def _look(self) -> None:
        self._catalog.stop.check()
        self._progress.show(
            "reading every byte" if self._deep else "comparing",
            Figures(
                verb="read",
                files_sent=self._files,
                files_waiting=self._known_files - self._files,
                sent_bytes=self._bytes,
                known_bytes=self._known_bytes if self._deep else 0,
                moved_bytes=self._bytes,
                complete=self._deep,
            ),
        )


def _mismatch(backup: Backup, tally: _Tally) -> MismatchError:
    said = "; ".join(f"{one.name}: {one.wrong}" for one in tally.wrong)
    more = f"; and {tally.count - len(tally.wrong)} more, in the log" * (
        tally.count > len(tally.wrong)
    )
    return MismatchError(
        f"{backup.url} is damaged: {tally.count} of its files do not fit",
        why=said + more,
        fix="restore from another backup, and see who changes or deletes objects there; of a "
        "backup that was copied, verify --deep --s3-option=--ignore-checksum compares the bytes",
    )
