"""Takes an archive apart while it comes: just the tar that its manifest tells, and not a byte more.

Nothing that stands in the archive is believed. What each file's header has to be follows from the
manifest (see ``tar`` and ``dump_tar``, which write it), so that there is no tar to be parsed: a
member more, another size or type, a bomb end at the first byte that is another.
"""

import zlib
from collections.abc import Iterable, Iterator

from backup_manager.catalog import tar
from backup_manager.catalog.manifest import ManifestRow
from backup_manager.volume.journal import METADATA

# Of one call: what a bomb may swell to before it is looked at.
_UNPACKED_BYTES = 256 << 10


class ArchiveError(ValueError):
    """The bytes are not those of the archive that the manifest tells of."""


def unpack(
    blocks: Iterable[bytes], rows: Iterable[ManifestRow], *, top: str, moment: int
) -> Iterator[tuple[ManifestRow, Iterator[bytes]]]:
    """Yield each file with its bytes in pieces, in the archive's order: ``metadata`` is the last.

    ``blocks`` are the archive's own bytes, ``rows`` its manifest's. ``top`` is the directory that
    all files are in, ``moment`` the time of all entries in seconds since 1970. What was not read
    of a file when the next is asked for is skipped. Raises ArchiveError, and what ``blocks`` do.
    """
    stream = _Stream(_gunzipped(blocks))
    before = ""
    for row in _last(rows):
        name = f"{top}/{row.name}"
        for directory in tar.new_directories(name, before):
            stream.expect(tar.directory_header(directory, moment), f"the directory {directory}")
        before = name
        stream.expect(tar.file_header(name, row.bytes, moment), f"the header of {row.name}")
        pieces = stream.take(row.bytes, row.name)
        yield row, pieces
        for _ in pieces:
            pass
        stream.expect(tar.padding(row.bytes), f"the end of {row.name}")
    stream.expect(tar.END, "the end of the tar")
    stream.expect_end()


def _last(rows: Iterable[ManifestRow]) -> Iterator[ManifestRow]:
    last = None
    for row in rows:
        if row.name == METADATA:
            last = row
        else:
            yield row
    if last:
        yield last


def _gunzipped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack one gzip member that is all there is, its checksum looked at; in bounded pieces."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    for block in blocks:
        data = block
        while data:
            if unpacker.eof:
                raise ArchiveError("something follows the end of its gzip")
            try:
                piece = unpacker.decompress(data, _UNPACKED_BYTES)
            except zlib.error as error:
                raise ArchiveError(f"it is no whole gzip: {error}") from error
            data = unpacker.unconsumed_tail or unpacker.unused_data
            if piece:
                yield piece
    if not unpacker.eof:
        raise ArchiveError("its gzip is cut")


class _Stream:
    """The bytes of the tar, taken from the front."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")

    def take(self, count: int, name: str) -> Iterator[bytes]:
        """Yield the next so many bytes, in pieces as they come."""
        while count:
            piece = self._some(count)
            if not piece:
                raise ArchiveError(f"it ends in the middle of {name}")
            count -= len(piece)
            yield piece

    def expect(self, meant: bytes, what: str) -> None:
        """Take what has to come now; raise ArchiveError where it is anything else."""
        at = 0
        while at < len(meant):
            piece = self._some(len(meant) - at)
            if not piece:
                raise ArchiveError(f"it ends before {what}")
            if piece != meant[at : at + len(piece)]:
                raise ArchiveError(f"in place of {what} stands something else")
            at += len(piece)

    def expect_end(self) -> None:
        if self._some(1):
            raise ArchiveError("something follows the end of its tar")

    def _some(self, most: int) -> bytes:
        """Take up to so many bytes; none where there are no more."""
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._piece = memoryview(piece)
        taken, self._piece = self._piece[:most], self._piece[most:]
        return bytes(taken)
