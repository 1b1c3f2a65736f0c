"""What the account can see: to warn of what will not be in the backup."""

from backup_manager.database.connection import Database
from backup_manager.database.patience import BRIEF_SECONDS, patiently
from backup_manager.database.privileges import SYSTEM_SCHEMAS
from backup_manager.errors import DatabaseError


def objects(database: Database, kind: str) -> list[tuple[str, str]]:
    """Return schema and name of the objects of a kind: VIEW, SEQUENCE; none where not known."""
    sql = (
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES"
        " WHERE TABLE_TYPE = %s AND LOWER(TABLE_SCHEMA) NOT IN %s"
    )
    try:
        with database.fresh() as line:
            arguments = (kind, tuple(sorted(SYSTEM_SCHEMAS)))
            rows = patiently(line, lambda: line.query(sql, arguments), seconds=BRIEF_SECONDS)
    except DatabaseError:
        return []
    return [(str(schema), str(name)) for schema, name in rows]
