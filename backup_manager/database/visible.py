"""What the account can see: to warn of what will not be in the backup."""

from backup_manager.database.connection import Database
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
            rows = line.query(sql, (kind, tuple(sorted(SYSTEM_SCHEMAS))))
    except DatabaseError:
        return []
    return [(str(schema), str(name)) for schema, name in rows]
