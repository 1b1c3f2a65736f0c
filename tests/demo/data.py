"""The demo's database: two schemas of some 260 MB, and those that are hard to dump."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests import hard_schema
from tests.command import DOUBLE, find_dumpling
from tests.servers import Database

SHOP, MEDIA = "demo_shop", "demo_media"
SCHEMAS = (SHOP, MEDIA, hard_schema.BULK, *hard_schema.SCHEMAS)


@dataclass(frozen=True)
class _Grown:
    """A table whose row is an expression of `n`, which counts from 1 to `rows`."""

    schema: str
    name: str
    columns: str
    values: str
    rows: int


_GROWN = (
    _Grown(
        SHOP,
        "customers",
        "id INT PRIMARY KEY, name VARCHAR(60) NOT NULL, born DATE, credit DECIMAL(12,2)",
        "n, CONCAT('Zoë ', HEX(n * 7919)), DATE_ADD('1950-01-01', INTERVAL n % 20000 DAY),"
        " IF(n % 10 = 0, NULL, n * 1.25)",
        1 << 15,
    ),
    _Grown(
        SHOP,
        "orders",
        "id BIGINT PRIMARY KEY, customer INT NOT NULL, placed DATETIME NOT NULL,"
        " total DECIMAL(10,2) NOT NULL, token CHAR(64) NOT NULL, note VARCHAR(200)",
        "n, 1 + n % 32768, DATE_ADD('2020-01-01', INTERVAL n * 97 SECOND), (n % 100000) / 100,"
        " SHA2(n, 256), IF(n % 3 = 0, NULL, CONCAT('Grüße, it''s order ', n))",
        1 << 20,
    ),
    _Grown(
        MEDIA,
        "pictures",
        "id INT PRIMARY KEY, kind ENUM('png', 'jpeg') NOT NULL, picture MEDIUMBLOB NOT NULL",
        "n, IF(n % 2, 'png', 'jpeg'), REPEAT(UNHEX(SHA2(n, 512)), 4096)",
        1 << 8,
    ),
)


def create(server: Database) -> None:
    """Make all schemas."""
    with server.connect() as connection, connection.cursor() as cursor:
        for sql in _statements():
            cursor.execute(sql)
    double = find_dumpling() == DOUBLE
    hard_schema.create(server.execute, hidden_column=double, lossy=double)
    hard_schema.create_bulk(server.execute, million=False)  # orders has as many


def _statements() -> Iterator[str]:
    for schema in (SHOP, MEDIA):
        yield f"CREATE DATABASE {schema} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    for table in _GROWN:
        yield from _grow(table)
    key = f"CONSTRAINT payer FOREIGN KEY (customer) REFERENCES {SHOP}.customers (id)"
    yield f"CREATE TABLE {SHOP}.invoices (id INT PRIMARY KEY, customer INT NOT NULL, {key})"
    yield f"INSERT INTO {SHOP}.invoices SELECT id, id FROM {SHOP}.customers WHERE id <= 1000"
    yield f"CREATE TABLE {SHOP}.`empty one` (id INT PRIMARY KEY, at TIMESTAMP NULL)"
    sums = f"SELECT kind, COUNT(*) AS pictures FROM {MEDIA}.pictures GROUP BY kind"
    yield f"CREATE VIEW {SHOP}.kinds AS {sums}"


def _grow(table: _Grown) -> Iterator[str]:
    """Double the table until it is full: no server needs more than INSERT and SELECT for it."""
    name = f"{table.schema}.{table.name}"
    yield f"CREATE TABLE {name} ({table.columns})"
    yield f"INSERT INTO {name} SELECT {table.values} FROM (SELECT 1 AS n) AS numbers"
    count = 1
    while count < table.rows:
        step = min(count, table.rows - count, 1 << 17)
        numbers = f"SELECT id + {count} AS n FROM {name} WHERE id <= {step}"
        yield f"INSERT INTO {name} SELECT {table.values} FROM ({numbers}) AS numbers"
        count += step
