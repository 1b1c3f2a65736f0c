"""How an archive is cut: 10,000 parts are enough for whatever it comes to."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.catalog.archive_parts import (
    Part,
    archive_part_bytes,
    cut,
    parts_in_memory,
)
from backup_manager.catalog.gzip_stream import gzip_bound
from backup_manager.errors import DumpInvalidError
from backup_manager.store.parts import MAX_OBJECT_BYTES, MAX_PARTS, MIB, PART_BYTES
from backup_manager.store.settings import Pace

GIB, TIB = 1 << 30, 1 << 40


@given(st.integers(0, 20 * TIB), st.floats(0, 1))
def test_whatever_it_comes_to_it_fits(dump: int, ratio: float) -> None:
    """Its size is known only at its end: any up to the most that gzip makes of the dump."""
    most = gzip_bound(dump)
    size = archive_part_bytes(most, Pace())
    came_to = min(int(most * ratio), MAX_OBJECT_BYTES)
    assert -(-came_to // size) <= MAX_PARTS
    assert PART_BYTES <= size <= 5 * GIB


@given(st.integers(0, 5 * TIB))
def test_memory_does_not_grow_with_the_archive(most: int) -> None:
    """It is 48 MiB, until a part has more: that begins at 468 GiB that gzip cannot shrink."""
    size = archive_part_bytes(most, Pace())
    assert parts_in_memory(size) * size <= max(48 * MIB, size)
    if most <= 10_000 * 48 * MIB:
        assert size <= 48 * MIB


@pytest.mark.parametrize(
    ("dump", "mib"), [(0, 16), (100 * GIB, 16), (200 * GIB, 24), (TIB, 120), (9 * TIB, 525)]
)
def test_sizes(dump: int, mib: int) -> None:
    assert mib * MIB == archive_part_bytes(gzip_bound(dump), Pace())


def test_the_pace_that_was_asked_for() -> None:
    assert 5 * MIB == archive_part_bytes(GIB, Pace(part_bytes=5 * MIB))
    assert 103 * MIB == archive_part_bytes(GIB, Pace(part_bytes=5 * MIB, max_parts=10))
    with pytest.raises(ValueError, match="5 GiB"):
        archive_part_bytes(TIB, Pace(max_parts=2))


def read(part: Part) -> bytes:
    return b"".join(part.blocks())


@given(st.lists(st.binary(max_size=40)), st.integers(1, 30))
def test_cut(stream: list[bytes], size: int) -> None:
    parts = [read(part) for part in cut(stream, size, MAX_PARTS)]
    assert b"".join(stream) == b"".join(parts)
    assert all(len(part) == size for part in parts[:-1])
    assert all(0 < len(part) <= size for part in parts[-1:])


def test_one_part_too_many_is_refused_before_it_goes() -> None:
    parts = cut([b"abc", b"def", b"g"], 3, 2)
    assert [b"abc", b"def"] == [read(next(parts)), read(next(parts))]
    with pytest.raises(DumpInvalidError, match=r"more than 2 parts.*--format=files"):
        next(parts)


@pytest.mark.parametrize("content_md5", [False, True])
def test_a_body_is_read_anew_for_each_attempt(content_md5: bool) -> None:
    data = bytes(range(256)) * 2000
    (part,) = cut([data], len(data) + 1, MAX_PARTS)
    whole = hashlib.sha256(b"before")
    body = part.body(content_md5=content_md5, also=whole)
    for _ in range(2):
        assert data == b"".join(body.read())
    assert (len(data), hashlib.sha256(data).hexdigest()) == (body.length, body.sha256)
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    assert (md5 if content_md5 else None) == body.md5
    assert hashlib.sha256(b"before" + data).digest() == whole.digest()
