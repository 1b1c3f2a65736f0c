"""The tar inside an archive: headers that depend on nothing but names, sizes and one moment.

POSIX.1-2001 (pax): a plain ustar header, and an extended one before it only where the name is
longer than 100 bytes or no ASCII, or the file has 8 GiB or more. GNU tar, Python and Go, which
TiDB Operator's Restore is written in, read both.
"""

import tarfile
from collections.abc import Iterable, Iterator

BLOCK_BYTES = 512
END = bytes(2 * BLOCK_BYTES)
_FILE_MODE, _DIRECTORY_MODE = 0o644, 0o755


def file_header(name: str, size: int, moment: int) -> bytes:
    """Return what stands before a file's bytes; ``moment`` in seconds since 1970."""
    return _header(name, tarfile.REGTYPE, _FILE_MODE, size, moment)


def directory_header(name: str, moment: int) -> bytes:
    return _header(name, tarfile.DIRTYPE, _DIRECTORY_MODE, 0, moment)


def _header(name: str, kind: bytes, mode: int, size: int, moment: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.mtime = kind, mode, size, moment
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def padding(size: int) -> bytes:
    """Return the zeros that follow a file's bytes: a tar is made of blocks of 512."""
    return bytes(-size % BLOCK_BYTES)


def new_directories(name: str, before: str) -> Iterator[str]:
    """Yield the directories of ``name``, outermost first, that those of ``before`` do not hold.

    Of names in the order of their bytes each directory comes once.
    """
    inside, there = name.split("/")[:-1], before.split("/")[:-1]
    for depth in range(1, len(inside) + 1):
        if inside[:depth] != there[:depth]:
            yield "/".join(inside[:depth])


def tar_bytes(files: Iterable[tuple[str, int]], moment: int) -> int:
    """Return the size of the tar of these files (name and bytes, in its order)."""
    total, before = len(END), ""
    for name, size in files:
        for directory in new_directories(name, before):
            total += len(directory_header(directory, moment))
        total += len(file_header(name, size, moment)) + size + len(padding(size))
        before = name
    return total
