"""The row of the GC life time in ``mysql.tidb``: read, and changed by compare-and-set only."""

import time
from collections.abc import Callable

from tenacity import Retrying, retry_if_exception, wait_random_exponential

from backup_manager.database.connection import Database
from backup_manager.database.failures import (
    DENIED,
    NO_TABLE,
    READ_ONLY,
    AnswerError,
    StatementError,
)
from backup_manager.database.lease_document import Change, Row
from backup_manager.errors import ProtectionError, Reason

_READ = (
    "SELECT VARIABLE_VALUE, COMMENT, UNIX_TIMESTAMP() FROM mysql.tidb"
    " WHERE VARIABLE_NAME = 'tikv_gc_life_time'"
)
# One statement with autocommit is atomic in every transaction mode. Compared as bytes, since a
# collation may take different texts for equal; <=> holds for two NULLs too.
_SWAP = (
    "UPDATE mysql.tidb SET VARIABLE_VALUE = %s, COMMENT = %s"
    " WHERE VARIABLE_NAME = 'tikv_gc_life_time'"
    " AND CAST(IFNULL(VARIABLE_VALUE, '') AS BINARY) <=> CAST(%s AS BINARY)"
    " AND CAST(COMMENT AS BINARY) <=> CAST(%s AS BINARY)"
)
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 1.0


class _MovedError(ProtectionError):
    """Somebody else changed the row between our reading and our writing."""

    def __init__(self) -> None:
        super().__init__(
            "the GC life time cannot be set",
            why="tikv_gc_life_time in mysql.tidb was changed by others at each attempt",
            fix="see who writes that row all the time, and run again",
            reason=Reason.GC_SET,
        )


class RowGoneError(ProtectionError):
    """The table has no such row: nothing is there to be raised or put back."""


def read(database: Database) -> tuple[Row, int]:
    """Return the row and the database's time in unix seconds, from one statement.

    Raises ProtectionError (GC_READ) where there is no such row or reading is denied, and
    AnswerError for what may pass.
    """
    try:
        rows = database.query(_READ)
    except StatementError as error:
        if error.passing:
            raise
        raise read_error(database, error) from error
    if not rows:
        raise _no_row()
    ((value, comment, now),) = rows
    # NULL is as little a duration as the empty text is, and both are refused alike.
    return Row(value if value is not None else "", comment), int(now)


def swap(database: Database, old: Row, new: Row) -> bool:
    """Change the row from ``old`` to ``new``; False where it was not ``old`` any more.

    Raises ProtectionError (GC_SET) where the server refuses, and AnswerError for what may pass;
    after LostConnectionError the outcome is unknown.
    """
    try:
        return bool(database.execute(_SWAP, (new.value, new.comment, old.value, old.comment)))
    except StatementError as error:
        if error.passing:
            raise
        raise write_error(database, error) from error


def compare_and_set(
    database: Database,
    transition: Callable[[Row, int], Change],
    *,
    until: float,
    wait: Callable[[float], None],
    before_write: Callable[[Change], None] = lambda _: None,
) -> Change:
    """Apply a transition to the row, again and again until it holds or ``until`` has come.

    ``until`` is of time.monotonic(); ``wait`` sleeps, or raises to end it all. A transition is
    asked again after each miss and each lost answer, and finds its own lease where the write had
    gone through after all. Raises what `read` and `swap` raise.
    """

    def attempt() -> Change:
        row, now = read(database)
        change = transition(row, now)
        if change.row != row:
            before_write(change)
            if not swap(database, row, change.row):
                raise _MovedError
        return change

    retrying = Retrying(
        retry=retry_if_exception(_may_pass),
        stop=lambda _: time.monotonic() >= until,
        wait=wait_random_exponential(_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS),
        sleep=wait,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except StatementError as error:
        raise write_error(database, error) from error


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, _MovedError) or (isinstance(error, AnswerError) and error.passing)


def _no_row() -> RowGoneError:
    # A standalone TiDB with unistore has none either.
    return RowGoneError(
        "mysql.tidb has no row tikv_gc_life_time",
        fix="SET GLOBAL tidb_gc_life_time = '10m0s' creates it; or back up with --no-gc",
        reason=Reason.GC_READ,
    )


def read_error(database: Database, error: StatementError) -> ProtectionError:
    """Say why the GC life time cannot be read."""
    what = "the GC life time cannot be read from mysql.tidb"
    fix = "back up with --no-gc if GC is held off by other means"
    if error.errno in NO_TABLE:
        fix = "SET GLOBAL tidb_gc_life_time = '10m0s' on a TiDB; or back up with --no-gc"
    elif error.errno in DENIED:
        fix = f"GRANT SELECT ON mysql.tidb TO {database.account}; or back up with --no-gc"
    return ProtectionError(what, why=error.why, fix=fix, reason=Reason.GC_READ)


def write_error(database: Database, error: StatementError) -> ProtectionError:
    """Say why the GC life time cannot be changed."""
    fix = "back up with --no-gc if GC is held off by other means"
    if error.errno in READ_ONLY:
        fix = "give the --host of a server that is not read-only; or back up with --no-gc"
    elif error.errno in DENIED:
        fix = f"GRANT UPDATE ON mysql.tidb TO {database.account}; or back up with --no-gc"
    what = "the GC life time cannot be changed in mysql.tidb"
    return ProtectionError(what, why=error.why, fix=fix, reason=Reason.GC_SET)
