"""The snapshot that a dump reads at: taken, dated, and compared with where GC has come to."""

import re
from datetime import UTC, datetime, timedelta

from backup_manager.database.connection import Database
from backup_manager.database.failures import DENIED, NO_TABLE, StatementError
from backup_manager.database.patience import RECOVERY_SECONDS, patiently
from backup_manager.errors import ProtectionError, Reason

# A TSO counts milliseconds in its upper bits, above 18 bits of a logical clock (PD).
_LOGICAL_BITS = 18
_LONGEST_TSO = 20  # digits of 2**64
# TiDB's first commits are of 2015: an older "TSO" is the position of a MySQL binlog.
_OLDEST = datetime(2015, 1, 1, tzinfo=UTC)
_CLOCK_SKEW = timedelta(days=1)
# GC's worker writes "20240102-15:04:05.000 +0800", older ones no fraction, the oldest a zone's
# name at the end (tikv's CompatibleParseGCTime).
_SAFE_POINT = re.compile(r"([0-9]{8}-[0-9:]{8})(\.[0-9]{1,6})? ([+-][0-9]{4})( \S+)?")


def take(database: Database) -> str:
    """Return the position of SHOW MASTER STATUS: on TiDB a TSO, elsewhere an opaque string.

    Raises ProtectionError (reason SNAPSHOT) where it is denied or empty, else DatabaseError.
    """
    what = "no snapshot can be taken with SHOW MASTER STATUS"
    try:
        rows = patiently(database, lambda: database.query("SHOW MASTER STATUS"))
    except StatementError as error:
        if error.errno not in DENIED:
            raise
        fix = f"GRANT REPLICATION CLIENT ON *.* TO {database.account}"
        raise ProtectionError(what, why=error.why, fix=fix, reason=Reason.SNAPSHOT) from error
    # The columns are File and Position first, on TiDB, MySQL and MariaDB alike.
    position = str(rows[0][1] or "") if rows else ""
    if not position:
        raise ProtectionError(
            what,
            why="the server gave no position",
            fix="give one with --dumpling-option=--snapshot=<TSO or time>, or choose another"
            " consistency with --dumpling-option=--consistency=<flush, lock or none>",
            reason=Reason.SNAPSHOT,
        )
    return position


def tso_time(tso: str, now: datetime) -> datetime | None:
    """Return the time of a TSO in UTC, to the millisecond; None where it cannot be one.

    ``now`` is aware; a TSO of before 2015 or of more than a day ahead of it is none.
    """
    if not (tso.isascii() and tso.isdecimal() and len(tso) <= _LONGEST_TSO):
        return None
    seconds = (int(tso) >> _LOGICAL_BITS) / 1000
    if not _OLDEST.timestamp() <= seconds <= (now + _CLOCK_SKEW).timestamp():
        return None
    return datetime.fromtimestamp(seconds, UTC)


def parse_safe_point(text: str) -> datetime | None:
    """Return the time that ``tikv_gc_safe_point`` names, aware; None where it names none."""
    match = _SAFE_POINT.fullmatch(text.strip())
    if not match:
        return None
    fraction = (match[2] or ".0").ljust(7, "0")[:7]
    try:
        return datetime.strptime(f"{match[1]}{fraction} {match[3]}", "%Y%m%d-%H:%M:%S.%f %z")
    except ValueError:
        return None


def safe_point(database: Database) -> datetime | None:
    """Return the time up to which GC has removed old versions; None where it is not known.

    Raises DatabaseError where the line breaks.
    """
    sql = "SELECT VARIABLE_VALUE FROM mysql.tidb WHERE VARIABLE_NAME = 'tikv_gc_safe_point'"
    try:
        rows = database.query(sql, tries=2)
    except StatementError as error:
        if error.errno in DENIED | NO_TABLE:
            return None
        raise
    return parse_safe_point(str(rows[0][0])) if rows else None


def check_not_collected(
    database: Database, snapshot: str, *, seconds: float = RECOVERY_SECONDS
) -> None:
    """Raise ProtectionError (reason GC_PASSED_SNAPSHOT) where GC has gone past the snapshot.

    The snapshot is a TSO, or a time as Dumpling's --snapshot takes it. What cannot be judged
    passes: a position that is no TSO, a time that the server cannot read, no known safe point.
    Raises DatabaseError where the database is away for ``seconds``.
    """

    def look() -> tuple[datetime | None, datetime | None]:
        found = safe_point(database)
        return found, _time_of(database, snapshot) if found else None

    collected, read_at = patiently(database, look, seconds=seconds)
    if not collected or not read_at or collected <= read_at:
        return
    raise ProtectionError(
        f"the snapshot {snapshot} ({read_at:%Y-%m-%d %H:%M:%S} UTC) can no longer be read",
        why=f"TiDB's GC has removed what is older than {collected.astimezone(UTC):%F %T} UTC",
        fix="run again for a backup with a new snapshot, and let nobody lower"
        " tidb_gc_life_time while it runs",
        reason=Reason.GC_PASSED_SNAPSHOT,
    )


def _time_of(database: Database, snapshot: str) -> datetime | None:
    snapshot = snapshot.strip()
    if snapshot.isdecimal():
        ((now,),) = database.query("SELECT UNIX_TIMESTAMP()", tries=2)
        return tso_time(snapshot, datetime.fromtimestamp(int(now), UTC))
    try:
        # Dumpling too lets the server read a time, in the server's own zone.
        ((given,),) = database.query("SELECT UNIX_TIMESTAMP(%s)", (snapshot,), tries=2)
    except StatementError:
        return None
    return datetime.fromtimestamp(float(given), UTC) if given else None
