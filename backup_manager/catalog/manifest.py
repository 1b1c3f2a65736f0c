"""The manifest: gzip of JSON lines, one a file, sorted by name as UTF-8 bytes.

What is read comes from a bucket and is believed in nothing: every line has a bound, the whole is
read in constant memory, and whatever is not as `write_manifest` writes it is a `ManifestError`.
"""

import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from backup_manager.canonical import canonical, decode
from backup_manager.catalog.formats import MANIFEST, RECORD, TOMBSTONE
from backup_manager.store.parts import MAX_OBJECT_BYTES
from backup_manager.volume.rows import FileRow

# S3's limit for a key, of which the name is a part.
_NAME_BYTES = 1024
_ETAG_CHARACTERS = 1024
# Each byte of a name takes six at most (\u001f); the rest is for the hash, and for later fields.
_LINE_BYTES = 16 << 10
# Enough of both for a call to be cheap, and little enough for a bomb to do no harm.
_PACKED_BLOCK, _UNPACKED_BLOCK = 64 << 10, 256 << 10
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_SEGMENTS = frozenset({"", ".", ".."})
_OWN_NAMES = frozenset({MANIFEST, RECORD, TOMBSTONE})


class ManifestError(ValueError):
    """These bytes are no manifest, or not the one that was meant."""


class ManifestRow(NamedTuple):
    """A file of a backup; ``name`` is relative to the backup's directory.

    ``etag`` is None in the manifest of an archive, where the file is no object of its own.
    """

    name: str
    bytes: int
    sha256: str
    etag: str | None


class Written(NamedTuple):
    """What was written, whatever the volume made of it."""

    sha256: str
    bytes: int


class _Hashing:
    """A file to write to, which keeps account of what it was given."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._bytes = 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._bytes += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def written(self) -> Written:
        return Written(self._digest.hexdigest(), self._bytes)


def manifest_line(row: FileRow) -> bytes:
    """Return the manifest's line for a confirmed file."""
    size = row.state.bytes if row.state else 0
    line = {"name": row.name, "bytes": size, "sha256": row.sha256, "etag": row.etag}
    return canonical(line) + b"\n"


def write_manifest(path: Path, rows: Iterable[FileRow]) -> Written:
    """Write the manifest of rows that come sorted by name; the same rows give the same bytes.

    What was at ``path`` before is replaced. Raises OSError.
    """
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        hashing = _Hashing(file)
        with gzip.GzipFile(
            filename="", mode="wb", fileobj=hashing, mtime=0, compresslevel=6
        ) as packed:
            for row in rows:
                packed.write(manifest_line(row))
    return hashing.written()


def read_manifest(
    source: Path | BinaryIO,
    *,
    files: int | None = None,
    total: int | None = None,
    archived: bool = False,
) -> Iterator[ManifestRow]:
    """Yield the rows of a manifest, each checked; the end checks the whole.

    ``files`` and ``total`` are the record's count of files and sum of their bytes: with them, a
    manifest of more, or in the end of fewer, is refused. ``archived`` says that it is that of an
    archive, whose files have no ETag. A stream is read to its end and left open. Raises
    ManifestError for whatever is wrong with it, OSError where it cannot be read.
    """
    number = summed = 0
    before = b""
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as stream:
        for line in _lines(stream):
            number += 1
            if files is not None and number > files:
                raise ManifestError(f"it has more lines than the {files} files of the record")
            try:
                row, key = _row(line, archived=archived)
            except (ValueError, RecursionError) as error:
                raise ManifestError(f"line {number}: {error}") from error
            if key <= before:
                raise ManifestError(f"line {number} does not come after the one before it")
            before = key
            summed += row.bytes
            yield row
    if files is not None and number != files:
        raise ManifestError(f"it has {number} lines; the record says {files} files")
    if total is not None and summed != total:
        raise ManifestError(f"its files have {summed} bytes; the record says {total}")


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    rest = b""
    for piece in _unpacked(stream):
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        if len(rest) > _LINE_BYTES:
            raise ManifestError(f"it has a line of more than {_LINE_BYTES} bytes")
        yield from lines
    if rest:
        raise ManifestError("its last line has no end")


def _unpacked(stream: BinaryIO) -> Iterator[bytes]:
    # Not gzip.GzipFile, which goes on with whatever follows the first member.
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    while not unpacker.eof:
        data = unpacker.unconsumed_tail or stream.read(_PACKED_BLOCK)
        try:
            piece = unpacker.decompress(data, _UNPACKED_BLOCK)
        except zlib.error as error:
            raise ManifestError(f"it is no whole gzip: {error}") from error
        if not data and not piece and not unpacker.eof:
            raise ManifestError("it is cut, or no gzip at all")
        yield piece
    if unpacker.unused_data or stream.read(1):
        raise ManifestError("something follows its end")


def _row(line: bytes, *, archived: bool) -> tuple[ManifestRow, bytes]:
    """Return a line's row, and its name in UTF-8; raise ValueError, RecursionError."""
    if len(line) > _LINE_BYTES:
        raise ValueError(f"it has more than {_LINE_BYTES} bytes")
    fields = decode(line.decode())
    if type(fields) is not dict:
        raise ValueError("it is no JSON object")
    name, size = fields.get("name"), fields.get("bytes")
    sha256 = fields.get("sha256")
    if type(name) is not str or not _is_relative(name):
        raise ValueError("its name is no relative path of a file of the dump")
    key = name.encode()
    if len(key) > _NAME_BYTES:
        raise ValueError(f"its name has more than {_NAME_BYTES} bytes")
    if type(size) is not int or not 0 <= size <= MAX_OBJECT_BYTES:
        raise ValueError("its bytes are no size of an object")
    if type(sha256) is not str or not _SHA256.fullmatch(sha256):
        raise ValueError("its sha256 is not 64 lower-case hex digits")
    _check_etag(fields, archived=archived)
    return ManifestRow(name, size, sha256, fields["etag"]), key


def _check_etag(fields: dict[str, Any], *, archived: bool) -> None:
    etag = fields.get("etag", ...)
    if archived:
        if etag is not None:
            raise ValueError("its etag is not null, as in an archive")
    elif type(etag) is not str or not 0 < len(etag.encode()) <= _ETAG_CHARACTERS:
        raise ValueError("its etag is no ETag")


def _is_relative(name: str) -> bool:
    if "\0" in name:
        return False
    if "/" not in name:
        return name not in _NO_SEGMENTS and name not in _OWN_NAMES
    return _NO_SEGMENTS.isdisjoint(name.split("/"))
