"""Databases with everything that is hard to dump and to load back, in a few megabytes.

What a server cannot have is left out there, by these rules: a TiDB has no case in names, no shapes,
no UCS-2, no defaults that compute; a MariaDB has no emoji in names. MariaDB's INET4, INET6 and UUID
are in none: Dumpling writes them as text, which under its SET NAMES binary is no such value.
"""

from contextlib import suppress

import pymysql

from tests.servers.sql import quoted

from . import bulk, names, tables, types, views
from .common import BULK, EMPTY, HARD, LATIN, ODD, Execute, table_name

__all__ = ["BULK", "EMPTY", "HARD", "LATIN", "ODD", "SCHEMAS", "create", "create_bulk"]

# In this order they can be dropped: a table of the first refers to one of the last.
SCHEMAS = (HARD, ODD, EMPTY, LATIN)

# A MariaDB writes a FLOAT with six digits; and all text comes in UTF-8, which the dump's SET NAMES
# binary then takes for the column's own character set.
_LOSSY = ((HARD, "floats"), (HARD, "charsets"), (HARD, "wide_characters"), (LATIN, "inherited"))


def create(execute: Execute, *, hidden_column: bool = True, lossy: bool = True) -> None:
    """Make the databases anew.

    `hidden_column` is what Dumpling v5.3 crashes on; `lossy` is what no real Dumpling gets out of a
    MariaDB as it is in there.
    """
    tidb = _is_tidb(execute)
    for schema in SCHEMAS:
        execute(f"DROP DATABASE IF EXISTS {quoted(schema)}")
        charset = "latin1" if schema == LATIN else "utf8mb4"
        collation = {LATIN: "latin1_bin", EMPTY: "utf8mb4_unicode_ci"}.get(schema, "utf8mb4_bin")
        execute(f"CREATE DATABASE {quoted(schema)} CHARACTER SET {charset} COLLATE {collation}")
    types.create(execute, tidb=tidb)
    tables.create(execute, tidb=tidb)
    names.create(execute, tidb=tidb)
    views.create(execute)
    if hidden_column and not tidb:
        tables.create_hidden_column(execute)
    if not lossy and not tidb:
        for schema, name in _LOSSY:
            execute(f"DROP TABLE {table_name(name, schema)}")


def create_bulk(execute: Execute, *, million: bool = True) -> None:
    """Make the schema BULK anew: a million rows, if wanted, and one row of 16 MiB.

    A TiDB takes no such row: its `txn-entry-size-limit` is 6 MiB.
    """
    execute(f"DROP DATABASE IF EXISTS {quoted(BULK)}")
    execute(f"CREATE DATABASE {quoted(BULK)} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    if million:
        bulk.create_million(execute)
    if not _is_tidb(execute):
        bulk.create_wide(execute)


def _is_tidb(execute: Execute) -> bool:
    with suppress(pymysql.err.MySQLError):
        execute("SELECT tidb_version()")
        return True
    return False
