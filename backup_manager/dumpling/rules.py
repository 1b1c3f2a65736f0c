r"""Table filter rules, as far as needed to know which schemas and tables they name literally.

The language is that of pkg/util/table-filter: ``schema.table`` with wildcards ``* ? [a-z] [!a]``,
``/regex/``, names quoted with ``"`` or a backtick, ``\`` before any mark, ``!`` for exclusion,
``#`` comments and ``@file``. Of several rules that match a table, the last decides.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backup_manager.errors import UsageError

RULE_FILE_BYTES = 1 << 20

_REGEX = re.compile(r"/((?:\\.|[^/])+)/", re.DOTALL)
_QUOTED = re.compile(r'"((?:""|[^"])+)"|`((?:``|[^`])+)`', re.DOTALL)
_RANGE = re.compile(r"\[(!?)((?:\\[^0-9a-zA-Z]|[^\\\]])+)\]")
_ASCII_ALNUM = re.compile(r"[0-9A-Za-z]")


@dataclass(frozen=True)
class Pattern:
    """One side of a rule: a literal name, or a regular expression.

    A regular expression that Python does not take (Dumpling uses RE2) is None in both: it is
    taken to match everything, so that nothing is wrongly found missing.
    """

    literal: str | None = None
    regex: re.Pattern[str] | None = None

    def matches(self, name: str, *, case_sensitive: bool) -> bool:
        """Whether the name fits, as Dumpling compares: in lower case unless told otherwise."""
        if self.literal is not None:
            return fold(self.literal, case_sensitive) == fold(name, case_sensitive)
        if self.regex is None:
            return True
        flags = self.regex.flags if case_sensitive else self.regex.flags | re.IGNORECASE
        return re.search(self.regex.pattern, fold(name, case_sensitive), flags) is not None


@dataclass(frozen=True)
class Rule:
    """One rule: what it includes (or excludes, where it is not positive); ``text`` as given."""

    positive: bool
    schema: Pattern
    table: Pattern
    text: str = field(default="", compare=False)

    @property
    def whole_schema(self) -> bool:
        """Whether its table side is a bare ``*``."""
        return self.table.regex is not None and self.table.regex.pattern == _ALL


@dataclass(frozen=True)
class Literals:
    """Schemas, and (schema, table) pairs, of which something has to be in the dump."""

    schemas: frozenset[str] = frozenset()
    tables: frozenset[tuple[str, str]] = frozenset()


# A bare * on the table side is special to schemas, as it is there (matchAllStrings).
_ALL = "(?s)^.*$"


def fold(name: str, case_sensitive: bool) -> str:
    """Return the name as it is compared."""
    return name if case_sensitive else name.lower()


def parse(rules: Iterable[str]) -> list[Rule]:
    """Return the rules; raise UsageError for a wrong one, or a file that cannot be read."""
    parsed: list[Rule] = []
    for text in rules:
        rule = text.strip(" \t")
        if rule.startswith("@"):
            for line in _file_lines(rule[1:]):
                if line.strip(" \t").startswith("@"):
                    raise _wrong(line, f"a rule file ({rule[1:]}) may not name another")
                parsed.extend(_rule(line.strip(" \t")))
        else:
            parsed.extend(_rule(rule))
    return parsed


def _file_lines(name: str) -> list[str]:
    try:
        with Path(name).open("rb") as file:
            data = file.read(RULE_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"the file of table filter rules {name} cannot be read", why=error.strerror or ""
        ) from error
    if len(data) > RULE_FILE_BYTES:
        raise UsageError(f"the file of table filter rules {name} is larger than 1 MiB")
    return [line.rstrip("\r") for line in data.decode("utf-8", "surrogateescape").split("\n")]


def _wrong(rule: str, why: str) -> UsageError:
    return UsageError(
        f"table filter rule {rule[:200]!r} is wrong",
        why=why,
        fix="write schema.table, as in 'shop.*' or '!shop.tmp_*'",
    )


def _rule(text: str) -> list[Rule]:
    if not text or text.startswith("#"):
        return []
    positive = not text.startswith("!")
    schema, rest = _pattern(text, text if positive else text[1:])
    if not rest.startswith("."):
        raise _wrong(text, "there is no . between schema and table" if rest else "no table pattern")
    table, rest = _pattern(text, rest[1:])
    if rest:
        raise _wrong(text, "something follows the table pattern")
    return [Rule(positive, schema, table, text)]


def _pattern(rule: str, text: str) -> tuple[Pattern, str]:
    """Take one pattern off the front of ``text``."""
    if not text:
        raise _wrong(rule, "a pattern is missing")
    if text[0] == "/":
        match = _REGEX.match(text)
        if not match:
            raise _wrong(rule, "the regular expression is not closed with /")
        return Pattern(regex=_compiled(match.group(1))), text[match.end() :]
    if text[0] in '"`':
        match = _QUOTED.match(text)
        if not match:
            raise _wrong(rule, "the quoted name is empty, or not closed")
        quote = text[0]
        name = text[1 : match.end() - 1].replace(quote * 2, quote)
        return Pattern(literal=name), text[match.end() :]
    return _wildcards(rule, text)


def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return None


def _wildcards(rule: str, text: str) -> tuple[Pattern, str]:
    literal: str | None = ""
    regex = ""
    at = 0
    while at < len(text) and text[at] != ".":
        piece, plain, at = _piece(rule, text, at)
        literal = literal + plain if literal is not None and plain is not None else None
        regex += piece
    if literal is not None:
        return Pattern(literal=literal), text[at:]
    compiled = re.compile(_ALL) if regex == ".*" else _compiled(f"(?s)^{regex}$")
    return Pattern(regex=compiled), text[at:]


def _piece(rule: str, text: str, at: int) -> tuple[str, str | None, int]:
    """Return one character's regular expression, its literal or None, and where the next is."""
    mark = text[at]
    if mark == "\\":
        escaped = text[at + 1 : at + 2]
        if not escaped or _ASCII_ALNUM.match(escaped):
            raise _wrong(rule, "a \\ stands before a letter or digit, or at the end")
        return re.escape(escaped), escaped, at + 2
    if mark == "*":
        return ".*", None, at + 1
    if mark == "?":
        return ".", None, at + 1
    if mark == "[":
        match = _RANGE.match(text, at)
        if not match:
            raise _wrong(rule, "the character class is empty, or not closed with ]")
        inside = match.group(2)
        inside = "\\" + inside if inside.startswith("^") else inside
        return f"[{'^' if match.group(1) else ''}{inside}]", None, match.end()
    if mark in "$_" or _ASCII_ALNUM.match(mark) or ord(mark) > 0x7F:  # noqa: PLR2004 - ASCII's end
        return re.escape(mark), mark, at + 1
    raise _wrong(rule, f"the character {mark!r} has to be quoted")


