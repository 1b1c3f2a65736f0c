"""How the stream of an archive, whose length nobody knows before its end, is cut into parts."""

import hashlib
from collections.abc import Iterable, Iterator
from mmap import mmap
from typing import Any

from backup_manager.errors import DumpInvalidError
from backup_manager.store.parts import MAX_OBJECT_BYTES, MIB, part_bytes
from backup_manager.store.settings import Pace
from backup_manager.store.wire import Body

_HELD_BYTES = 48 * MIB
# What one send may hand to the kernel at once: small, so that a slow line is no time-out.
_SEND_BLOCK = 128 << 10


def archive_part_bytes(most: int, pace: Pace) -> int:
    """Return the size of every part but the last of a stream of ``most`` bytes or fewer.

    By default 16 MiB to 156 GiB, then whole MiB as 10,000 parts need. All of one size, as some
    stores want it (Cloudflare R2), and so large from the beginning: what does not shrink must fit
    too. A stream that may have more than S3's 5 TiB gets parts for these. Raises ValueError where
    the parts asked for are too few.
    """
    return part_bytes(min(most, MAX_OBJECT_BYTES), least=pace.part_bytes, most_parts=pace.max_parts)


def parts_in_memory(size: int) -> int:
    """Return how many parts there may be at once, with the one that is being filled: 48 MiB."""
    return max(1, _HELD_BYTES // size)


class Part:
    """One part in memory of its own, which goes back to the system as soon as nobody uses it.

    The heap would keep it: after the first of its size is freed, glibc takes the next from there.
    """

    def __init__(self, size: int) -> None:
        self._memory = mmap(-1, size)
        self.length = 0

    @property
    def full(self) -> bool:
        return self.length == len(self._memory)

    def fill(self, piece: memoryview) -> int:
        """Take as much of a piece as there is room for; return how much."""
        taken = self._memory.write(piece[: len(self._memory) - self.length])
        self.length += taken
        return taken

    def blocks(self) -> Iterator[bytes]:
        for offset in range(0, self.length, _SEND_BLOCK):
            yield self._memory[offset : min(offset + _SEND_BLOCK, self.length)]

    def body(self, *, content_md5: bool, also: Any) -> Body:
        """Return it as a body that can be sent again and again; it is hashed into ``also`` too."""
        sha256 = hashlib.sha256()
        md5 = hashlib.md5(usedforsecurity=False) if content_md5 else None
        for block in self.blocks():
            for one in (sha256, also, *((md5,) if md5 else ())):
                one.update(block)
        return Body(
            read=self.blocks,
            length=self.length,
            sha256=sha256.hexdigest(),
            md5=md5.digest() if md5 else None,
        )


def cut(stream: Iterable[bytes], size: int, most_parts: int) -> Iterator[Part]:
    """Yield the stream in parts of ``size`` bytes, the last one shorter.

    Raises DumpInvalidError before a part that no store takes.
    """
    number, part = 1, Part(size)
    for piece in stream:
        rest = memoryview(piece)
        while rest:
            rest = rest[part.fill(rest) :]
            if part.full:
                _check(number, number * size, most_parts)
                yield part
                number, part = number + 1, Part(size)
    if part.length:
        _check(number, (number - 1) * size + part.length, most_parts)
        yield part


def _check(number: int, total: int, most_parts: int) -> None:
    if number > most_parts or total > MAX_OBJECT_BYTES:
        raise too_large(f"S3 takes no object above 5 TiB, nor here more than {most_parts} parts")


def too_large(why: str) -> DumpInvalidError:
    """Say that the dump does not fit into one object."""
    return DumpInvalidError("the archive becomes too large", why=why, fix="use --format=files")
