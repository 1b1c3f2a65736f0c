"""The demo's database: three schemas, some 300 MB, made by the server itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.servers import Database
from tests.servers.sql import quoted

SHOP, MEDIA, ODD = "demo_shop", "demo_media", "demo odd.100%`é`"
SCHEMAS = (SHOP, MEDIA, ODD)
VIEW = "revenue"
_ODD_TABLE = 'we/ird %name*".\\x:<>?| 表'
_TEXTS = (
    "",
    'it\'s "quoted" \\ `back`',
    "two\r\nlines, a tab\t and NUL \0",
    "'); DROP TABLE x; -- /* */",
    "é ß Ω 表 \N{SNOWMAN} \N{PILE OF POO} e\N{COMBINING ACUTE ACCENT} \N{LINE SEPARATOR}",
    "NULL",
)


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


def drop(server: Database) -> None:
    for schema in SCHEMAS:
        server.execute(f"DROP DATABASE IF EXISTS {quoted(schema)}")


def create(server: Database) -> None:
    """Make the three schemas anew."""
    drop(server)
    with server.connect() as connection, connection.cursor() as cursor:
        for sql, arguments in _statements():
            cursor.execute(sql, arguments)


def _statements() -> Iterator[tuple[str, Sequence[object] | None]]:
    for schema in SCHEMAS:
        yield f"CREATE DATABASE {quoted(schema)} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", None
    for table in _GROWN:
        yield from _grow(table)
    key = f"CONSTRAINT payer FOREIGN KEY (customer) REFERENCES {SHOP}.customers (id)"
    yield f"CREATE TABLE {SHOP}.invoices (id INT PRIMARY KEY, customer INT NOT NULL, {key})", None
    yield f"INSERT INTO {SHOP}.invoices SELECT id, id FROM {SHOP}.customers WHERE id <= 1000", None
    yield f"CREATE TABLE {SHOP}.`empty one` (id INT PRIMARY KEY, at TIMESTAMP NULL)", None
    sums = f"SELECT kind, COUNT(*) AS pictures FROM {MEDIA}.pictures GROUP BY kind"
    yield f"CREATE VIEW {SHOP}.{VIEW} AS {sums}", None
    name = f"{quoted(ODD)}.{quoted(_ODD_TABLE)}"
    yield f"CREATE TABLE {name} (id INT PRIMARY KEY, `sel``ect` TEXT, raw VARBINARY(300))", None
    for number, text in enumerate(_TEXTS):
        # PyMySQL takes %s, so a % of the name is doubled.
        insert = f"INSERT INTO {name.replace('%', '%%')} VALUES (%s, %s, %s)"
        yield insert, (number, text, bytes(range(256)))


def _grow(table: _Grown) -> Iterator[tuple[str, None]]:
    """Double the table until it is full: no server needs more than INSERT and SELECT for it."""
    name = f"{table.schema}.{table.name}"
    yield f"CREATE TABLE {name} ({table.columns})", None
    yield f"INSERT INTO {name} SELECT {table.values} FROM (SELECT 1 AS n) AS numbers", None
    count = 1
    while count < table.rows:
        step = min(count, table.rows - count, 1 << 17)
        numbers = f"SELECT id + {count} AS n FROM {name} WHERE id <= {step}"
        yield f"INSERT INTO {name} SELECT {table.values} FROM ({numbers}) AS numbers", None
        count += step
