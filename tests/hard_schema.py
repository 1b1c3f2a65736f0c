"""Databases with everything that is hard to dump and to load back, in a few hundred kilobytes."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

import pymysql

from .servers.sql import quoted

HARD = "hard"
ODD = "odd db.100%`é`"
EMPTY = "empty_db"
SCHEMAS = (HARD, ODD, EMPTY)


class Execute(Protocol):
    """Runs one statement, as the servers' `execute` does."""

    def __call__(self, sql: str, args: Sequence[object] | None = None, /) -> Any: ...


# The name, and two values at the ends of what the type holds.
_TYPES: dict[str, tuple[object, object]] = {
    "TINYINT": (-128, 127),
    "TINYINT UNSIGNED": (0, 255),
    "SMALLINT": (-32768, 32767),
    "MEDIUMINT": (-8388608, 8388607),
    "INT": (-2147483648, 2147483647),
    "INT(7) ZEROFILL": (0, 42),
    "BIGINT": (-9223372036854775808, 9223372036854775807),
    "BIGINT UNSIGNED": (0, 18446744073709551615),
    "BOOLEAN": (False, True),
    "DECIMAL(65,30)": ("-12345678901234567890123456789012345." + "9" * 30, "0." + "0" * 29 + "1"),
    "FLOAT": (-3.40282346e38, 0.1),
    "DOUBLE": (-1.7976931348623157e308, 5e-324),
    "DOUBLE(12,4)": (-1234567.8912, 0.0001),
    "BIT(1)": (b"\0", b"\1"),
    "BIT(11)": (b"\0\0", b"\7\xff"),
    "BIT(64)": (b"\0" * 8, b"\xff" * 8),
    "CHAR(10)": ("", "trailing"),
    "VARCHAR(100)": ("", 'it\'s "quoted" \\ `back` %s'),
    "TINYTEXT": ("", "two\nlines"),
    "TEXT": ("carriage\r\nreturn", "nul\0and\x1asub"),
    "MEDIUMTEXT": ("", "\r\n\0\x1a'\"\\" * 3),
    "LONGTEXT": ("", "'); DROP TABLE x; -- \n/* */"),
    "BINARY(4)": (b"", b"\0\1\0\xff"),
    "VARBINARY(300)": (b"", bytes(range(256))),
    "TINYBLOB": (b"", b"\r\n\0'\\"),
    "BLOB": (b"", bytes(range(256)) * 20),
    "MEDIUMBLOB": (b"", bytes(range(256)) * 200),
    "LONGBLOB": (b"", b"\\'" * 1000),
    "DATE": ("1000-01-01", "9999-12-31"),
    "TIME": ("-838:59:59", "838:59:59"),
    "TIME(6)": ("-00:00:00.000001", "23:59:59.999999"),
    "DATETIME": ("1000-01-01 00:00:00", "9999-12-31 23:59:59"),
    "DATETIME(6)": ("1970-01-01 00:00:00.000001", "2038-01-19 03:14:08.999999"),
    "TIMESTAMP NULL": ("1970-01-02 00:00:01", "2038-01-18 03:14:07"),
    "TIMESTAMP(3) NULL": ("2026-10-25 01:30:00.123", "2026-03-28 02:59:59.999"),
    "YEAR": (1901, 2155),
    "ENUM('a','it''s','x,y','ü')": ("it's", "ü"),
    "SET('a','b c','d''e')": ("", "a,b c,d'e"),
    "JSON": ('{"a": [1, "\\u00e9\\n\\"", null]}', '"back\\\\slash"'),
}
_STRINGS = [
    None,
    "",
    "NULL",
    "\\N",
    "'",
    '"',
    "\\",
    "\\'",
    "a\0b",
    "\x1a",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "/*! x */; -- #",
    "\N{SNOWMAN} é ß \N{PILE OF POO} \N{LINE SEPARATOR}",
    "),\n(",
    " leading and trailing ",
    "%s %d {}",
]
_ODD_TABLE = 'we/ird %name*".\\x:<>?|'
_ODD_COLUMN = "co`l.u mn %s'\""


def create(execute: Execute, *, hidden_column: bool = True) -> None:
    """Make the databases anew."""
    for schema in SCHEMAS:
        execute(f"DROP DATABASE IF EXISTS {quoted(schema)}")
        execute(f"CREATE DATABASE {quoted(schema)} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    _types(execute)
    _strings(execute)
    _keys(execute)
    _columns(execute)
    _names(execute)
    _views(execute)
    if not _is_tidb(execute):
        _mariadb_only(execute)
        if hidden_column:  # Dumpling v5.3 crashes on it
            _hidden_column(execute)


def _is_tidb(execute: Execute) -> bool:
    with suppress(pymysql.err.MySQLError):
        execute("SELECT tidb_version()")
        return True
    return False


def _table(name: str, schema: str = HARD) -> str:
    return f"{quoted(schema)}.{quoted(name)}"


def _types(execute: Execute) -> None:
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(_TYPES))
    marks = ", ".join(["%s"] * len(_TYPES))
    execute(f"CREATE TABLE {_table('types')} (id INT PRIMARY KEY, {columns})")
    for row, values in enumerate(zip(*_TYPES.values(), strict=True)):
        execute(f"INSERT INTO {_table('types')} VALUES ({row}, {marks})", values)
    execute(f"INSERT INTO {_table('types')} (id) VALUES (9)")


