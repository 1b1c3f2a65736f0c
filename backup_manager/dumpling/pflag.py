"""Options as Dumpling's own parser (spf13/pflag) takes them.

Long and short forms, ``=`` or the next argument for the value, bundled booleans, lists as CSV,
``key=value`` maps; all from flag.go, string_slice.go and string_to_string.go of pflag 1.0.5.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from backup_manager.dumpling.binary import Flag
from backup_manager.durations import parse_duration
from backup_manager.errors import UsageError

# strconv.ParseBool's words.
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_INTEGER = re.compile(r"([+-]?)(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|0[0-7_]*|[1-9][0-9_]*)")
_BITS = 64


@dataclass(frozen=True)
class Use:
    """One use of an option: the flag and its value as given ("true" for a bare boolean)."""

    flag: Flag
    value: str


# Finds a flag by long name or short letter, or raises UsageError.
Lookup = Callable[[str], Flag]


def parse(items: Iterable[str], long: Lookup, short: Lookup) -> list[Use]:
    """Return the options in their order.

    One item may be ``--rows=5``, or ``--rows 5`` with the blank inside, or the value is the next
    item; blank items between options are skipped. Raises UsageError for a stray argument, a
    missing value, and what the look-ups refuse.
    """
    uses: list[Use] = []
    rest = list(items)
    rest.reverse()
    while rest:
        item = rest.pop().lstrip()
        if not item:
            continue
        if "\0" in item:
            raise UsageError("a Dumpling option holds a NUL character")
        if item in {"-", "--"} or not item.startswith("-"):
            raise _stray(item, uses)
        if item.startswith("--"):
            uses.append(_long(item, rest, long))
        else:
            uses.extend(_bundle(item, rest, short))
    return uses


def _stray(item: str, uses: list[Use]) -> UsageError:
    fix = "write the value as --option=value, and each option as an item of its own"
    if uses and not uses[-1].flag.takes_value:
        name = uses[-1].flag.name
        fix = f"--{name} is a switch: write --{name}=false or --{name}=true"
    return UsageError(
        f"Dumpling option {item[:100]!r} is no option",
        why="it does not begin with - or --",
        fix=fix,
    )


def _long(item: str, rest: list[str], long: Lookup) -> Use:
    name, equals, value = item[2:].partition("=")
    blank = re.search(r"\s", name)
    if blank:
        # "--rows 5" in one item; the value may itself hold an "=".
        name, value = item[2 : 2 + blank.start()], item[2 + blank.start() :].strip()
    flag = long(name)
    if not equals and not blank:
        return Use(flag, _next(flag, f"--{name}", rest))
    if blank and not flag.takes_value and value:
        raise _stray(value, [Use(flag, "true")])
    if blank and not value:
        return Use(flag, _next(flag, f"--{name}", rest))
    return Use(flag, value)


def _bundle(item: str, rest: list[str], short: Lookup) -> list[Use]:
    """Take ``-r5``, ``-r=5``, ``-r 5``, and ``-mW`` with the last letter as any of these."""
    uses: list[Use] = []
    letters = item[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = short(letter)
        # pflag wants a character behind the "=": "-r=" is the value "=".
        if len(letters) > 1 and letters[0] == "=":
            return [*uses, Use(flag, letters[1:])]
        if not flag.takes_value:
            if letters[:1].isspace():
                if letters.strip():
                    raise _stray(letters.strip(), [Use(flag, "true")])
                letters = ""
            uses.append(Use(flag, "true"))
            continue
        value = letters.strip() if letters[:1].isspace() else letters
        return [*uses, Use(flag, value or _next(flag, f"-{letter}", rest))]
    return uses


def _next(flag: Flag, shown: str, rest: list[str]) -> str:
    if not flag.takes_value:
        return "true"
    if not rest:
        raise UsageError(f"Dumpling option {shown} has no value", fix=f"write {shown}=VALUE")
    value = rest.pop()
    if "\0" in value:
        raise UsageError(f"the value of Dumpling option {shown} holds a NUL character")
    return value


def check_value(flag: Flag, value: str) -> str:
    """Return the value as it is to be passed; raise UsageError for one of the wrong type."""
    try:
        if flag.kind == "bool":
            return "true" if parse_bool(value) else "false"
        if flag.kind in {"int", "uint"}:
            parse_integer(value, signed=flag.kind == "int")
        elif flag.kind == "duration":
            parse_duration(value)
        elif flag.kind == "strings":
            split_csv(value)
        elif flag.kind == "stringToString":
            parse_map(value)
    except ValueError as error:
        raise UsageError(
            f"Dumpling option --{flag.name}={value[:100]} has a wrong value", why=str(error)
        ) from error
    return value


def parse_bool(value: str) -> bool:
    """Return the boolean; raise ValueError for a word that strconv.ParseBool refuses."""
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ValueError("neither true nor false")


def parse_integer(value: str, *, signed: bool) -> int:
    """Return the integer as Go's ParseInt with base 0 reads it: 0x1f, 0b1, 017 is octal."""
    match = _INTEGER.fullmatch(value)
    if not match or (match.group(1) and not signed):
        raise ValueError("not a whole number" if signed else "not a whole number of 0 or more")
    digits = match.group(2)
    if re.fullmatch(r"0[0-7_]+", digits):
        digits = "0o" + digits[1:]
    number = int(match.group(1) + digits, 0)
    low, high = (-(1 << (_BITS - 1)), 1 << (_BITS - 1)) if signed else (0, 1 << _BITS)
    if not low <= number < high:
        raise ValueError("too large")
    return number


def split_csv(value: str) -> list[str]:
    """Return the fields of one line of CSV as Go's encoding/csv reads it.

    Raises ValueError for a stray quote, and for a line break outside quotes: pflag would silently
    drop all that follows it.
    """
    if not value:
        return []
    fields: list[str] = []
    at = 0
    while True:
        field, at = _quoted(value, at + 1) if value[at : at + 1] == '"' else _bare(value, at)
        fields.append(field)
        if at == len(value):
            return fields
        at += 1  # the comma


def _bare(value: str, start: int) -> tuple[str, int]:
    end = value.find(",", start)
    end = len(value) if end < 0 else end
    field = value[start:end]
    if '"' in field:
        raise ValueError('a " inside a value that does not begin with one: quote it as CSV')
    if "\n" in field or "\r" in field:
        raise ValueError("a line break outside quotes")
    return field, end


def _quoted(value: str, start: int) -> tuple[str, int]:
    pieces: list[str] = []
    while True:
        end = value.find('"', start)
        if end < 0:
            raise ValueError('a " that is never closed')
        pieces.append(value[start:end])
        if value[end + 1 : end + 2] != '"':
            break
        pieces.append('"')
        start = end + 2
    if value[end + 1 : end + 2] not in {"", ","}:
        raise ValueError('something follows a closing "')
    return "".join(pieces).replace("\r\n", "\n"), end + 1


def quote_csv(value: str) -> str:
    """Return the value as one field of CSV; raise ValueError for a line break in it."""
    if "\n" in value or "\r" in value:
        raise ValueError("a line break in it")
    if value and not any(mark in value for mark in ',"'):
        return value
    return '"' + value.replace('"', '""') + '"'


def parse_map(value: str) -> dict[str, str]:
    """Return a StringToString value; raise ValueError where pflag refuses it."""
    pairs = split_csv(value) if value.count("=") > 1 else [value.strip('"')]
    result = {}
    for pair in pairs:
        key, equals, content = pair.partition("=")
        if not equals:
            raise ValueError(f"{pair[:100]} must be formatted as key=value")
        result[key] = content
    return result
