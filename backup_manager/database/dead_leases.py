"""Leases that dead runs left on the GC life time, for a run that takes none itself."""

import time
from collections.abc import Collection

from backup_manager.database.connection import Database
from backup_manager.database.lease_document import Change, Document, Original, clear
from backup_manager.database.lease_row import RowGoneError, compare_and_set
from backup_manager.database.lease_words import told
from backup_manager.errors import DatabaseError, ProtectionError
from backup_manager.report import Report
from backup_manager.signals import Stop

CLEAR_SECONDS = 20.0


def clear_dead(
    database: Database,
    dead_ids: Collection[str],
    *,
    stop: Stop,
    report: Report,
    known: Original | None = None,
) -> None:
    """Remove the leases of dead runs, for a run that takes none; a failure is a warning.

    ``known`` is what the journal of the latest of them remembers. Takes 20 s at most. Raises
    InterruptedBySignalError.
    """
    if not dead_ids:
        return
    try:
        remove_dead(database, dead_ids, stop=stop, known=known)
    except RowGoneError as error:
        report.debug("the leases of dead runs have gone with their row", why=error.message)
    except (DatabaseError, ProtectionError) as error:
        report.warn(
            f"the leases of dead runs on the GC life time could not be removed ({told(error)});"
            " the next backup removes them"
        )


def remove_dead(
    database: Database,
    dead_ids: Collection[str],
    *,
    stop: Stop,
    known: Original | None = None,
) -> Change:
    """Remove these leases and those past their end; return what became of the row.

    Takes 20 s at most. Raises ProtectionError, DatabaseError, InterruptedBySignalError.
    """
    document = Document(known, {}) if known else None
    until = time.monotonic() + CLEAR_SECONDS
    with database.fresh(until=until) as line:
        return compare_and_set(
            line,
            lambda row, now: clear(row, now=now, known=document, dead_ids=dead_ids),
            until=until - 1,
            wait=stop.wait,
        )