def _strings(execute: Execute) -> None:
    name = _table("strings")
    execute(
        f"CREATE TABLE {name}"
        " (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(100), t TEXT, l LONGTEXT)"
    )
    for text in _STRINGS:
        execute(f"INSERT INTO {name} (v, t, l) VALUES (%s, %s, %s)", (text, text, text))
    # All of the basic plane, and some of each other one; surrogates are no characters.
    codes = [code for code in range(0x10000) if not 0xD800 <= code < 0xE000]
    codes += range(0x10000, 0x110000, 997)
    for start in range(0, len(codes), 4096):
        text = "".join(map(chr, codes[start : start + 4096]))
        execute(f"INSERT INTO {name} (t, l) VALUES (%s, %s)", (text, text * 3))
    name = _table("charsets")
    execute(
        f"CREATE TABLE {name} (id INT PRIMARY KEY, l VARCHAR(50) CHARACTER SET latin1,"
        " a VARCHAR(50) CHARACTER SET ascii, b VARCHAR(50) CHARACTER SET binary)"
    )
    execute(f"INSERT INTO {name} VALUES (1, 'é ß ÿ', 'plain', x'ff00'), (2, NULL, '', '')")


def _keys(execute: Execute) -> None:
    execute(f"CREATE TABLE {_table('empty')} (id INT PRIMARY KEY, v TEXT)")
    execute(f"CREATE TABLE {_table('no_key')} (a INT, b VARCHAR(10))")
    execute(f"INSERT INTO {_table('no_key')} VALUES (1,'x'),(1,'x'),(NULL,NULL),(2,'')")
    execute(f"CREATE TABLE {_table('text_key')} (k VARCHAR(20) PRIMARY KEY, v INT)")
    execute(f"INSERT INTO {_table('text_key')} VALUES ('b''\\\\',1),('a\\n',2),('',3)")
    name = _table("big_key")
    execute(f"CREATE TABLE {name} (k BIGINT UNSIGNED PRIMARY KEY, v INT)")
    execute(f"INSERT INTO {name} VALUES (1,1),(9223372036854775808,2),(18446744073709551615,3)")
    name = _table("pair_key")
    execute(f"CREATE TABLE {name} (a VARCHAR(5), b INT, v INT, PRIMARY KEY (a, b))")
    execute(f"INSERT INTO {name} VALUES ('x',-1,1),('x',2,2),('y',-1,3)")
    name = _table("unique_key")
    execute(f"CREATE TABLE {name} (u INT UNIQUE, v VARCHAR(5))")
    execute(f"INSERT INTO {name} VALUES (NULL,'n1'),(NULL,'n2'),(-5,'a'),(7,'b'),(900,'c')")
    # Enough rows for chunks, with a gap between them that leaves chunks empty.
    name = _table("chunks")
    execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(200))")
    rows = [(number if number < 1000 else number + 3000) for number in range(2000)]
    values = ",".join(f"({number},'{'v' * 100}{number}')" for number in rows)
    execute(f"INSERT INTO {name} VALUES {values}")


def _columns(execute: Execute) -> None:
    name = _table("generated")
    execute(
        f"CREATE TABLE {name} (id INT PRIMARY KEY, a INT, v INT AS (a + 1) VIRTUAL,"
        " s VARCHAR(20) AS (CONCAT('n', a)) STORED, z INT)"
    )
    execute(f"INSERT INTO {name} (id, a, z) VALUES (1, 10, 100), (2, NULL, NULL)")


def _names(execute: Execute) -> None:
    column = quoted(_ODD_COLUMN)
    for name in (_ODD_TABLE, "a b:c", "t-schema", "表 é", "back`quote", "select"):
        for schema in (HARD, ODD):
            table = _table(name, schema)
            execute(f"CREATE TABLE {table} ({column} INT PRIMARY KEY, v TEXT)")
            execute(f"INSERT INTO {table} VALUES (1, 'one'), (2, 'two')")


def _views(execute: Execute) -> None:
    execute(f"CREATE VIEW {_table('a_view')} AS SELECT id, v FROM {_table('chunks')}")
    table = _table(_ODD_TABLE, ODD)
    execute(f"CREATE VIEW {_table('v %`w', ODD)} AS SELECT * FROM {table}")


def _mariadb_only(execute: Execute) -> None:
    name = _table("shapes")
    execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, g GEOMETRY, p POINT)")
    execute(
        f"INSERT INTO {name} VALUES (1, POINT(1, -2.5), POINT(0, 0)), (2, NULL, NULL),"
        " (3, ST_GeomFromText('POLYGON((0 0,0 5,5 5,5 0,0 0))', 4326), NULL)"
    )
    name = _table("wide_characters")
    execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, u VARCHAR(50) CHARACTER SET ucs2)")
    execute(f"INSERT INTO {name} VALUES (1, 'é \\n 表'), (2, '')")


def _hidden_column(execute: Execute) -> None:
    name = _table("hidden_column")
    execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, h INT INVISIBLE DEFAULT 5, v INT)")
    execute(f"INSERT INTO {name} (id, h, v) VALUES (1, 6, 7), (2, 5, NULL)")
