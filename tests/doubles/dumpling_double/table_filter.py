"""The table filter: rules such as `db.*`, `!/^log_/.*`, `"odd.name".t` and `@file`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PLAIN = re.compile(r"[\w$*?\-\u0080-\U0010ffff]|\\.|\[[^\]]*\]", re.DOTALL)


class FilterError(Exception):
    """A rule that cannot be read."""


@dataclass(frozen=True)
class Rule:
    """One rule; `all_tables` tells that it speaks of whole databases."""

    positive: bool
    schema: re.Pattern[str]
    table: re.Pattern[str]
    all_tables: bool


class TableFilter:
    """The last rule that matches decides; without one the answer is no."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = list(reversed(rules))

    def table(self, schema: str, table: str) -> bool:
        for rule in self._rules:
            if rule.schema.search(schema) and rule.table.search(table):
                return rule.positive
        return False

    def schema(self, schema: str) -> bool:
        for rule in self._rules:
            if rule.schema.search(schema) and (rule.positive or rule.all_tables):
                return rule.positive
        return False


def _wildcard(token: str) -> str:
    if token == "*":
        return ".*"
    if token == "?":
        return "."
    if token.startswith("["):
        inner = token[1:-1]
        return f"[^{inner[1:]}]" if inner.startswith("!") else token
    return re.escape(token.removeprefix("\\"))


def _quoted_pattern(text: str) -> tuple[str, str]:
    quote = text[0]
    matched = re.match(f"{quote}((?:[^{quote}]|{quote}{quote})*){quote}", text)
    if matched is None:
        raise FilterError("syntax error: incomplete quoted identifier")
    return re.escape(matched[1].replace(quote * 2, quote)), text[matched.end() :]


def _regexp_pattern(text: str) -> tuple[str, str]:
    matched = re.match(r"/((?:[^\\/]|\\.)*)/", text)
    if matched is None:
        raise FilterError("syntax error: incomplete regexp")
    return matched[1].replace("\\/", "/"), text[matched.end() :]


def _pattern(text: str, flags: int) -> tuple[re.Pattern[str], bool, str]:
    """The pattern that `text` starts with, whether it matches all, and what follows it."""
    whole = False
    if text[:1] in ('"', "`"):
        body, rest = _quoted_pattern(text)
        body = f"^(?:{body})\\Z"
    elif text[:1] == "/":
        body, rest = _regexp_pattern(text)
    else:
        body, rest = "", text
        while matched := _PLAIN.match(rest):
            body += _wildcard(matched[0])
            rest = rest[matched.end() :]
        if not body:
            raise FilterError("syntax error: missing pattern")
        whole = set(body) == {".", "*"}
        body = f"^(?:{body})\\Z"
    try:
        return re.compile(body, flags), whole, rest
    except re.error as error:
        raise FilterError(f"error parsing regexp: {error}") from None


def _rule(text: str, flags: int) -> Rule:
    positive = not text.startswith("!")
    schema, _, rest = _pattern(text if positive else text[1:], flags)
    if not rest.startswith("."):
        raise FilterError("wrong table pattern")
    table, all_tables, rest = _pattern(rest[1:], flags)
    if rest.strip():
        raise FilterError(f"syntax error: stray characters after table pattern: {rest!r}")
    return Rule(positive, schema, table, all_tables)


def parse(lines: Sequence[str], *, case_sensitive: bool) -> TableFilter:
    """Read the rules of --filter; a line `@file` stands for that file's lines."""
    flags = re.DOTALL | (0 if case_sensitive else re.IGNORECASE)
    rules: list[Rule] = []
    for line in _expanded(lines):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            rules.append(_rule(stripped, flags))
        except FilterError as error:
            raise FilterError(f"failed to parse filter: '{stripped}': {error}") from None
    return TableFilter(rules)


def _expanded(lines: Sequence[str]) -> list[str]:
    expanded = []
    for line in lines:
        if line.strip().startswith("@"):
            path = line.strip()[1:]
            try:
                expanded += Path(path).read_text(encoding="utf-8").splitlines()
            except OSError as error:
                raise FilterError(
                    f"failed to parse filter: cannot open filter file: open {path}:"
                    f" {(error.strerror or '').lower()}"
                ) from None
        else:
            expanded.append(line)
    return expanded


def exact(tables: Sequence[str], *, case_sensitive: bool) -> TableFilter:
    """The filter of --tables-list: these tables and no other."""
    flags = 0 if case_sensitive else re.IGNORECASE
    rules = []
    for name in tables:
        schema, dot, table = name.partition(".")
        if not dot:
            raise FilterError(
                "failed to parse filter: --tables-list only accepts qualified table names,"
                f" but `{name}` lacks a dot"
            )
        patterns = [re.compile(f"^{re.escape(part)}\\Z", flags) for part in (schema, table)]
        rules.append(Rule(True, patterns[0], patterns[1], all_tables=False))
    return TableFilter(rules)
