"""The journal's rows as they are read, each proved by its checksum.

SQLite finds a damaged structure; a flipped bit inside a value is found by the checksum only.
"""

import zlib
from dataclasses import dataclass, field
from typing import Any

from backup_manager.volume.directory import FileState


class DamagedRowError(Exception):
    """A row is not what was written."""


def checksum(*values: Any) -> int:
    """Return the CRC-32 of a row's columns; it finds every burst of damage up to 32 bits."""
    return zlib.crc32(repr(values).encode())


def intact(row: tuple[Any, ...], columns: int) -> tuple[Any, ...]:
    """Return the row's first ``columns``; raise DamagedRowError where the next is not their sum."""
    values = row[:columns]
    if checksum(*values) != row[columns]:
        raise DamagedRowError("a row's checksum does not fit")
    return values


@dataclass(frozen=True)
class FileRow:
    """A file: its state, when it was read (wall clock, ns), and what the store has of it."""

    name: str
    state: FileState | None
    read_ns: int
    sha256: str | None
    etag: str | None
    confirmed: bool
    id: int = field(default=0, compare=False)


@dataclass(frozen=True)
class UploadRow:
    """A multipart upload that was begun, for a file in that state."""

    upload_id: str
    part_bytes: int
    state: FileState


@dataclass(frozen=True)
class PartRow:
    """A part that the store has confirmed."""

    number: int
    bytes: int
    sha256: str
    etag: str


def file_row(row: tuple[Any, ...]) -> FileRow:
    """Read one row of SELECT_FILES. Raises DamagedRowError."""
    name, inode, size, mtime, ctime, read_ns, sha256, etag, confirmed = intact(row, 9)
    state = FileState(inode, size, mtime, ctime) if inode is not None else None
    return FileRow(name, state, read_ns or 0, sha256, etag, bool(confirmed), row[-1])
