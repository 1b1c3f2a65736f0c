"""What a database holds, schema by schema and table by table, and how two of them differ."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pymysql
from pymysql.cursors import Cursor

from .servers import Database, ExternalTiDB
from .servers.sql import quoted

_SYSTEM = {
    "mysql",
    "sys",
    "information_schema",
    "performance_schema",
    "metrics_schema",
    "inspection_schema",
}
# ER_VIEW_INVALID: what it reads from is not there, or is not as it was.
_BROKEN_VIEW = 1356
# A TiDB hands out ids in batches: where the next one begins is no part of a table's structure.
_NEXT_ID = re.compile(r" AUTO_INCREMENT=\d+")


@dataclass(frozen=True)
class Item:
    """A schema, table or view: the statement that makes it, and what is in it.

    `checksum` is that of CHECKSUM TABLE (of a TiDB: see ExternalTiDB), None but for tables; `rows`
    counts those of tables and views, None where a view cannot be read.
    """

    kind: str
    structure: str
    rows: int | None = None
    checksum: int | None = None


# By schema and name; a schema itself has the name "".
Contents = Mapping[tuple[str, str], Item]


def schemas(server: Database) -> list[str]:
    """All schemas but the system's own."""
    names = [name for (name,) in server.execute("SHOW DATABASES")]
    return sorted(name for name in names if name.lower() not in _SYSTEM)


def contents(server: Database, names: Iterable[str] | None = None) -> Contents:
    """All that is in these schemas, or in all of them."""
    found: dict[tuple[str, str], Item] = {}
    with server.connect() as connection, connection.cursor() as cursor:
        for schema in schemas(server) if names is None else names:
            cursor.execute(f"SHOW CREATE DATABASE {quoted(schema)}")
            found[schema, ""] = Item("schema", _only_row(cursor)[1])
            checksums = server.checksum_tables(schema)
            cursor.execute(
                "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s",
                (schema,),
            )
            for (name,) in cursor.fetchall():
                found[schema, name] = _item(server, cursor, schema, name, checksums.get(name))
    return found


def _item(server: Database, cursor: Cursor, schema: str, name: str, checksum: int | None) -> Item:
    full = f"{quoted(schema)}.{quoted(name)}"
    cursor.execute(f"SHOW CREATE TABLE {full}")
    # Of a view it is the view's statement, and the character set and collation of its making.
    structure = "\n".join(_only_row(cursor)[1:])
    if isinstance(server, ExternalTiDB):
        structure = _NEXT_ID.sub("", structure)
    kind = "view" if checksum is None else "table"
    try:
        cursor.execute(f"SELECT COUNT(*) FROM {full}")
    except pymysql.err.OperationalError as error:
        if error.args[0] != _BROKEN_VIEW:
            raise
        return Item(kind, structure)
    return Item(kind, structure, int(_only_row(cursor)[0]), checksum)


def _only_row(cursor: Cursor) -> tuple[str, ...]:
    (row,) = cursor.fetchall()
    return tuple(map(str, row))


def differences(expected: Contents, actual: Contents) -> list[str]:
    """What is not the same, each named; empty where all is."""
    found = []
    for schema, name in sorted(expected.keys() | actual.keys()):
        full = f"{quoted(schema)}.{quoted(name)}" if name else quoted(schema)
        before, after = expected.get((schema, name)), actual.get((schema, name))
        if before is None or after is None:
            found.append(f"{full} is {'missing' if after is None else 'one too many'}")
            continue
        for what in ("kind", "structure", "rows", "checksum"):
            pair = getattr(before, what), getattr(after, what)
            if pair[0] != pair[1]:
                found.append(f"{what} of {full}: {pair[0]} became {pair[1]}")
    return found
