"""Dumpling's flags (dumpling/export/config.go), their defaults and its help text."""

from datetime import datetime

from .pflag import Flag, FlagSet
from .versions import WHAT, Version

DEFAULT_FILTERS = [
    "*.*",
    "!/^(mysql|sys|INFORMATION_SCHEMA|PERFORMANCE_SCHEMA|METRICS_SCHEMA|INSPECTION_SCHEMA)$/.*",
]
_CLOUD = {
    "s3": (
        "acl endpoint external-id profile provider region role-arn sse sse-kms-key-id storage-class"
    ),
    "gcs": "credentials-file endpoint predefined-acl storage-class",
    "azblob": (
        "access-tier account-key account-name encryption-key encryption-scope endpoint sas-token"
    ),
}
# Flags that builds of the v5.3 line do not know.
_LATER = {"no-sequences", "order-by-primary-key", "csv-line-terminator", "csv-output-dialect"}


def _string(name: str, default: str, usage: str, short: str = "", *, hidden: bool = False) -> Flag:
    return Flag(name, "string", default, usage, short, hidden)


def _bool(name: str, default: bool, usage: str, short: str = "", *, hidden: bool = False) -> Flag:
    return Flag(name, "bool", default, usage, short, hidden)


def _connection() -> list[Flag]:
    return [
        _string("host", "127.0.0.1", "Address of the database", "h"),
        Flag("port", "int", 4000, "Port of the database", "P"),
        _string("user", "root", "Account that reads", "u"),
        _string("password", "", "Its password", "p"),
        _bool("allow-cleartext-passwords", False, "Let the password be sent in clear text"),
        _string("ca", "", "File of the certificate authority"),
        _string("cert", "", "File of the client's certificate"),
        _string("key", "", "File of the client's private key"),
        Flag("params", "stringToString", {}, "Session variables, as --params a=1,b=2"),
        Flag("read-timeout", "duration", "15m0s", "Read timeout", hidden=True),
        Flag("tidb-mem-quota-query", "uint64", 0, "Memory bound of one statement, in bytes"),
        _string("consistency", "auto", "How rows agree: {auto|none|flush|lock|snapshot}"),
        _string("snapshot", "", "TSO or time to read at, with --consistency=snapshot"),
        _bool("transactional-consistency", True, "Transactions only", hidden=True),
    ]


def _selection() -> list[Flag]:
    return [
        Flag("database", "stringSlice", [], "Databases to dump", "B"),
        Flag("tables-list", "stringSlice", [], "Tables to dump, each as db.table", "T"),
        Flag("filter", "stringSlice", list(DEFAULT_FILTERS), "Rules that choose tables", "f"),
        _bool("case-sensitive", False, "Let the filter tell case apart"),
        _bool("dump-empty-database", True, "Dump databases without tables"),
        _bool("no-views", True, "Leave views out", "W"),
        _bool("no-sequences", True, "Leave sequences out"),
        _bool("no-schemas", False, "Leave schemas out", "m"),
        _bool("no-data", False, "Leave rows out", "d"),
        _string("where", "", "Condition on the rows"),
        _string("sql", "", "Dump the result of this statement", "S", hidden=True),
        _bool("order-by-primary-key", True, "Order rows by the primary key"),
    ]


def _output(now: datetime) -> list[Flag]:
    stamp = now.astimezone().isoformat(timespec="seconds").replace("+00:00", "Z")
    return [
        _string("output", f"./export-{stamp}", "Output directory", "o"),
        _string("output-filename-template", "", "Template of the files' names, no extension"),
        Flag("threads", "int", 4, "Number of goroutines to use", "t"),
        Flag("rows", "uint64", 0, "Split tables into chunks of\nabout this many rows", "r"),
        _string("filesize", "", "Approximate size of a file", "F"),
        Flag("statement-size", "uint64", 1000000, "Approximate size of a statement", "s"),
        _string("compress", "", "Compression: gzip, snappy, zstd (double: gzip only)", "c"),
        _string("filetype", "", "Kind of files (sql/csv)"),
        _bool("complete-insert", False, "Name the columns in every INSERT"),
        _bool("escape-backslash", True, "Escape with backslashes"),
        _bool("no-header", False, "Leave the header line of CSV files out"),
        _string("csv-null-value", "\\N", "How CSV files write NULL"),
        _string("csv-separator", ",", "Separator of CSV fields"),
        _string("csv-delimiter", '"', "Quote of CSV fields"),
        _string("csv-line-terminator", "\r\n", "End of CSV lines"),
        _string("csv-output-dialect", "", "Dialect of CSV files (double: none)"),
    ]


def _program() -> list[Flag]:
    return [
        _string("loglevel", "info", "Log level: {debug|info|warn|error|dpanic|panic|fatal}"),
        _string("logfile", "", "Log file `path`, standard output if empty", "L"),
        _string("logfmt", "text", "Log `format`: {text|json}"),
        _string("status-addr", ":8281", "Address of the status server"),
        _bool("help", False, "Print this and quit"),
        _bool("version", False, "Print the version", "V"),
    ]


def flag_set(version: Version, now: datetime) -> FlagSet:
    """All flags that this version knows."""
    flags = [*_connection(), *_selection(), *_output(now), *_program()]
    for cloud, names in _CLOUD.items():
        usage = f"Of output to {cloud} (not doubled)"
        flags += [_string(f"{cloud}.{name}", "", usage) for name in names.split()]
    if version.old:
        flags = [f for f in flags if f.name not in _LATER and not f.name.startswith("azblob.")]
    return FlagSet(flags)


def help_text(flags: FlagSet, *, password_by_environment: bool = False) -> str:
    """What --help prints."""
    more = "\nThe password may come by the variable MYSQL_PWD.\n" if password_by_environment else ""
    return (
        "Dumpling is a CLI tool that helps you dump MySQL/TiDB data\n"
        f"(this is a {WHAT}; see tests/doubles/README.md)\n\n"
        "Usage:\n  dumpling [flags]\n\nFlags:\n" + flags.usages() + more
    )
