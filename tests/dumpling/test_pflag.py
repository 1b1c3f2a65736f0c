import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backup_manager.dumpling import pflag
from backup_manager.dumpling.binary import Flag
from backup_manager.errors import UsageError
from tests.dumpling.helpers import BINARY

SHORT = {flag.short: flag for flag in BINARY.flags.values() if flag.short}


def parse(*items: str) -> list[tuple[str, str]]:
    uses = pflag.parse(items, BINARY.flags.__getitem__, SHORT.__getitem__)
    return [(use.flag.name, use.value) for use in uses]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["--rows=5"], [("rows", "5")]),
        (["--rows 5"], [("rows", "5")]),
        (["  --rows \t5 "], [("rows", "5")]),
        (["--rows", "5"], [("rows", "5")]),
        (["-r5"], [("rows", "5")]),
        (["-r=5"], [("rows", "5")]),
        (["-r 5"], [("rows", "5")]),
        (["-r", "5"], [("rows", "5")]),
        (["-r="], [("rows", "=")]),
        (["--rows="], [("rows", "")]),
        (["--where", "a = 'x y'"], [("where", "a = 'x y'")]),
        (["--where a = 'x y'"], [("where", "a = 'x y'")]),
        (["--where=a = 'x y'"], [("where", "a = 'x y'")]),
        (["--where", "--rows=5"], [("where", "--rows=5")]),
        (["--where", ""], [("where", "")]),
        (["-fa.b c"], [("filter", "a.b c")]),
        (["-mW=false"], [("no-schemas", "true"), ("no-views", "false")]),
        (["-mWr5"], [("no-schemas", "true"), ("no-views", "true"), ("rows", "5")]),
        (["-mr", "5"], [("no-schemas", "true"), ("rows", "5")]),
        (["-W "], [("no-views", "true")]),
        (["--no-views "], [("no-views", "true")]),
        (["--no-views"], [("no-views", "true")]),
        (["--no-views", "--rows=5"], [("no-views", "true"), ("rows", "5")]),
        (["--no-views="], [("no-views", "")]),
        (["", "  ", "--rows=5", ""], [("rows", "5")]),
    ],
)
def test_spellings(items: list[str], expected: list[tuple[str, str]]) -> None:
    assert expected == parse(*items)


@pytest.mark.parametrize(
    ("items", "told"),
    [
        (["5"], "'5' is no option"),
        (["-"], "'-' is no option"),
        (["--"], "'--' is no option"),
        (["--rows=5", "6"], "--option=value"),
        (["--no-views", "false"], "--no-views=false"),
        (["--no-views false"], "--no-views=false"),
        (["-W false"], "--no-views=false"),
        (["--rows"], "--rows has no value"),
        (["--rows  "], "--rows has no value"),
        (["-r"], "-r has no value"),
        (["-mr"], "-r has no value"),
        (["--where=a\0b"], "NUL"),
        (["--where", "a\0b"], "NUL"),
    ],
)
def test_what_pflag_would_not_take(items: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        parse(*items)


VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@st.composite
def spelled(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    """An option that takes a value, and one of the ways to write it."""
    flag = draw(st.sampled_from([flag for flag in BINARY.flags.values() if flag.takes_value]))
    value = draw(VALUES)
    ways = [[f"--{flag.name}={value}"], [f"--{flag.name}", value]]
    if flag.short:
        ways += [[f"-{flag.short}={value}"], [f"-{flag.short}", value]]
    if value == value.strip() and "=" not in value:
        ways.append([f"--{flag.name} {value}"])
    return flag.name, value, draw(st.sampled_from(ways))


@given(st.lists(spelled()))
def test_every_spelling_means_the_same(options: list[tuple[str, str, list[str]]]) -> None:
    items = [item for _, _, way in options for item in way]
    assert [(name, value) for name, value, _ in options] == parse(*items)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a,", ["a", ""]),
        (",", ["", ""]),
        ('""', [""]),
        ('"a,b",c', ["a,b", "c"]),
        ('"a""b"', ['a"b']),
        ("a b, c", ["a b", " c"]),
        ('"a\r\nb"', ["a\nb"]),
        ('"/^shop$/./^[a-z]{1,5}_t$/"', ["/^shop$/./^[a-z]{1,5}_t$/"]),
    ],
)
def test_csv_as_go_reads_it(value: str, expected: list[str]) -> None:
    assert expected == pflag.split_csv(value)