def takes_schema(rules: Sequence[Rule], schema: str, *, case_sensitive: bool) -> bool:
    """Whether the rules take in the schema, or some tables of it."""
    for rule in reversed(rules):
        if rule.schema.matches(schema, case_sensitive=case_sensitive) and (
            rule.positive or rule.whole_schema
        ):
            return rule.positive
    return False


def takes_table(rules: Sequence[Rule], schema: str, table: str, *, case_sensitive: bool) -> bool:
    """Whether the rules take in the table."""
    for rule in reversed(rules):
        if rule.schema.matches(schema, case_sensitive=case_sensitive) and rule.table.matches(
            table, case_sensitive=case_sensitive
        ):
            return rule.positive
    return False


def literals(
    rules: Sequence[Rule],
    tables_list: Iterable[str] = (),
    databases: Iterable[str] = (),
    *,
    case_sensitive: bool = False,
) -> Literals:
    """Return what positive rules, -T and -B name literally, less what later rules take out."""
    schemas = set(databases)
    tables = {(schema, table) for schema, _, table in (x.partition(".") for x in tables_list)}
    for rule in rules:
        schema, table = rule.schema.literal, rule.table.literal
        if not rule.positive or schema is None:
            continue
        if table is not None:
            if takes_table(rules, schema, table, case_sensitive=case_sensitive):
                tables.add((schema, table))
        elif takes_schema(rules, schema, case_sensitive=case_sensitive):
            schemas.add(schema)
    return Literals(frozenset(schemas), frozenset(tables))
