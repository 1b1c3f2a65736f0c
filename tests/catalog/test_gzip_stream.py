"""One gzip stream made by many threads: every reader takes it, and its bytes are the same."""

import gzip
import random
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backup_manager.catalog.gzip_stream import BLOCK_BYTES, gzip_bound, gzipped, threads

_NOISE = random.Random(1).randbytes(3 * BLOCK_BYTES + 77)
_ROWS = b"".join(b"(%d,'order %d','%s'),\n" % (n, n, b" ~" * (n % 40)) for n in range(40_000))


def packed(pieces: list[bytes], workers: int = 2) -> bytes:
    return b"".join(gzipped(pieces, workers))


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=10))
@example([])
@example([b""])
@example([_NOISE])
@example([bytes(BLOCK_BYTES)])
@example([_ROWS, b"x", _ROWS])
@example(pieces_of(_NOISE, 1000))
def test_it_comes_back(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    made = packed(pieces)
    assert data == gzip.decompress(made)
    # One member: what knows only one reads it whole.
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    assert data == reader.decompress(made)
    assert (True, b"") == (reader.eof, reader.unused_data)
    assert len(made) <= gzip_bound(len(data))


def test_the_bytes_depend_on_neither_threads_nor_pieces() -> None:
    data = _ROWS + _NOISE
    expected = packed([data], 1)
    assert expected == packed(pieces_of(data, 4096), 3)
    assert expected == packed(pieces_of(data, BLOCK_BYTES + 1), 8)


def test_nothing_of_the_machine_is_in_the_header() -> None:
    # RFC 1952: deflate, no flags, no time, no extra flags, an unknown system.
    assert b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" == packed([b"x"])[:10]


def test_blocks_know_what_stood_before_them() -> None:
    """Compressed each for itself they would be larger: the dictionary is at work."""
    line = random.Random(2).randbytes(30 << 10)
    data = line * (4 * BLOCK_BYTES // len(line))
    assert len(packed([data])) < 2 * len(line)


def test_gzip_itself_finds_it_whole() -> None:
    made = packed([_ROWS])
    assert 0 == subprocess.run(["gzip", "--test"], input=made, check=False).returncode
    cut = subprocess.run(["gzip", "--test"], input=made[:-9], check=False, capture_output=True)
    assert 0 != cut.returncode


def test_what_goes_wrong_with_a_piece_is_no_end() -> None:
    """A stream that broke off never gets gzip's trailer."""

    def broken() -> Iterator[bytes]:
        yield _NOISE
        raise OSError("gone")

    made: list[bytes] = []
    with closing(gzipped(broken(), 2)) as stream, pytest.raises(OSError, match="gone"):
        made.extend(stream)
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    reader.decompress(b"".join(made))
    assert not reader.eof


def test_threads() -> None:
    assert 1 <= threads() <= 8
