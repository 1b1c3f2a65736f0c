"""A real TiDB that is there already, in place of the double: TIDB_ADDR=host:port."""

import os
from collections.abc import Iterable
from pathlib import Path

from .mariadb import MariaDB
from .process import ServerError
from .sql import Database, quoted


class ExternalTiDB(Database):
    """A TiDB that others started; root has no password. Starting and stopping leave it alone."""

    tidb = True

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    def start(self) -> None:
        """Set the GC life time to its default, which also makes the row where there is none."""
        self.execute("SET GLOBAL tidb_gc_life_time = '10m'")

    def stop(self) -> None:
        pass

    def checksum_tables(self, schema: str) -> dict[str, int | None]:
        # ADMIN CHECKSUM TABLE covers the keys too, which hold the table's id: a restored table
        # would never equal its source.
        checksums: dict[str, int | None] = {}
        for table in self.tables(schema):
            columns = self.execute(
                "SELECT COLUMN_NAME FROM information_schema.COLUMNS"
                " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
                (schema, table),
            )
            # HEX keeps bytes and separators apart, NULL is no hexadecimal number.
            fields = ", ".join(f"IFNULL(HEX({quoted(name)}), 'N')" for (name,) in columns)
            ((rows, total),) = self.execute(
                f"SELECT COUNT(*), IFNULL(SUM(CRC32(CONCAT_WS(',', {fields}))), 0)"
                f" FROM {quoted(schema)}.{quoted(table)}"
            )
            checksums[table] = int(total) + int(rows)
        return checksums


def external_tidb() -> ExternalTiDB | None:
    """The TiDB that TIDB_ADDR names, if it is set."""
    address = os.environ.get("TIDB_ADDR", "")
    if not address:
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ServerError(f"TIDB_ADDR must be host:port, not {address!r}")
    return ExternalTiDB(host.strip("[]"), int(port))


def database(directory: Path) -> Database:
    """The TiDB of TIDB_ADDR, or else a MariaDB in its clothes under `directory`; not started."""
    return external_tidb() or MariaDB(directory)


class _EmptiedTiDB(ExternalTiDB):
    """The same TiDB without some schemas: starting it drops them."""

    def __init__(self, server: ExternalTiDB, schemas: Iterable[str]) -> None:
        super().__init__(server.host, server.port)
        self._schemas = list(schemas)

    def start(self) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
            for schema in self._schemas:
                cursor.execute(f"DROP DATABASE IF EXISTS {quoted(schema)}")


def second_database(first: Database, schemas: Iterable[str], directory: Path) -> Database:
    """A server to load the schemas of the first one into, without them; not started.

    A MariaDB under `directory`; of a real TiDB there is but one, which loses the schemas.
    """
    if isinstance(first, ExternalTiDB):
        return _EmptiedTiDB(first, schemas)
    return MariaDB(directory, tidb=False)
