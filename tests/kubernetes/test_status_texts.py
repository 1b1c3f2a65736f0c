"""What is printed into a status: sizes, times and messages as the operator has them."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.kubernetes.status import moment, readable
from backup_manager.texts import cut


@pytest.mark.parametrize(
    ("size", "text"),
    # What go-humanize 1.0.1 prints.
    [
        (0, "0 B"),
        (9, "9 B"),
        (10, "10 B"),
        (83, "83 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1049, "1.0 kB"),
        (1050, "1.1 kB"),
        (9949, "9.9 kB"),
        (9950, "10 kB"),
        (10_000, "10 kB"),
        (10_500, "10 kB"),
        (11_500, "12 kB"),
        (82_000, "82 kB"),
        (998_500, "998 kB"),
        (999_499, "1000 kB"),
        (999_500, "1000 kB"),
        (999_999, "1000 kB"),
        (1_000_000, "1.0 MB"),
        (9_949_999, "9.9 MB"),
        (9_950_000, "10 MB"),
        (83_000_000, "83 MB"),
        (1_000_000_000, "1.0 GB"),
        (1_200_000_000, "1.2 GB"),
        (1_000_000_000_000, "1.0 TB"),
        (1_000_000_000_000_000, "1.0 PB"),
        (1_000_000_000_000_000_000, "1.0 EB"),
        (9_223_372_036_854_775_807, "9.2 EB"),
    ],
)
def test_sizes_are_printed_as_the_operator_prints_them(size: int, text: str) -> None:
    assert text == readable(size)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_what_is_larger_is_never_printed_as_less(one: int, other: int) -> None:
    units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]

    def printed(size: int) -> float:
        number, unit = readable(size).split()
        return float(number) * 1000.0 ** units.index(unit)

    least, most = sorted((one, other))
    assert printed(least) <= printed(most)


@given(st.integers(0, 2**63 - 1))
def test_a_size_is_about_what_is_printed(size: int) -> None:
    number, unit = readable(size).split()
    scale = 1000 ** ["B", "kB", "MB", "GB", "TB", "PB", "EB"].index(unit)
    # To a tenth first, and then to a whole one.
    off = 0.05 if "." in number else 0.55
    assert abs(float(number) * scale - size) <= off * scale * (1 + 1e-9)
    assert 0 <= float(number) <= 1000


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00Z"),
        (1_795_341_600.0, "2026-11-22T10:00:00Z"),
        (1_795_341_600.999_999, "2026-11-22T10:00:00Z"),
        (1_582_934_400.0, "2020-02-29T00:00:00Z"),
    ],
)
def test_times_are_in_utc_and_whole_seconds(at: float, text: str) -> None:
    assert text == moment(at)


@given(st.floats(0, 4e9))
def test_a_time_is_never_in_the_future(at: float) -> None:
    told = datetime.fromisoformat(moment(at))
    assert 0 <= at - told.timestamp() < 1


@given(st.text(), st.integers(3, 50))
def test_texts_are_cut_in_bytes(text: str, limit: int) -> None:
    data = text.encode("utf-8", "backslashreplace")
    told = cut(text, limit)
    assert len(told.encode()) <= limit
    if len(data) <= limit:
        assert data.decode() == told
    else:
        assert told.endswith("...")
        assert data.startswith(told[:-3].encode())
        # No more is lost than a character that does not fit.
        assert len(told.encode()) > limit - 4


@pytest.mark.parametrize(
    ("text", "limit", "told"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abc..."),
        ("漢字漢字", 12, "漢字漢字"),
        ("漢字漢字", 11, "漢字..."),
        ("漢字漢字", 10, "漢字..."),
        ("漢字漢字", 8, "漢..."),
    ],
)
def test_no_character_is_cut_in_the_middle(text: str, limit: int, told: str) -> None:
    assert told == cut(text, limit)
