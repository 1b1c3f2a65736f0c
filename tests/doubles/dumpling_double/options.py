"""The flags' values, checked as config.go checks them."""

import json
import re
from dataclasses import dataclass
from typing import Any

from . import table_filter
from .errors import BadUsageError, DumpError
from .flags import DEFAULT_FILTERS
from .formatting import Style
from .log import say
from .naming import Names, TemplateError
from .pflag import FlagSet
from .session import Account
from .table_filter import FilterError, TableFilter
from .versions import Version

# docker/go-units: powers of 1024, whatever the spelling.
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)i?b?", re.IGNORECASE)
_GZIP = {"gzip", "gz"}
_NO_COMPRESSION = {"", "no-compression"}
_REAL_ONLY = {"snappy", "zstd", "zst"}


@dataclass
class Options:
    """What one run is asked to do."""

    account: Account
    output: str
    databases: list[str]
    filter: TableFilter
    names: Names
    style: Style
    params: dict[str, str]
    threads: int
    rows: int
    file_size: int
    statement_size: int
    gzip: bool
    consistency: str
    snapshot: str
    where: str
    status_addr: str
    log_level: str
    log_file: str
    log_format: str
    line_end: str
    file_type: str
    no_views: bool
    no_sequences: bool
    no_schemas: bool
    no_data: bool
    no_header: bool
    complete_insert: bool
    order_by_primary_key: bool
    dump_empty_database: bool
    mem_quota: int

    def described(self) -> str:
        """The configuration as the log shows it: without the password."""
        return json.dumps(
            {
                "NoViews": self.no_views,
                "NoSchemas": self.no_schemas,
                "NoData": self.no_data,
                "Host": self.account.host,
                "Port": self.account.port,
                "Threads": self.threads,
                "User": self.account.user,
                "Security": {
                    "CAPath": self.account.ca,
                    "CertPath": self.account.cert,
                    "KeyPath": self.account.key,
                },
                "OutputDirPath": self.output,
                "StatusAddr": self.status_addr,
                "Snapshot": self.snapshot,
                "Consistency": self.consistency,
                "Rows": self.rows,
                "FileSize": self.file_size,
                "StatementSize": self.statement_size,
                "SessionParams": self.params,
            },
            separators=(",", ":"),
        )


def parse_size(text: str) -> int:
    if not text:
        return 0
    if text.isdecimal():
        say(
            f"Warning: -F without unit is not recommended, try using `-F '{text}MiB'` in the future"
        )
        return int(text) << 20
    matched = _SIZE.fullmatch(text)
    if matched is None:
        raise DumpError(f"failed to parse filesize (-F '{text}')")
    return int(float(matched[1]) * 1024 ** " kmgtp".index(matched[2].lower() or " "))


def _filter(values: dict[str, Any]) -> TableFilter:
    sensitive = values["case-sensitive"]
    if not values["tables-list"]:
        return table_filter.parse(values["filter"], case_sensitive=sensitive)
    if values["filter"] != DEFAULT_FILTERS:
        raise FilterError("failed to parse filter: cannot pass --tables-list and --filter together")
    return table_filter.exact(values["tables-list"], case_sensitive=sensitive)


def _compression(name: str) -> bool:
    if name in _REAL_ONLY:
        raise DumpError(f"the test double cannot compress with {name}, only with gzip")
    if name not in _NO_COMPRESSION | _GZIP:
        raise DumpError(f"unknown compress type {name}")
    return name in _GZIP


def _style(values: dict[str, Any]) -> Style:
    csv = values["filetype"].lower() == "csv"
    if not csv:
        return Style(backslash=values["escape-backslash"])
    return Style(
        csv=True,
        backslash=values["escape-backslash"],
        null=values["csv-null-value"],
        separator=values["csv-separator"],
        delimiter=values["csv-delimiter"],
    )


def _check(values: dict[str, Any], version: Version) -> None:
    if values["threads"] <= 0:
        raise DumpError(f"--threads is set to {values['threads']}. It should be greater than 0")
    if not values["csv-separator"]:
        raise DumpError('--csv-separator is set to "". It must not be an empty string')
    if values["sql"] or values.get("csv-output-dialect"):
        raise DumpError("the test double knows neither --sql nor CSV dialects")
    template = values["output-filename-template"]
    splits = values["rows"] or values["filesize"]
    # Builds of 2026 refuse what the older ones let overwrite its own chunks (#68611).
    if template and splits and not version.old and ".Index" not in template:
        raise DumpError(
            "--output-filename-template must include a standalone {{.Index}} when split mode is"
            " enabled by --rows/-r or --filesize/-F"
        )


def from_flags(flags: FlagSet, version: Version) -> Options:
    """Raise what `parse arguments failed: ` is followed by, or BadUsageError for Go's panics."""
    values: dict[str, Any] = {"no-sequences": True, "order-by-primary-key": True, **flags.values}
    _check(values, version)
    try:
        names = Names(values["output-filename-template"])
    except TemplateError as error:
        raise BadUsageError(f"panic: {error}\n\ngoroutine 1 [running]:") from None
    try:
        chosen = _filter(values)
    except FilterError as error:
        raise DumpError(str(error)) from None
    account = Account(
        **{name: values[name] for name in ("host", "port", "user", "password", "ca", "cert", "key")}
    )
    switches = (
        "no-views no-sequences no-schemas no-data no-header complete-insert"
        " order-by-primary-key dump-empty-database"
    )
    return Options(
        account=account,
        output=values["output"].removeprefix("local://").removeprefix("file://"),
        databases=values["database"],
        filter=chosen,
        names=names,
        style=_style(values),
        params=dict(values["params"]),
        threads=values["threads"],
        rows=values["rows"],
        file_size=parse_size(values["filesize"]),
        statement_size=values["statement-size"],
        gzip=_compression(values["compress"]),
        consistency=values["consistency"],
        snapshot=values["snapshot"],
        where=values["where"],
        status_addr=values["status-addr"],
        log_level=values["loglevel"],
        log_file=values["logfile"],
        log_format=values["logfmt"],
        file_type=values["filetype"],
        line_end=values.get("csv-line-terminator", "\n"),
        mem_quota=values["tidb-mem-quota-query"],
        **{name.replace("-", "_"): values[name] for name in switches.split()},
    )
