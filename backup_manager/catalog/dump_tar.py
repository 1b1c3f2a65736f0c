"""The tar of a dump as it is read from the volume: each file as it was when the dump had ended."""

import hashlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from backup_manager.catalog import tar
from backup_manager.errors import DumpInvalidError
from backup_manager.store.sender import changed_after
from backup_manager.store.settings import Pace
from backup_manager.store.source import FileChangedError, SourceFile, check_size
from backup_manager.volume.directory import volume_error, volume_errors
from backup_manager.volume.journal import METADATA, Journal
from backup_manager.volume.rows import FileRow


class DumpTar:
    """The files that the journal names, under one directory ``top``; read from ``root``.

    ``moment`` is the time of all entries in seconds since 1970. ``files`` and ``bytes`` count what
    was read. Raises DumpInvalidError where a file is not as it was recorded, VolumeError.
    """

    def __init__(self, journal: Journal, root: Path, top: str, moment: int) -> None:
        self._journal = journal
        self._root = root
        self._top = top
        self._moment = moment
        self.files = 0
        self.bytes = 0

    @property
    def size(self) -> int:
        """The bytes of the whole, told by the journal alone."""
        files = ((f"{self._top}/{row.name}", row.state.bytes) for row in self._rows() if row.state)
        return tar.tar_bytes(files, self._moment)

    def read(self, before_each: Callable[[], None]) -> Iterator[bytes]:
        """Yield the tar, and write each file's hash into the journal.

        ``before_each`` is called before each block, and may raise to end it.
        """
        self.files = self.bytes = 0
        before = ""
        for row in self._rows():
            name = f"{self._top}/{row.name}"
            for directory in tar.new_directories(name, before):
                yield tar.directory_header(directory, self._moment)
            before = name
            yield from self._entry(row, name, before_each)
            self.files += 1
        yield tar.END

    def _rows(self) -> Iterator[FileRow]:
        """Walk the files by name, ``metadata`` last: an archive that was cut lacks it."""
        last = self._journal.file(METADATA)
        others = (row for row in self._journal.files() if row.name != METADATA)
        return chain(others, [last] if last else [])

    def _entry(self, row: FileRow, name: str, before_each: Callable[[], None]) -> Iterator[bytes]:
        digest = hashlib.sha256()
        try:
            with self._open(row.name) as source:
                size = source.state.bytes
                _expect(row, source)
                check_size(row.name, size, Pace())  # it has no parts of its own
                yield tar.file_header(name, size, self._moment)
                for block in source.blocks():
                    before_each()
                    digest.update(block)
                    yield block
                    self.bytes += len(block)
                source.check()
                yield tar.padding(size)
        except FileChangedError:
            raise changed_after(row.name) from None
        self._journal.hash_file(row.name, digest.hexdigest())

    def _open(self, name: str) -> SourceFile:
        path = self._root / name
        try:
            return SourceFile(path, content_md5=False)
        except FileNotFoundError as error:
            with volume_errors(f"{self._root} is no longer there"):
                self._root.stat()
            raise DumpInvalidError(
                f"the file {name} of the dump is gone",
                fix="find out who deletes files on the volume, then run the same command again",
            ) from error
        except OSError as error:
            raise volume_error(f"{path} cannot be read", error) from error


def _expect(row: FileRow, source: SourceFile) -> None:
    if row.state != source.state:
        raise FileChangedError
