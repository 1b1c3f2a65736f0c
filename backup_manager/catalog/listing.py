"""What ``list`` prints of each backup: a row of a table, or a line of JSON."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from backup_manager.canonical import timestamp
from backup_manager.catalog.backups import Backup, State
from backup_manager.catalog.catalog import Catalog
from backup_manager.progress import size
from backup_manager.texts import encode, visible

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


class _Column(NamedTuple):
    title: str
    width: int
    text: Callable[[Backup], str]


def show(catalog: Catalog, *, as_json: bool) -> None:
    """Print every backup, newest first, each as soon as it is read. Raises StoreError."""
    now = datetime.now(UTC)
    columns = _columns(_terminal_columns())
    number, refused = 0, ""
    with closing(catalog.backups()) as backups:
        for number, backup in enumerate(backups, 1):
            if as_json:
                line = encode(facts_of(backup, now))
            else:
                if number == 1:
                    catalog.report.print(_row([column.title for column in columns], columns))
                line = _row([column.text(backup) for column in columns], columns)
            if backup.state is State.UNREADABLE and not refused:
                refused = backup.why
            if not catalog.report.print(line):
                return
    if refused:
        catalog.report.caution("a commit record cannot be read", why=refused)
    if not number:
        catalog.report.info("there is no backup", under=catalog.url)


def facts_of(backup: Backup, now: datetime) -> dict[str, Any]:
    """Return what a program may want to know of a backup; sizes in bytes, times in UTC."""
    record = backup.record
    facts: dict[str, Any] = {
        "backup": backup.url,
        "state": str(backup.state),
        "started": timestamp(backup.name.started),
        "age_seconds": max(0, round((now - backup.name.started).total_seconds())),
        "format": "archive" if backup.name.archived else "files",
    }
    if record:
        taken = record.snapshot_time
        facts |= {
            "id": record.id,
            "name": record.name,
            "schedule": record.schedule,
            "finished": timestamp(record.finished),
            "snapshot": {"tso": record.snapshot, "time": timestamp(taken) if taken else None},
            "files": record.files,
            "bytes": record.bytes,
            "source": {"host": record.source_host, "port": record.source_port},
            "tool": {"name": record.tool_name, "version": record.tool_version},
            "warnings": len(record.warnings),
        }
    elif backup.bytes is not None:
        facts["bytes"] = backup.bytes
    if backup.why:
        facts["why"] = backup.why
    return facts


def age(seconds: float) -> str:
    """Print how long ago something was, as kubectl does: 45s, 12m, 7h, 3d."""
    for unit, length in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        if seconds >= 2 * length or (unit == "m" and seconds >= length):
            return f"{seconds // length:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"


def _columns(width: int | None) -> Sequence[_Column]:
    """Return the columns that there is room for; all of them where that is no terminal."""
    now = datetime.now(UTC)
    columns = [
        _Column("BACKUP", 40, lambda one: one.name.text),
        _Column("STATE", 12, lambda one: str(one.state)),
        _Column("AGE", 5, lambda one: age((now - one.name.started).total_seconds())),
        _Column("SIZE", 10, _size),
        _Column("FILES", 9, lambda one: f"{one.record.files:,}" if one.record else "-"),
        _Column("SNAPSHOT", 20, lambda one: (one.record.snapshot if one.record else "") or "-"),
        _Column("SNAPSHOT TIME", 20, _snapshot_time),
        _Column("VERSION", 8, lambda one: one.record.tool_version if one.record else "-"),
        _Column("NAME", 20, lambda one: (one.record.name if one.record else None) or "-"),
    ]
    # The first to go where the window is narrow.
    for title in ("VERSION", "SNAPSHOT", "FILES", "NAME", "SNAPSHOT TIME"):
        if width is not None and sum(column.width + 2 for column in columns) - 2 > width:
            columns = [column for column in columns if column.title != title]
    return columns


def _size(backup: Backup) -> str:
    count = backup.record.bytes if backup.record else backup.bytes
    return "-" if count is None else size(count)


def _snapshot_time(backup: Backup) -> str:
    taken = backup.record.snapshot_time if backup.record else None
    return timestamp(taken) if taken else "-"


def _row(cells: Sequence[str], columns: Sequence[_Column]) -> str:
    padded = [cell.ljust(column.width) for cell, column in zip(cells, columns, strict=True)]
    # What others chose must not move the cursor.
    return str(visible("  ".join(padded).rstrip().replace("\n", " ").replace("\t", " ")))


def _terminal_columns() -> int | None:
    with suppress(OSError, ValueError, AttributeError):
        if sys.stdout.isatty():
            return os.get_terminal_size(sys.stdout.fileno()).columns
    return None
