"""The privileges that a backup needs, proved by doing: roles make SHOW GRANTS misleading.

Each proof changes nothing and holds no lock: it names what cannot exist, so that the server either
denies it or finds nothing to do.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from backup_manager.database.connection import Database
from backup_manager.database.failures import DENIED, NO_TABLE, StatementError
from backup_manager.database.lease_row import read, write_error
from backup_manager.database.patience import BRIEF_SECONDS, patiently
from backup_manager.errors import DatabaseError, ProtectionError, Reason
from backup_manager.report import Report

# Dumpling's own default filter leaves these out.
SYSTEM_SCHEMAS = frozenset(
    {
        *("mysql", "sys", "information_schema", "performance_schema"),
        *("metrics_schema", "inspection_schema"),
    }
)
_NO_SUCH = "backup_manager_no_such_thing"
# MySQL and MariaDB deny a table in a schema that does not exist unless SELECT is global; TiDB
# (planner/core/preprocess.go) is content with any global privilege there, but not with mysql.db.
_GLOBAL_SELECT = (
    "SELECT 1 FROM backup_manager_no_such_thing.backup_manager_no_such_thing LIMIT 0",
    "SELECT 1 FROM mysql.db LIMIT 0",
)
# Statements on a server are few where schemas are few; the rest would prove nothing new.
_MOST_SCHEMAS = 20


@dataclass(frozen=True)
class _Missing:
    privilege: str
    grant: str
    why: str


def check(
    database: Database,
    *,
    gc: bool,
    snapshot: bool,
    consistency: str,
    report: Report,
    views: bool = False,
) -> None:
    """Prove every privilege that this run needs, over one connection of its own.

    ``gc``: SELECT and UPDATE on mysql.tidb, and that the row is there; ``snapshot``: REPLICATION
    CLIENT; ``consistency`` as Dumpling's; ``views``: SHOW VIEW, where there is a view. Raises one
    ProtectionError that names all that is missing, with the GRANT for each; GC_READ where the row
    is absent; DatabaseError where the database is away.
    """

    def prove() -> None:
        with database.fresh() as line:
            _prove(line, gc=gc, snapshot=snapshot, consistency=consistency, views=views)

    patiently(database, prove)
    report.debug("the account has the privileges that the backup needs")


def _prove(line: Database, *, gc: bool, snapshot: bool, consistency: str, views: bool) -> None:
    with contextlib.suppress(StatementError):
        # A lock of somebody else's must not hold the proofs up.
        line.execute("SET SESSION lock_wait_timeout = 3")
    missing: list[_Missing] = []
    later: ProtectionError | None = None
    if gc:
        later = _gc(line, missing)
    if snapshot:
        missing += _denied(line, "REPLICATION CLIENT", "*.*", "SHOW MASTER STATUS")
    missing += _consistency(line, consistency)
    if views:
        missing += _show_view(line)
    if missing:
        raise _error(line, missing, gc=gc)
    if later:
        raise later


def warn_of_partial_select(database: Database, report: Report) -> None:
    """Warn of an account without SELECT on everything: what it may not see is not backed up.

    Raises DatabaseError where the database is away.
    """

    def is_partial() -> bool:
        with database.fresh() as line:
            return any(_refusal(line, sql) is not None for sql in _GLOBAL_SELECT)

    if patiently(database, is_partial):
        report.warn(
            f"the account {database.account} has no SELECT on everything, so schemas and tables"
            " that it may not see are not in the backup. To do, if that is not meant:"
            f" GRANT SELECT ON *.* TO {database.account}"
        )


def visible_schemas(database: Database) -> list[str]:
    """Return the names of the schemas that the account may see, the system's own left out.

    Raises DatabaseError.
    """
    rows = patiently(database, lambda: database.query("SHOW DATABASES"), seconds=BRIEF_SECONDS)
    names = [str(name) for (name,) in rows]
    return sorted(name for name in names if name.lower() not in SYSTEM_SCHEMAS)


def estimate_bytes(database: Database) -> int | None:
    """Return the sum of the tables' data in bytes as the statistics have it; None if not known."""
    sql = (
        "SELECT SUM(DATA_LENGTH) FROM information_schema.TABLES"
        " WHERE TABLE_TYPE = 'BASE TABLE' AND LOWER(TABLE_SCHEMA) NOT IN %s"
    )
    try:
        # With very many tables this takes longer than a statement may: then it is not known.
        with database.fresh() as line:
            ((total,),) = line.query(sql, (tuple(sorted(SYSTEM_SCHEMAS)),))
    except DatabaseError:
        return None
    return None if total is None else int(total)


