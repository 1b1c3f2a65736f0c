"""Durations as Go has them: its own examples (time/time_test.go's values), and round trips."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backup_manager.durations import format_duration, parse_duration

SECOND = 1_000_000_000
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
MAX = (1 << 63) - 1


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("5s", 5 * SECOND),
        ("1478s", 1478 * SECOND),
        ("-5s", -5 * SECOND),
        ("+5s", 5 * SECOND),
        ("-0", 0),
        ("5.0s", 5 * SECOND),
        ("5.6s", 5_600_000_000),
        ("5.s", 5 * SECOND),
        (".5s", 500_000_000),
        ("1.004s", 1_004_000_000),
        ("100.00100s", 100_001_000_000),
        ("10ns", 10),
        ("11us", 11_000),
        ("12µs", 12_000),
        ("12μs", 12_000),
        ("13ms", 13_000_000),
        ("14s", 14 * SECOND),
        ("15m", 15 * MINUTE),
        ("16h", 16 * HOUR),
        ("3h30m", 3 * HOUR + 30 * MINUTE),
        ("10.5s4m", 4 * MINUTE + 10_500_000_000),
        ("-2m3.4s", -(2 * MINUTE + 3_400_000_000)),
        ("39h9m14.425s", 39 * HOUR + 9 * MINUTE + 14_425_000_000),
        ("52763797000ns", 52_763_797_000),
        ("0.3333333333333333333h", 20 * MINUTE - 1),
        ("9223372036854775807ns", MAX),
        ("10m0s", 10 * MINUTE),
        ("72h", 72 * HOUR),
        ("8760h", 8760 * HOUR),
    ],
)
def test_what_go_takes(text: str, nanoseconds: int) -> None:
    assert nanoseconds == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "10min", "3 h", " 3h", "3h ", "1e3s"),
        *("9223372036854775808ns", "3000000h", "10m0", "h10", "ten", "1H", "\u0661h", "--1s"),
    ],
)
def test_what_go_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (3_300_000_000, "3.3s"),
        (4 * MINUTE + 5 * SECOND, "4m5s"),
        (4 * MINUTE + 5_001_000_000, "4m5.001s"),
        (5 * HOUR + 6 * MINUTE + 7_001_000_000, "5h6m7.001s"),
        (8 * MINUTE + 1, "8m0.000000001s"),
        (10 * MINUTE, "10m0s"),
        (72 * HOUR, "72h0m0s"),
        (MAX, "2562047h47m16.854775807s"),
        (-1, "-1ns"),
    ],
)
def test_printed_as_go_prints(nanoseconds: int, text: str) -> None:
    assert text == format_duration(nanoseconds)


@given(st.integers(min_value=-MAX, max_value=MAX))
def test_what_is_printed_is_read_back(nanoseconds: int) -> None:
    assert nanoseconds == parse_duration(format_duration(nanoseconds))


@given(st.text(alphabet="0123456789.+-hmsnuµ ", max_size=12) | st.text())
@example("9" * 2_000_000 + "h")
@example("9" * 1000 + "h")
@example("0." + "0" * 1000 + "1h")
@example("1h" * 500)
@example("9223372036854775807.99999999999999999999ns")
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        length = parse_duration(text)
    except ValueError:
        return
    assert length == parse_duration(format_duration(length))


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["h", "m", "s", "ms", "us", "ns"])))
)
def test_pieces_add_up(pieces: list[tuple[int, str]]) -> None:
    units = {"h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
    total = sum(count * units[unit] for count, unit in pieces)
    text = "".join(f"{count}{unit}" for count, unit in pieces)
    if text and total <= MAX:
        assert total == parse_duration(text)
        assert -total == parse_duration("-" + text)
    else:
        with pytest.raises(ValueError, match="is no duration"):
            parse_duration(text)