@pytest.mark.parametrize("value", ['a"b', '"a', '"a"b', '"', '"a" ,b', "a\nb", '"a"\nb'])
def test_csv_that_go_refuses_or_cuts(value: str) -> None:
    with pytest.raises(ValueError, match=r"quote|\"|line break|follows"):
        pflag.split_csv(value)


@given(st.lists(st.text(st.characters(exclude_characters="\r\n")), min_size=1))
def test_quoted_values_come_back(values: list[str]) -> None:
    assert values == pflag.split_csv(",".join(pflag.quote_csv(value) for value in values))


@pytest.mark.parametrize("value", ["a\nb", "\r"])
def test_a_line_break_cannot_be_quoted(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        pflag.quote_csv(value)


@pytest.mark.parametrize(
    ("value", "signed", "expected"),
    [
        ("0", False, 0),
        ("10000", False, 10000),
        ("010", False, 8),
        ("0x1f", False, 31),
        ("0b101", False, 5),
        ("1_000", False, 1000),
        ("18446744073709551615", False, 2**64 - 1),
        ("-5", True, -5),
        ("+5", True, 5),
    ],
)
def test_integers(value: str, signed: bool, expected: int) -> None:
    assert expected == pflag.parse_integer(value, signed=signed)


@pytest.mark.parametrize(
    "value", ["", " 5", "5 ", "-1", "1e3", "five", "٣", "09", "18446744073709551616", "0x", "1__0"]
)
def test_no_unsigned_integers(value: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        pflag.parse_integer(value, signed=False)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("bool", "T", "true"),
        ("bool", "0", "false"),
        ("duration", "1h30m", "1h30m"),
        ("strings", '"a,b",c', '"a,b",c'),
        ("stringToString", "a=1", "a=1"),
        ("string", "anything", "anything"),
    ],
)
def test_values(kind: str, value: str, expected: str) -> None:
    assert expected == pflag.check_value(Flag("x", None, kind), value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bool", "yes"),
        ("bool", ""),
        ("int", "x"),
        ("uint", "-1"),
        ("duration", "15"),
        ("strings", 'a"'),
        ("stringToString", "a"),
        ("stringToString", "a=1,b=2,c"),
    ],
)
def test_wrong_values_are_named(kind: str, value: str) -> None:
    with pytest.raises(UsageError, match="--x="):
        pflag.check_value(Flag("x", None, kind), value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a=1", {"a": "1"}),
        ('"a=1,2"', {"a": "1,2"}),
        ("a=1,2", {"a": "1,2"}),
        ("a=1,b=2", {"a": "1", "b": "2"}),
        ('"a=1,2",b=x=y', {"a": "1,2", "b": "x=y"}),
    ],
)
def test_maps(value: str, expected: dict[str, str]) -> None:
    assert expected == pflag.parse_map(value)


KINDS = ["bool", "int", "uint", "duration", "strings", "stringToString", "string"]


@given(st.sampled_from(KINDS), st.text())
@example("uint", "9" * 5000)
@example("int", "-0x" + "f" * 5000)
@example("duration", "9" * 2_000_000 + "h")
@example("stringToString", '"=,="')
def test_any_value_is_taken_or_refused(kind: str, value: str) -> None:
    flag = Flag("x", None, kind)
    try:
        taken = pflag.check_value(flag, value)
    except UsageError:
        return
    # A value that was taken is taken again, and stays what it is.
    assert taken == pflag.check_value(flag, taken)
