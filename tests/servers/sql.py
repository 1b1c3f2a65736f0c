"""What tests ask of any database server, be it MariaDB in TiDB's clothes or a real TiDB."""

from collections.abc import Sequence
from typing import Any

import pymysql
from pymysql.cursors import Cursor

from tests.scoped import Scoped

from .process import program

GC_NAME = "tikv_gc_life_time"
GC_VALUE = "10m0s"
GC_COMMENT = (
    "All versions within life time will not be collected by GC, at least 10m, in Go format."
)

# The privileges that the operator's guide asks of the backup's account.
SEED_GRANTS = (
    "SELECT, UPDATE ON mysql.tidb",
    "SELECT, RELOAD, LOCK TABLES, REPLICATION CLIENT ON *.*",
)


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


class Database(Scoped):
    """A database server whose root has no password."""

    host: str
    port: int
    tidb: bool

    def start(self) -> None:
        raise NotImplementedError

    def connect(
        self,
        user: str = "root",
        password: str = "",
        database: str | None = None,
        **options: Any,
    ) -> "pymysql.Connection[Cursor]":
        """A new autocommit connection over TCP; `options` are PyMySQL's."""
        defaults: dict[str, Any] = {
            "connect_timeout": 10,
            "autocommit": True,
            "charset": "utf8mb4",
            "cursorclass": Cursor,
            # Else PyMySQL reads all CAs of the machine for a connection that needs none: 30 ms.
            "ssl_disabled": not any(name.startswith("ssl") for name in options),
        }
        connection: pymysql.Connection[Cursor] = pymysql.connect(
            host=self.host,
            port=self.port,
            user=user,
            password=password,
            database=database,
            **(defaults | options),
        )
        return connection

    def execute(self, sql: str, args: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """Run one statement as root over a connection of its own; the rows."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql, args)
            return list(cursor.fetchall())

    def create_account(
        self,
        name: str,
        password: str,
        *,
        grants: Sequence[str] = SEED_GRANTS,
        require: str | None = None,
    ) -> None:
        """Make (anew) name@'%'. `grants` are "PRIVILEGES ON object"; `require` is "SSL", "X509".

        A grant on mysql.tidb is left out where that table does not exist.
        """
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("DROP USER IF EXISTS %s@'%%'", (name,))
            demand = f" REQUIRE {require}" if require else ""
            cursor.execute(f"CREATE USER %s@'%%' IDENTIFIED BY %s{demand}", (name, password))
            for grant in grants:
                if self.tidb or "mysql.tidb" not in grant:
                    cursor.execute(f"GRANT {grant} TO %s@'%%'", (name,))

    def gc_row(self) -> tuple[str, str]:
        """Value and comment of the GC life time's row in mysql.tidb."""
        sql = "SELECT VARIABLE_VALUE, COMMENT FROM mysql.tidb WHERE VARIABLE_NAME = %s"
        ((value, comment),) = self.execute(sql, (GC_NAME,))
        return value, comment

    def client_argv(self) -> list[str]:
        """The command that reads SQL from its standard input, as root; a schema may be appended.

        Binary mode: NUL bytes and \\r\\n in literals arrive as they are.
        """
        return [
            program("mariadb"),
            "--no-defaults",
            *self._client_address(),
            "--user=root",
            "--default-character-set=utf8mb4",
            "--max-allowed-packet=64M",
            "--binary-mode",
        ]

    def _client_address(self) -> list[str]:
        return ["--protocol=tcp", f"--host={self.host}", f"--port={self.port}"]

    def tables(self, schema: str) -> list[str]:
        """The schema's tables, without its views, in order."""
        sql = (
            "SELECT TABLE_NAME FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'BASE TABLE'"
        )
        return sorted(name for (name,) in self.execute(sql, (schema,)))

    def checksum_tables(self, schema: str) -> dict[str, int | None]:
        """A checksum of each table's rows, whatever their order; None where it cannot be read.

        Compare it only with another server of the same kind.
        """
        raise NotImplementedError
