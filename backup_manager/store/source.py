"""A file of the dump as a source of bodies: read, hashed, and seen to have stayed the same."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from backup_manager.errors import DumpInvalidError, VolumeError
from backup_manager.store.parts import part_bytes
from backup_manager.store.settings import Pace
from backup_manager.store.wire import Body
from backup_manager.volume.directory import FileState, volume_error

_HASH_BLOCK = 1 << 20
# What one send may hand to the kernel at once: small, so that a slow line is no time-out.
_SEND_BLOCK = 128 << 10


class FileChangedError(Exception):
    """The file changed while it was read or sent; what was sent of it counts for nothing."""


class SourceFile:
    """An open file in the state that it had when it was opened.

    ``read_ns``: when that was (wall clock, nanoseconds). Use as a context manager or ``close``.
    Reading raises FileChangedError, and VolumeError where the volume fails.
    """

    def __init__(self, path: Path, *, content_md5: bool) -> None:
        """Open the file; raises OSError."""
        self.read_ns = time.time_ns()
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        self.state = FileState.of(os.fstat(self._descriptor))
        self._content_md5 = content_md5

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    def check(self) -> None:
        """Raise FileChangedError if the file is no longer as it was."""
        try:
            now = self.path.lstat()
        except FileNotFoundError:
            raise FileChangedError from None
        except OSError as error:
            raise self._unreadable(error) from error
        if FileState.of(now) != self.state:
            raise FileChangedError

    def body(self, offset: int, length: int, *, also: Any = None) -> Body:
        """Hash a span of the file, into ``also`` too, and make it a body that is read when sent.

        The memory that this takes does not depend on the span. Raises FileChangedError.
        """
        sha256 = hashlib.sha256()
        md5 = hashlib.md5(usedforsecurity=False) if self._content_md5 else None
        hashes = [one for one in (sha256, md5, also) if one is not None]
        for block in self._blocks(offset, length, _HASH_BLOCK):
            for one in hashes:
                one.update(block)
        return Body(
            read=lambda: self._sent_blocks(offset, length),
            length=length,
            sha256=sha256.hexdigest(),
            md5=md5.digest() if md5 else None,
        )

    def blocks(self) -> Iterator[bytes]:
        """Read the whole file, as large as it was when it was opened. Raises FileChangedError."""
        return self._blocks(0, self.state.bytes, _HASH_BLOCK)

    def _sent_blocks(self, offset: int, length: int) -> Iterator[bytes]:
        # At once, not when the first block is asked for: by then the head of the request is out,
        # and an empty body's is a whole request, which may be carried out after the file's next.
        self.check()
        return self._blocks(offset, length, _SEND_BLOCK)

    def _blocks(self, offset: int, length: int, block: int) -> Iterator[bytes]:
        end = offset + length
        while offset < end:
            try:
                data = os.pread(self._descriptor, min(block, end - offset), offset)
            except OSError as error:
                # Not to be taken for an error of the connection that it is read for.
                raise self._unreadable(error) from error
            if not data:
                raise FileChangedError  # it was cut short
            offset += len(data)
            yield data

    def _unreadable(self, error: OSError) -> VolumeError:
        return volume_error(f"{self.path} cannot be read", error)


def utf8(name: str) -> str:
    """Return the name; raise DumpInvalidError if it is no UTF-8, as keys in S3 must be."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "backslashreplace").decode()
        raise DumpInvalidError(
            f"the file name {shown} is no UTF-8",
            why="an object's key must be UTF-8, so this file cannot be backed up under its name",
            fix="rename the schema or table, or choose other names by --output-filename-template",
        ) from None
    return name


def check_size(name: str, size: int, pace: Pace) -> None:
    """Raise DumpInvalidError for a file that no store takes, or not in the parts asked for."""
    try:
        part_bytes(size, least=pace.part_bytes, most_parts=pace.max_parts)
    except ValueError as error:
        raise DumpInvalidError(
            f"{name} has {size} bytes",
            why=str(error),
            fix="split the files, for example by --dumpling-option=--filesize=256MiB",
        ) from None
