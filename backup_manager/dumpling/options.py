"""The user's Dumpling options, merged one by one over the defaults."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backup_manager.dumpling import decisions, pflag, rules, template
from backup_manager.dumpling.binary import Binary, Flag
from backup_manager.dumpling.decisions import Verdict
from backup_manager.errors import UsageError

DEFAULTS = {"threads": "16", "rows": "10000"}

_CONSISTENCIES = ("auto", "none", "flush", "lock", "snapshot")
_FILETYPES = ("", "sql", "csv", "parquet")
# go-units' RAMInBytes, after a bare number, which Dumpling takes as MiB (ParseFileSize).
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", re.IGNORECASE)
_MIB = 1 << 20
_MOST = (1 << 63) - 1


@dataclass(frozen=True)
class Options:
    """What Dumpling is told besides the managed options.

    ``argv`` has one ``--name=value`` an item; ``filters`` holds the parsed rules of --table-filter
    or --filter, none where Dumpling's own filter is in force; ``values`` the effective values of
    all plain options that were given or defaulted; ``warnings`` go into the backup's record.
    """

    argv: tuple[str, ...]
    values: Mapping[str, str]
    filters: tuple[rules.Rule, ...] = ()
    tables_list: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    params: Mapping[str, str] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def threads(self) -> int:
        return pflag.parse_integer(self.values["threads"], signed=True)

    @property
    def rows(self) -> int:
        """Rows a chunk; 0 where tables are not split."""
        return pflag.parse_integer(self.values["rows"], signed=False)

    @property
    def filesize(self) -> int:
        """Bytes at which Dumpling begins another file; 0 where there is no bound."""
        return parse_filesize(self.values.get("filesize", ""))

    @property
    def consistency(self) -> str | None:
        """The user's --consistency, if given."""
        return self.values.get("consistency")

    @property
    def snapshot(self) -> str | None:
        """The user's --snapshot, if given."""
        return self.values.get("snapshot") or None

    @property
    def pins_snapshot(self) -> bool:
        """Whether the manager takes and passes the snapshot: the user gave neither."""
        return self.consistency is None and self.snapshot is None

    @property
    def template(self) -> str | None:
        """The user's template for file names; with one, names say nothing about contents."""
        return self.values.get("output-filename-template") or None

    @property
    def case_sensitive(self) -> bool:
        return self.values.get("case-sensitive") == "true"

    @property
    def literals(self) -> rules.Literals:
        """The schemas and tables of which something has to be in the dump."""
        return rules.literals(
            self.filters, self.tables_list, self.databases, case_sensitive=self.case_sensitive
        )


def merge(items: Iterable[str], table_filter: Sequence[str], binary: Binary) -> Options:
    """Merge the user's options over the defaults, and refuse what makes no backup.

    ``items`` are raw options in their order; ``table_filter`` raw rules. Raises UsageError, which
    names the option and the reason.
    """
    vocabulary = _Vocabulary(binary)
    uses = pflag.parse(items, vocabulary.long, vocabulary.short)
    plain = dict(DEFAULTS)
    many: dict[str, list[str]] = {}
    for use in uses:
        name = use.flag.name
        value = pflag.check_value(use.flag, use.value)
        if use.flag.is_list or use.flag.kind == "stringToString":
            many.setdefault(name, []).append(value)
        else:
            plain[name] = value
    if not plain.get("snapshot"):
        # Behind the manager's own it would undo that.
        plain.pop("snapshot", None)
    warnings = _judge({**plain, **dict.fromkeys(many, "")}, binary)
    return _assemble(plain, many, [rule for rule in table_filter if rule.strip()], warnings)


class _Vocabulary:
    """Looks options up in the binary's own list; the help cannot be asked for."""

    def __init__(self, binary: Binary) -> None:
        self._binary = binary
        self._short = {flag.short: flag for flag in binary.flags.values() if flag.short}

    def long(self, name: str) -> Flag:
        if name not in self._binary.flags:
            raise decisions.unknown(f"--{name}", self._binary.flags, self._binary.version)
        return self._ours(self._binary.flags[name])

    def short(self, letter: str) -> Flag:
        if letter not in self._short:
            raise decisions.unknown(f"-{letter}", self._binary.flags, self._binary.version)
        return self._ours(self._short[letter])

    def _ours(self, flag: Flag) -> Flag:
        # At once: no later message may show what was given as a password.
        if decisions.decide(flag.name, "").verdict == Verdict.MANAGED:
            decisions.refuse(flag.name, "")
        return flag


def _judge(values: Mapping[str, str], binary: Binary) -> list[str]:
    """Refuse what is refused; return a warning for each option that deserves one."""
    warnings = []
    for name, value in values.items():
        decisions.refuse(name, value)
        row = decisions.decide(name, value)
        if row.verdict == Verdict.WARNED:
            shown = f"--{name}" if binary.flags[name].takes_value else f"--{name}={value}"
            warnings.append(f"Dumpling option {shown}: {row.reason}")
    return warnings


