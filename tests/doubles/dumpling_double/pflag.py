"""Command-line flags as Go's spf13/pflag reads, reports and prints them."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

Value = str | int | bool | list[str] | dict[str, str]

_TYPE_NAMES = {
    "bool": "",
    "uint64": "uint",
    "stringSlice": "strings",
}
_TRUE = {"1", "t", "T", "true", "TRUE", "True"}
_FALSE = {"0", "f", "F", "false", "FALSE", "False"}
_DURATION = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


class FlagError(Exception):
    """What pflag prints before it exits with 2."""


@dataclass(frozen=True)
class Flag:
    """One flag; `usage` may hold the value's name between backquotes."""

    name: str
    kind: str
    default: Value
    usage: str
    short: str = ""
    hidden: bool = False

    def spelling(self) -> str:
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


def _parsed(flag: Flag, text: str) -> Value:
    if flag.kind == "bool":
        if text not in _TRUE | _FALSE:
            raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
        return text in _TRUE
    if flag.kind in ("int", "uint64"):
        function = "ParseInt" if flag.kind == "int" else "ParseUint"
        sign = "[+-]?" if flag.kind == "int" else ""
        if not re.fullmatch(sign + r"(0x[0-9a-fA-F]+|0b[01]+|0o?[0-7]*|[1-9][0-9]*)", text):
            raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax')
        digits = re.sub(r"^([+-]?)0(?=[0-7])", r"\g<1>0o", text)
        return int(digits, 0)
    if flag.kind == "duration":
        if text != "0" and not re.fullmatch(f"({_DURATION.pattern})+", text):
            raise ValueError(f'time: invalid duration "{text}"')
        return text
    if flag.kind == "stringSlice":
        return next(csv.reader([text], strict=True)) if text else []
    if flag.kind == "stringToString":
        pairs = next(csv.reader([text], strict=True)) if text.count("=") > 1 else [text]
        for pair in pairs:
            if "=" not in pair:
                raise ValueError(f"{pair} must be formatted as key=value")
        return dict(pair.split("=", 1) for pair in pairs)
    return text


class FlagSet:
    """Parses arguments in any order; `values` has each flag's, `arguments` what was no flag."""

    def __init__(self, flags: Sequence[Flag]) -> None:
        self.flags = sorted(flags, key=lambda flag: flag.name)
        self.values: dict[str, Value] = {flag.name: flag.default for flag in flags}
        self.arguments: list[str] = []
        self.changed: set[str] = set()
        self._long = {flag.name: flag for flag in flags}
        self._short = {flag.short: flag for flag in flags if flag.short}

    def _set(self, flag: Flag, text: str) -> None:
        try:
            value = _parsed(flag, text)
        except (ValueError, csv.Error) as error:
            raise FlagError(
                f'invalid argument "{text}" for "{flag.spelling()}" flag: {error}'
            ) from None
        # pflag: a slice's first use replaces the default, later ones append; a map merges.
        old = self.values[flag.name]
        if flag.name in self.changed:
            if isinstance(value, list) and isinstance(old, list):
                value = old + value
            elif isinstance(value, dict) and isinstance(old, dict):
                value = old | value
        self.values[flag.name] = value
        self.changed.add(flag.name)

    def _parse_long(self, argument: str, rest: list[str]) -> None:
        name, equals, value = argument[2:].partition("=")
        if not name or name.startswith("-"):
            raise FlagError(f"bad flag syntax: {argument}")
        flag = self._long.get(name)
        if flag is None:
            raise FlagError(f"unknown flag: --{name}")
        if not equals:
            if flag.kind == "bool":
                value = "true"
            elif rest:
                value = rest.pop(0)
            else:
                raise FlagError(f"flag needs an argument: --{name}")
        self._set(flag, value)

    def _parse_short(self, argument: str, rest: list[str]) -> None:
        letters = argument[1:]
        while letters:
            flag = self._short.get(letters[0])
            if flag is None:
                raise FlagError(f"unknown shorthand flag: '{letters[0]}' in -{letters}")
            following = letters[1:]
            if len(following) > 1 and following[0] == "=":
                self._set(flag, following[1:])
                return
            if flag.kind == "bool":
                self._set(flag, "true")
                letters = following
                continue
            if not following and not rest:
                raise FlagError(f"flag needs an argument: '{flag.short}' in -{letters}")
            self._set(flag, following or rest.pop(0))
            return

    def parse(self, arguments: Sequence[str]) -> None:
        rest = list(arguments)
        while rest:
            argument = rest.pop(0)
            if argument == "--":
                self.arguments += rest
                return
            if argument.startswith("--"):
                self._parse_long(argument, rest)
            elif argument.startswith("-") and argument != "-":
                self._parse_short(argument, rest)
            else:
                self.arguments.append(argument)

    def usages(self) -> str:
        """The flags' block of the help text, in pflag's layout."""
        rows = [_usage_row(flag) for flag in self.flags if not flag.hidden]
        width = max(len(left) for left, _ in rows) + 3
        lines = []
        for left, usage in rows:
            indented = usage.replace("\n", "\n" + " " * width)
            lines.append(f"{left:<{width}}{indented}\n")
        return "".join(lines)


def _usage_row(flag: Flag) -> tuple[str, str]:
    left = f"  -{flag.short}, --{flag.name}" if flag.short else f"      --{flag.name}"
    named = re.search("`(.*)`", flag.usage)
    value = named[1] if named else _TYPE_NAMES.get(flag.kind, flag.kind)
    if value:
        left += f" {value}"
    usage = flag.usage.replace("`", "") + _default_words(flag)
    return left, usage


def _default_words(flag: Flag) -> str:
    if not flag.default or flag.default == "0s":
        return ""
    if isinstance(flag.default, bool):
        return " (default true)"
    if isinstance(flag.default, list):
        return f" (default [{','.join(flag.default)}])"
    if flag.kind == "string":
        quoted = str(flag.default).replace("\\", "\\\\").replace('"', '\\"')
        quoted = quoted.replace("\r", "\\r").replace("\n", "\\n")
        return f' (default "{quoted}")'
    return f" (default {flag.default})"