def _gc(line: Database, missing: list[_Missing]) -> ProtectionError | None:
    """Add what is missing on mysql.tidb; return what else is wrong with it."""
    later: ProtectionError | None = None
    try:
        read(line)
    except ProtectionError as error:
        later = error
        if isinstance(error.__cause__, StatementError) and error.__cause__.errno in DENIED:
            missing.append(_Missing("SELECT on mysql.tidb", "SELECT ON mysql.tidb", error.why))
    # No column is named in a condition, so that nothing but UPDATE is proved.
    sql = "UPDATE mysql.tidb SET VARIABLE_VALUE = NULL, COMMENT = NULL WHERE FALSE"
    try:
        line.execute(sql)
    except StatementError as error:
        if error.errno in DENIED:
            missing.append(_Missing("UPDATE on mysql.tidb", "UPDATE ON mysql.tidb", error.why))
        elif error.errno not in NO_TABLE:
            later = later or write_error(line, error)
    return later


def _consistency(line: Database, consistency: str) -> Iterator[_Missing]:
    flush: list[_Missing] = []
    lock: list[_Missing] = []
    # Dumpling's auto: snapshot on TiDB, elsewhere flush, and lock where flush is refused.
    either = consistency == "auto" and not line.is_tidb
    if consistency == "flush" or either:
        # A named table that is not there: the server checks RELOAD and closes nothing.
        sql = f"FLUSH LOCAL TABLES mysql.{_NO_SUCH}"
        flush = _denied(line, "RELOAD", "*.*", sql)
    if consistency == "lock" or (either and flush):
        lock = _lock_tables(line)
    if either:
        flush = flush if lock else []
    yield from [*flush, *lock]


def _lock_tables(line: Database) -> list[_Missing]:
    """Deny only where it is denied in every schema: which of them are dumped is not known here."""
    missing: list[_Missing] = []
    for schema in visible_schemas(line)[:_MOST_SCHEMAS] or ["mysql"]:
        name = schema.replace("`", "``")
        missing = _denied(line, "LOCK TABLES", "*.*", f"LOCK TABLES `{name}`.{_NO_SUCH} READ")
        # LOCK TABLES wants SELECT too, and says so; that is another privilege's affair.
        if not missing or "SELECT command" in missing[0].why:
            return []
    return missing


def _show_view(line: Database) -> list[_Missing]:
    """Prove it on one view: where there is none, nothing is missing."""
    sql = (
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES"
        " WHERE TABLE_TYPE = 'VIEW' AND LOWER(TABLE_SCHEMA) NOT IN %s LIMIT 1"
    )
    for names in line.query(sql, (tuple(sorted(SYSTEM_SCHEMAS)),)):
        schema, view = (str(name).replace("`", "``") for name in names)
        return _denied(line, "SHOW VIEW", "*.*", f"SHOW CREATE VIEW `{schema}`.`{view}`")
    return []


def _denied(line: Database, privilege: str, scope: str, sql: str) -> list[_Missing]:
    why = _refusal(line, sql)
    return [] if why is None else [_Missing(privilege, f"{privilege} ON {scope}", why)]


def _refusal(line: Database, sql: str) -> str | None:
    """Return the server's words where it denies a statement; any other answer is no denial."""
    try:
        line.execute(sql)
    except StatementError as error:
        if error.errno in DENIED:
            return error.why
    return None


def _error(line: Database, missing: list[_Missing], *, gc: bool) -> ProtectionError:
    grants = [f"GRANT {each.grant} TO {line.account};" for each in missing]
    names = ", ".join(each.privilege for each in missing)
    fix = " ".join(grants)
    if gc and any("mysql.tidb" in each.grant for each in missing):
        fix += " or, without the privileges on mysql.tidb, back up with --no-gc"
    return ProtectionError(
        f"the account {line.account} lacks {names}",
        why="; ".join(dict.fromkeys(each.why for each in missing)),
        fix=fix,
        reason=Reason.PRIVILEGE,
    )
