"""``clean``: one backup is removed, once it is certain that it is the one that is meant."""

import sys
from datetime import UTC, datetime, timedelta

from backup_manager.bounded import bounded
from backup_manager.canonical import timestamp
from backup_manager.catalog.backups import Backup, State
from backup_manager.catalog.catalog import Catalog, Found
from backup_manager.catalog.listing import age
from backup_manager.catalog.naming import LATEST, Name, parse_name
from backup_manager.errors import Reason, StoreError, UsageError
from backup_manager.progress import Figures, open_progress, size
from backup_manager.removal.prune import earlier_clock
from backup_manager.removal.removal import (
    Removal,
    last_written,
    open_uploads,
    removal_begun,
    removing,
)
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.locks import lock_on
from backup_manager.texts import visible

# A run that is at work has written something since then.
_YOUNG_SECONDS = 3600.0


def may_ask() -> bool:
    """Tell whether there is a person to be asked."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def find_whole(catalog: Catalog, text: str) -> Backup:
    """Return the backup of this very name, address, or name that export was given.

    Raises UsageError for what only begins so, and for ``latest``: a slip must remove nothing.
    Raises StoreError where there is none.
    """
    if text == LATEST:
        raise UsageError(
            "clean takes no latest",
            why="which one that is may change between two looks",
            fix="give the name or the address; backup-manager list shows them",
        )
    last = text.rstrip("/").rpartition("/")[2]
    try:
        found = catalog.find(text)
    except StoreError:
        name = parse_name(last)
        left = left_of(catalog, name) if name else None
        if left is None:
            raise
        found = left
    record = found.record
    if last not in {found.name.text, *((record.name, record.id) if record else ())}:
        raise UsageError(
            f"{text!r} is only the beginning of a name",
            fix=f"give the whole of it, {found.name.text}, if that is meant",
        )
    return found


def left_of(catalog: Catalog, name: Name) -> Backup | None:
    """Return the backup of that very name, if anything of it is left. Raises StoreError."""
    found = catalog.named(name)
    # It may be nothing but open multipart uploads.
    if found is None and open_uploads(catalog, catalog.layout(name)):
        return catalog.read(Found(name))
    return found


def check_lock(catalog: Catalog, backup: Backup) -> None:
    """Raise StoreError for a backup that Object Lock holds."""
    held = backup.locked
    if backup.state is State.OPERATOR:
        held = lock_on(catalog.store, backup.layout.root)
    if held:
        raise StoreError(
            f"{backup.url} cannot be removed",
            why=f"it is locked: {held}",
            fix="wait for the lock's end, or have who may do so take it away",
            reason=Reason.CLEAN,
        )


def caution_of(catalog: Catalog, backup: Backup) -> str:
    """Say where a run may be at work on a backup; raises StoreError."""
    if backup.state is not State.INCOMPLETE or removal_begun(catalog, backup.layout):
        return ""
    now = earlier_clock(catalog)
    since = now - timedelta(seconds=_YOUNG_SECONDS)
    at = last_written(catalog, backup.layout, since)
    if not at or at <= since:
        return ""
    ago = age((now - at).total_seconds())
    return f"something was written to it {ago} ago: a run may be at work on it"


def confirm(backup: Backup, caution: str, report: Report, stop: Stop) -> None:
    """Ask the person at the terminal; raise UsageError where the answer is not yes."""
    for line in [*_described(backup), *([caution] if caution else []), ""]:
        print(visible(report.redact(line)), file=sys.stderr)  # noqa: T201 - a question, not a log
    print("Remove it for good? Type yes: ", end="", file=sys.stderr, flush=True)  # noqa: T201 - the same
    # A signal ends it: readline alone would go on.
    answer = bounded(stop, sys.stdin.readline)
    if answer.strip().lower() != "yes":
        raise UsageError("nothing was removed", why="the answer was not yes")


def _described(backup: Backup) -> list[str]:
    record = backup.record
    old = age((datetime.now(UTC) - backup.name.started).total_seconds())
    lines = [
        f"backup   {backup.url}",
        f"state    {backup.state}",
        f"started  {timestamp(backup.name.started)}, {old} ago",
    ]
    if record:
        lines += [f"name     {record.name}"] if record.name else []
        lines += [f"holds    {record.files:,} files, {size(record.bytes)}"]
    elif backup.bytes is not None:
        lines += [f"holds    {size(backup.bytes)}"]
    return lines


def clean(catalog: Catalog, backup: Backup) -> None:
    """Remove a backup; the report's summary tells of it. Raises StoreError."""
    report, record = catalog.report, backup.record
    progress = open_progress(report)
    known = Figures(files_waiting=record.files, known_bytes=record.bytes) if record else Figures()
    removal = None
    try:
        with removing():
            removal = Removal(catalog, progress, known)
            removal.remove(backup.layout)
    finally:
        progress.close()
        summary = report.summary
        summary.files, summary.bytes = (removal.files, removal.bytes) if removal else (0, 0)
    report.succeed(f"{backup.url} is removed: {removal.files:,} objects, {size(removal.bytes)}")
