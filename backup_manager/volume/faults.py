"""What SQLite's errors mean for a journal."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backup_manager.errors import HeldError, VolumeError
from backup_manager.volume.directory import ailing, full
from backup_manager.volume.rows import DamagedRowError

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_REFUSED = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


def not_of_the_content(error: sqlite3.Error) -> bool:
    """Tell whether the volume or another process is the cause, not what is in the journal."""
    return _code(error) in _BUSY | _REFUSED


@contextmanager
def journal_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a VolumeError, or a HeldError where another process is in it."""
    try:
        yield
    except DamagedRowError as error:
        raise VolumeError(
            f"the journal {path} was damaged while it was in use",
            why=str(error),
            fix="check the volume's device, then run the command again: it begins anew",
        ) from error
    except sqlite3.Error as error:
        if _code(error) in _BUSY:
            raise HeldError(
                f"the journal {path} is in use by another process",
                fix="let the other run end, or stop it",
            ) from error
        what = f"the journal {path} cannot be read or written"
        if _code(error) == sqlite3.SQLITE_FULL:
            raise full(what, where=path.parent) from error
        if _code(error) in _REFUSED:
            # SQLite tells neither a full volume (at a sync, or where it makes a file) nor one that
            # is read-only, gone or broken from each other.
            raise ailing(what, str(error), path.parent) from error
        raise VolumeError(
            what,
            why=str(error),
            fix="check that the volume is mounted for writing and its device is sound",
        ) from error


def _code(error: sqlite3.Error) -> int | None:
    """Return SQLite's own code; the module's errors, as about a closed journal, have none."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if code is not None else None
