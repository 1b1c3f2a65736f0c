"""How files are cut: S3's limits hold for every size."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backup_manager.store.parts import (
    MAX_OBJECT_BYTES,
    MAX_PARTS,
    MIB,
    PART_BYTES,
    part_bytes,
    part_count,
    part_span,
)

SIZES = st.integers(0, MAX_OBJECT_BYTES)
LAST_OF_16_MIB = MAX_PARTS * PART_BYTES


@given(SIZES)
@example(0)
@example(1)
@example(PART_BYTES)
@example(PART_BYTES + 1)
@example(LAST_OF_16_MIB)
@example(LAST_OF_16_MIB + 1)
@example(MAX_OBJECT_BYTES)
def test_the_limits_of_s3(size: int) -> None:
    each = part_bytes(size)
    count = part_count(size, each)
    assert 16 * MIB <= each <= 5 << 30
    assert 0 == each % MIB
    assert 1 <= count <= MAX_PARTS


@given(SIZES, st.data())
def test_spans_tile_the_file(size: int, data: st.DataObject) -> None:
    each = part_bytes(size)
    count = part_count(size, each)
    assert 0 == part_span(size, each, 1)[0]
    offset, length = part_span(size, each, count)
    assert size == offset + length
    number = data.draw(st.integers(1, count))
    offset, length = part_span(size, each, number)
    assert length > 0 or size == 0
    if number < count:
        assert each == length
        assert offset + length == part_span(size, each, number + 1)[0]


@given(st.integers(0, 300), st.integers(1, 40))
def test_every_byte_is_in_one_part(size: int, each: int) -> None:
    spans = [part_span(size, each, number + 1) for number in range(part_count(size, each))]
    covered = [byte for offset, length in spans for byte in range(offset, offset + length)]
    assert list(range(size)) == covered


@given(SIZES)
def test_parts_grow_no_more_than_they_must(size: int) -> None:
    each = part_bytes(size)
    if each > PART_BYTES:
        assert part_count(size, each - MIB) > MAX_PARTS


def test_the_sizes_of_parts() -> None:
    assert 16 * MIB == part_bytes(LAST_OF_16_MIB)
    assert 17 * MIB == part_bytes(LAST_OF_16_MIB + 1)
    assert 525 * MIB == part_bytes(MAX_OBJECT_BYTES)


def test_above_the_limit() -> None:
    with pytest.raises(ValueError, match="5 TiB"):
        part_bytes(MAX_OBJECT_BYTES + 1)