def _assemble(
    plain: dict[str, str], many: dict[str, list[str]], table_filter: list[str], warnings: list[str]
) -> Options:
    _check_values(plain)
    params = _params(many.get("params", []))
    tables_list = _fields(many.get("tables-list", []))
    filters = _filters(many, table_filter)
    if tables_list and filters is not None:
        raise UsageError(
            "--tables-list and a table filter are given together",
            why="Dumpling refuses that",
            fix="write the tables as rules: --table-filter shop.orders",
        )
    if missing := [table for table in tables_list if "." not in table]:
        raise UsageError(
            f"Dumpling option --tables-list names {missing[0]!r}", fix="write schema.table"
        )
    argv = [f"--{name}={value}" for name, value in plain.items()]
    argv += [f"--{name}={value}" for name, values in many.items() for value in values]
    argv += [f"--filter={_quoted(rule)}" for rule in table_filter]
    case_sensitive = plain.get("case-sensitive") == "true"
    parsed = tuple(filters or ())
    if parsed and rules.takes_schema(parsed, "mysql", case_sensitive=case_sensitive):
        warnings.append(
            "the table filter takes in system schemas: a filter replaces Dumpling's own exclusion "
            "of them (add '!mysql.*' and its kin)"
        )
    if text := plain.get("output-filename-template"):
        splits = plain["rows"] not in {"0", ""} or parse_filesize(plain.get("filesize", "")) > 0
        warnings += template.check(text, splits=splits)
    databases = tuple(_fields(many.get("database", [])))
    return Options(
        tuple(argv), plain, parsed, tuple(tables_list), databases, params, tuple(warnings)
    )


def _fields(values: Iterable[str]) -> list[str]:
    return [field for value in values for field in pflag.split_csv(value)]


def _filters(many: Mapping[str, list[str]], table_filter: list[str]) -> list[rules.Rule] | None:
    """Return the rules in force, or None where Dumpling's own filter is.

    --filter and --table-filter together are refused: the last rule that matches decides, and
    there is no order between the two that one could have meant.
    """
    if "filter" in many and table_filter:
        raise UsageError(
            "--table-filter and Dumpling's --filter are given together",
            why="the order of rules decides what is dumped, and the two have none",
            fix="put all rules into --table-filter, in their order",
        )
    if "filter" not in many and not table_filter:
        return None
    raw = table_filter or _fields(many["filter"])
    for rule in raw:
        file = rule.strip(" \t")
        if file.startswith("@") and not table_filter and not file.startswith("@/"):
            raise UsageError(
                f"the file of filter rules {file[1:]!r} has no absolute path",
                why="Dumpling runs in the directory /",
                fix="give its absolute path, or use --table-filter",
            )
    return rules.parse(raw)


def _quoted(rule: str) -> str:
    """Return a raw rule as one field of CSV; a rule file's path is made absolute."""
    rule = rule.strip(" \t")
    if rule.startswith("@"):
        rule = "@" + str(Path(rule[1:]).absolute())
    try:
        return pflag.quote_csv(rule)
    except ValueError as error:
        raise UsageError(f"table filter rule {rule[:200]!r} is wrong", why=str(error)) from error


def _params(values: Iterable[str]) -> dict[str, str]:
    params: dict[str, str] = {}
    for value in values:
        params.update(pflag.parse_map(value))
    for name in params:
        if why := decisions.REFUSED_PARAMS.get(name.strip().lower()):
            raise UsageError(f"Dumpling option --params {name} is refused", why=why)
    return params


def _check_values(plain: Mapping[str, str]) -> None:
    def wrong(name: str, why: str) -> UsageError:
        value = plain[name][:100]
        return UsageError(f"Dumpling option --{name}={value} has a wrong value", why=why)

    if pflag.parse_integer(plain["threads"], signed=True) <= 0:
        raise wrong("threads", "Dumpling needs at least 1")
    if plain.get("consistency", "auto") not in _CONSISTENCIES:
        raise wrong("consistency", f"it is one of {', '.join(_CONSISTENCIES)}")
    if plain.get("filetype", "") not in _FILETYPES:
        raise wrong("filetype", "it is sql or csv")
    try:
        parse_filesize(plain.get("filesize", ""))
    except ValueError as error:
        raise wrong("filesize", str(error)) from error
    # With another consistency Dumpling ignores the snapshot, and names it in metadata all the same.
    if plain.get("snapshot") and plain.get("consistency", "auto") not in {"auto", "snapshot"}:
        raise UsageError(
            "Dumpling options --snapshot and --consistency do not go together",
            why=f"with --consistency={plain['consistency']} no snapshot is read",
            fix="leave --consistency out, or make it snapshot",
        )


def parse_filesize(value: str) -> int:
    """Return the bytes of a --filesize: a bare number is MiB; raise ValueError if it is wrong."""
    if not value:
        return 0
    match = _SIZE.fullmatch(value)
    if not match or not value.isascii():
        raise ValueError("it is no size like 256MiB")
    unit = _MIB if value.isdigit() else 1024 ** " kmgtp".index(match.group(2).lower() or " ")
    # A float of too many digits is infinite, and greater too.
    size = float(match.group(1)) * unit
    if size > _MOST:
        raise ValueError("it is too large")
    return int(size)
