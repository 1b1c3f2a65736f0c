"""The files of a backup as they lie in the store: read in parallel, in memory that is bounded."""

import hashlib
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager

from backup_manager.ahead import ahead
from backup_manager.catalog.backups import Backup
from backup_manager.catalog.catalog import Catalog
from backup_manager.catalog.manifest import ManifestError, ManifestRow, read_manifest
from backup_manager.errors import MismatchError
from backup_manager.store.reader import RANGE_BYTES, ObjectStream

# Ranges of one file under way, and waiting for their turn; and files of more than one range at
# once: 72 MiB in all, beside a range for each small file.
_RANGES_AT_ONCE, _RANGES_WAITING, _BIG_FILES_AT_ONCE = 4, 6, 3


class Contents:
    """Reads files of a catalog's backups; safe to use from every thread."""

    def __init__(self, catalog: Catalog) -> None:
        self._reader = catalog.reader
        self._stop = catalog.stop
        self._big = threading.Semaphore(_BIG_FILES_AT_ONCE)

    def blocks(self, key: str, size: int, first: int = 0) -> Generator[bytes]:
        """Yield an object of ``size`` bytes from the byte at ``first`` on.

        Raises MismatchError where there is no such object or it has another size, StoreError.
        """
        spans = ((at, min(RANGE_BYTES, size - at)) for at in range(first, size, RANGE_BYTES))
        if size - first <= RANGE_BYTES:
            for at, count in spans:
                yield self._reader.span(key, at, count, size=size)
            return
        with (
            self._turn(),
            closing(
                ahead(
                    lambda span: self._reader.span(key, *span, size=size),
                    spans,
                    at_once=_RANGES_AT_ONCE,
                    window=_RANGES_WAITING,
                    look=self._stop.check,
                )
            ) as blocks,
        ):
            yield from blocks

    @contextmanager
    def _turn(self) -> Iterator[None]:
        while not self._big.acquire(timeout=0.1):
            self._stop.check()
        try:
            yield
        finally:
            self._big.release()

    def sha256(self, key: str, size: int, moved: Callable[[int], None]) -> str:
        """Return the SHA-256 of an object of ``size`` bytes; ``moved`` is told of each block."""
        digest = hashlib.sha256()
        for block in self.blocks(key, size):
            digest.update(block)
            moved(len(block))
        return digest.hexdigest()


class Manifest:
    """The manifest of a complete backup, proved to be the one that its record names.

    Read from the store each time, in constant memory.
    """

    def __init__(self, catalog: Catalog, backup: Backup) -> None:
        """Prove it. Raises MismatchError (exit 8) where it is missing or another, StoreError."""
        self.record = backup.complete
        self._backup = backup
        directory = backup.layout.record.rpartition("/")[0]
        key = f"{directory}/{self.record.manifest}" if directory else self.record.manifest
        self._stream = ObjectStream(catalog.reader, key)
        self.key, self.bytes = key, self._stream.bytes
        if self._stream.hash_all() != self.record.manifest_sha256:
            raise self._damaged("its SHA-256 is not the one that the record has")

    def rows(self) -> Iterator[ManifestRow]:
        """Yield its rows, sorted by name as UTF-8 bytes. Raises MismatchError, StoreError."""
        self._stream.rewind()
        try:
            yield from read_manifest(
                self._stream.file,
                files=self.record.files,
                total=self.record.bytes,
                archived=self._backup.layout.archived,
            )
        except ManifestError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, why: str) -> MismatchError:
        return MismatchError(
            f"the manifest of {self._backup.url} is damaged",
            why=why,
            fix="take another backup: this one cannot be checked any more",
        )
