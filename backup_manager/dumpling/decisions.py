"""What becomes of each of Dumpling's options, and why: the README's table is written from this."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from backup_manager.errors import UsageError


class Verdict(StrEnum):
    """What becomes of an option."""

    ALLOWED = "allowed"
    WARNED = "allowed, with a warning in the backup's record"
    REFUSED = "refused"
    MANAGED = "set by backup-manager"


def _any(_value: str) -> bool:
    return True


def _true(value: str) -> bool:
    return value == "true"


def _false(value: str) -> bool:
    return value == "false"


@dataclass(frozen=True)
class Decision:
    """One row: the options (as ``shown``), the verdict, the reason, and for which values."""

    shown: str
    names: tuple[str, ...]
    verdict: Verdict
    reason: str
    instead: str = ""
    applies: Callable[[str], bool] = _any


def _managed(name: str, reason: str, instead: str) -> Decision:
    return Decision(f"--{name}", (name,), Verdict.MANAGED, reason, instead)


def _refused(
    shown: str, names: str, reason: str, instead: str = "", applies: Callable[[str], bool] = _any
) -> Decision:
    return Decision(shown, tuple(names.split()), Verdict.REFUSED, reason, instead, applies)


def _warned(shown: str, names: str, reason: str, applies: Callable[[str], bool] = _any) -> Decision:
    return Decision(shown, tuple(names.split()), Verdict.WARNED, reason, "", applies)


def _allowed(shown: str, names: str, reason: str) -> Decision:
    return Decision(shown, tuple(names.split()), Verdict.ALLOWED, reason)


# Dumpling's flags for stores of its own: the backup would go past us.
REMOTE_PREFIXES = ("s3.", "gcs.", "azblob.")

# The first row that names the option and applies to its value counts.
TABLE: tuple[Decision, ...] = (
    _managed("host", "the source is a setting", "--host"),
    _managed("port", "the source is a setting", "--port"),
    _managed("user", "the source is a setting", "--user"),
    _managed(
        "password",
        "a secret in an option would be seen",
        "--password-file or the variable BACKUP_MANAGER_PASSWORD",
    ),
    _managed("output", "each run dumps into a directory of its own on the volume", "--volume"),
    _managed(
        "status-addr", "it is bound to a free port of 127.0.0.1, from which progress is read", ""
    ),
    _managed("logfile", "Dumpling's log lines reappear in this program's", ""),
    _managed("logfmt", "Dumpling's log lines reappear in this program's", ""),
    _managed("ca", "TLS is a setting", "--tls-ca"),
    _managed("cert", "TLS is a setting", "--tls-cert"),
    _managed("key", "TLS is a setting", "--tls-key"),
    _refused("--no-data", "no-data", "a backup without rows is no backup", applies=_true),
    _refused(
        "--sql", "sql", "the result of one query is no backup of a database", "--table-filter"
    ),
    _refused(
        "--no-schemas",
        "no-schemas",
        "without its schemas a backup cannot be loaded back, and an empty table leaves no trace",
        applies=_true,
    ),
    _refused(
        "--s3.*, --gcs.*, --azblob.*",
        "",
        "Dumpling writes to the volume; backup-manager uploads",
        "--provider, --endpoint and --bucket",
    ),
    _refused("--help", "help", "nothing would be dumped", "dumpling --help"),
    _refused("--version", "version", "nothing would be dumped", "dumpling --version"),
    _warned("--where", "where", "only rows that the condition selects are in the backup", bool),
    _warned(
        "--consistency=none",
        "consistency",
        "the tables are not from one point in time",
        lambda value: value == "none",
    ),
    _allowed(
        "--consistency",
        "consistency",
        "turns the pinned snapshot off; flush needs RELOAD, lock needs LOCK TABLES",
    ),
    _allowed("--snapshot", "snapshot", "only with snapshot consistency; replaces the pinned one"),
    _warned(
        "--dump-empty-database=false",
        "dump-empty-database",
        "schemas without tables are not in the backup",
        _false,
    ),
    _warned(
        "--escape-backslash=false",
        "escape-backslash",
        "the backup loads only with sql_mode NO_BACKSLASH_ESCAPES",
        _false,
    ),
    _warned(
        "--order-by-primary-key=false",
        "order-by-primary-key",
        "a chunk that Dumpling had to dump again may hold its rows in another order and leave "
        "rows twice",
        _false,
    ),
    _warned(
        "--allow-cleartext-passwords",
        "allow-cleartext-passwords",
        "without TLS the password crosses the network in clear",
        _true,
    ),
    _warned(
        "--transactional-consistency=false",
        "transactional-consistency",
        "locks are kept for the whole dump, and writers wait",
        _false,
    ),
    _warned(
        "--filetype=parquet",
        "filetype",
        "not every importer reads parquet",
        lambda value: value == "parquet",
    ),
    _allowed("--filetype", "filetype", "sql, or csv: schema files are dumped beside it"),
    _warned(
        "--output-filename-template",
        "output-filename-template",
        "what was dumped cannot be judged by the names of its files: whether a table that the "
        "filter names is missing is not checked",
        bool,
    ),
    _allowed("--no-views", "no-views", "true by default: --no-views=false dumps views too"),
    _allowed("--no-sequences", "no-sequences", "true by default, as --no-views"),
    _allowed("--filter", "filter", "passed as it stands; not together with --table-filter"),
    _allowed("--tables-list", "tables-list", "not together with any filter: Dumpling refuses"),
    _allowed("--database", "database", "each schema named must be dumped"),
    _allowed(
        "--params",
        "params",
        "merged; not those that change what is read: tidb_snapshot, tidb_read_staleness, "
        "sql_select_limit",
    ),
    _allowed("--threads", "threads", "16 by default"),
    _allowed("--rows", "rows", "10000 by default; 0 does not split tables"),
    _allowed("--filesize", "filesize", "bounds a file, so that big tables go up early"),
    _allowed(
        "--compress, --statement-size, --complete-insert, --case-sensitive, --no-header, --csv-*, "
        "--tidb-mem-quota-query, --loglevel, --read-timeout",
        "compress statement-size complete-insert case-sensitive no-header csv-null-value "
        "csv-separator csv-delimiter csv-line-terminator csv-output-dialect escape-backslash "
        "no-data no-schemas tidb-mem-quota-query loglevel read-timeout dump-empty-database "
        "allow-cleartext-passwords order-by-primary-key transactional-consistency where "
        "output-filename-template",
        "change the form or the pace, not what is in the backup",
    ),
)
_UNKNOWN = _warned(
    "any other option of the binary",
    "",
    "this version of backup-manager does not know what it does to the backup",
)
_REMOTE = next(row for row in TABLE if row.shown.startswith("--s3."))

# Session variables that would make Dumpling read something else than the record says.
REFUSED_PARAMS = {
    "tidb_snapshot": "the snapshot is pinned: use --snapshot",
    "tidb_read_staleness": "it reads an earlier state than the record says",
    "tidb_external_ts": "it reads an earlier state than the record says",
    "sql_select_limit": "it cuts the rows that are read",
}


def decide(name: str, value: str) -> Decision:
    """Return the decision on ``--name=value``."""
    if name.startswith(REMOTE_PREFIXES):
        return _REMOTE
    for row in TABLE:
        if name in row.names and row.applies(value):
            return row
    return _UNKNOWN


def refuse(name: str, value: str) -> None:
    """Raise UsageError where the option is managed or refused; the value is not shown."""
    row = decide(name, value)
    if row.verdict == Verdict.MANAGED:
        raise UsageError(
            f"Dumpling option --{name} belongs to backup-manager",
            why=row.reason,
            fix=f"use {row.instead}" if row.instead else "leave it out",
        )
    if row.verdict == Verdict.REFUSED:
        raise UsageError(
            f"Dumpling option --{name} is refused",
            why=row.reason,
            fix=f"use {row.instead}" if row.instead else "leave it out",
        )


def unknown(shown: str, known: Iterable[str], version: str) -> UsageError:
    """Return the error for an option that the binary does not have, with the nearest that it has.

    An option that would be refused anyway is refused for that reason instead.
    """
    name = shown.lstrip("-")
    if len(name) > 1 and decide(name, "true").verdict in {Verdict.MANAGED, Verdict.REFUSED}:
        refuse(name, "true")
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return UsageError(
        f"Dumpling {version} has no option {shown[:100]}",
        fix=f"did you mean --{near[0]}?" if near else "see dumpling --help",
    )
