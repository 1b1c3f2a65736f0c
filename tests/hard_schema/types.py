"""Every type of column with the ends of what it holds, and text that is hard to quote."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from .common import HARD, LATIN, Execute, table_name

_ALL_BYTES = bytes(range(256))
_MANY = ",".join(f"'m{number}'" for number in range(300))  # more than a byte counts
_SET = [f"s{number}" for number in range(64)]

_NUMBERS: dict[str, Sequence[object]] = {
    "TINYINT": (-128, 127, 0),
    "TINYINT UNSIGNED": (0, 255),
    "SMALLINT": (-32768, 32767, -1),
    "SMALLINT UNSIGNED": (0, 65535),
    "MEDIUMINT": (-8388608, 8388607, 0),
    "MEDIUMINT UNSIGNED": (0, 16777215),
    "INT": (-2147483648, 2147483647, 0),
    "INT UNSIGNED": (0, 4294967295),
    "INT(7) ZEROFILL": (0, 42, 4294967295),
    "BIGINT": (-9223372036854775808, 9223372036854775807, 0),
    "BIGINT UNSIGNED": (0, 18446744073709551615, 9223372036854775808),
    "BOOLEAN": (False, True),
    "DECIMAL(65,30)": ("-" + "9" * 35 + "." + "9" * 30, "0." + "0" * 29 + "1", "9" * 35),
    "DECIMAL(65,0)": ("-" + "9" * 65, "9" * 65, 0),
    "DECIMAL(30,30)": ("0." + "9" * 30, "-0." + "0" * 29 + "1"),
    "DECIMAL(5,2) UNSIGNED": ("999.99", "0.01"),
    "DOUBLE": (
        -1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, 0.1, 9007199254740993.0, 1e22,
    ),
    "DOUBLE(12,4)": (-1234567.8912, 0.0001),
    "BIT(1)": (b"\0", b"\1"),
    "BIT(11)": (b"\0\0", b"\7\xff", b"\1\x27"),
    "BIT(64)": (b"\0" * 8, b"\xff" * 8, b"\x80" + b"\0" * 7, b"\\\"'\n\r\x1a\0;"),
}  # fmt: skip
_FLOATS: dict[str, Sequence[object]] = {
    "FLOAT": (-3.40282346e38, 1.17549435e-38, 1.4e-45, 0.1, 16777217),
    "FLOAT(7,3)": (-9999.999, 0.001),
}
_TEXTS: dict[str, Sequence[object]] = {
    "CHAR(10)": ("", "trailing", " in front"),
    "CHAR(255)": ("\N{PILE OF POO}" * 255,),
    "VARCHAR(100)": ("", 'it\'s "quoted" \\ `back` %s', "blank behind "),
    "TINYTEXT": ("", "two\nlines", "x" * 255),
    "TEXT": ("carriage\r\nreturn", "nul\0and\x1asub", "'" * 65535),
    "MEDIUMTEXT": ("", "\r\n\0\x1a'\"\\" * 3, "\\" * 65536),
    "LONGTEXT": ("", "'); DROP TABLE x; -- \n/* */", "\N{SNOWMAN}" * 70000),
    "ENUM('a','it''s','x,y','ü','','Ω')": ("it's", "ü", "", "Ω"),
    f"ENUM({_MANY})": ("m0", "m255", "m256", "m299"),
    "SET('a','b c','d''e')": ("", "a,b c,d'e"),
    f"SET({','.join(map(repr, _SET))})": ("s63", ",".join(_SET)),
    "JSON": (
        '{"a": [1, "\\u00e9\\n\\"", null]}',
        '"back\\\\slash"',
        '{"": {}, "big": 18446744073709551615, "small": -9223372036854775808, "é": []}',
        "null",
    ),
}
_BYTES: dict[str, Sequence[object]] = {
    "BINARY(4)": (b"", b"\0\1\0\xff", b"    "),
    "BINARY(255)": (_ALL_BYTES[:255], _ALL_BYTES[1:]),
    "VARBINARY(300)": (b"", _ALL_BYTES),
    "TINYBLOB": (b"", b"\r\n\0'\\", _ALL_BYTES[1:]),
    "BLOB": (b"", _ALL_BYTES * 20, _ALL_BYTES[::-1] * 255 + b"\0" * 255),
    "MEDIUMBLOB": (b"", _ALL_BYTES * 256),
    "LONGBLOB": (b"", b"\\'" * 1000, _ALL_BYTES * 257),
}
_TIMES: dict[str, Sequence[object]] = {
    "DATE": ("1000-01-01", "9999-12-31", "2024-02-29"),
    "TIME": ("-838:59:59", "838:59:59", "00:00:00"),
    "TIME(6)": ("-00:00:00.000001", "838:59:59.000000", "-838:59:59.000000"),
    "DATETIME": ("1000-01-01 00:00:00", "9999-12-31 23:59:59"),
    "DATETIME(3)": ("1999-12-31 23:59:59.999", "2000-01-01 00:00:00.001"),
    "DATETIME(6)": ("1970-01-01 00:00:00.000001", "9999-12-31 23:59:59.999999"),
    "TIMESTAMP(3) NULL": ("2026-10-25 12:30:00.123", "2026-03-28 02:59:59.999"),
    "YEAR": (1901, 2155, 0, 1970),
}
_SHAPES: dict[str, Sequence[str]] = {
    "GEOMETRY": ("POINT(1 -2.5)", "POLYGON((0 0,0 5,5 5,5 0,0 0),(1 1,1 2,2 2,1 1))"),
    "POINT": ("POINT(0 0)", "POINT(-1.7976931348623157e308 5e-324)"),
    "LINESTRING": ("LINESTRING(0 0,1 1,2 0.1)",),
    "POLYGON": ("POLYGON((0 0,0 5,5 5,5 0,0 0))",),
    "MULTIPOINT": ("MULTIPOINT(0 0,1 1)",),
    "MULTILINESTRING": ("MULTILINESTRING((0 0,1 1),(2 2,3 3))",),
    "MULTIPOLYGON": ("MULTIPOLYGON(((0 0,0 5,5 5,0 0)),((9 9,9 8,8 8,9 9)))",),
    "GEOMETRYCOLLECTION": ("GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))",),
}
_STRINGS = [
    None, "", "NULL", "\\N", "'", '"', "\\", "\\'", "a\0b", "\x1a", "\n", "\r", "\r\n", "\t",
    "/*! x */; -- #", "\N{SNOWMAN} é ß \N{PILE OF POO} \N{LINE SEPARATOR}", "),\n(",
    " leading and trailing ", "%s %d {}",
]  # fmt: skip
_COLLATIONS = ("utf8mb4_bin", "utf8mb4_general_ci", "utf8mb4_unicode_ci")


def create(execute: Execute, *, tidb: bool) -> None:
    for name, kinds in (
        ("numbers", _NUMBERS),
        ("floats", _FLOATS),
        ("texts", _TEXTS),
        ("bytes", _BYTES),
        ("times", _TIMES),
    ):
        _of_types(execute, name, kinds)
    _moments(execute)
    _strings(execute)
    _charsets(execute, tidb=tidb)
    if not tidb:
        _of_types(execute, "shapes", _SHAPES, mark="ST_GeomFromText(%s, 4326)")


def _of_types(
    execute: Execute, name: str, kinds: Mapping[str, Sequence[object]], mark: str = "%s"
) -> None:
    """A table with a column of each type; where a type has no more values, and last, are NULLs."""
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(kinds))
    table = table_name(name)
    execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, {columns})")
    marks = ", ".join([mark] * len(kinds))
    rows = [*zip_longest(*kinds.values()), (None,) * len(kinds)]
    for number, values in enumerate(rows):
        execute(f"INSERT INTO {table} VALUES ({number}, {marks})", values)


def _moments(execute: Execute) -> None:
    """The ends of a TIMESTAMP, whatever the server's time zone; and dates that are none."""
    name = table_name("moments")
    execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, t TIMESTAMP NULL, f TIMESTAMP(6) NULL)")
    execute(
        f"INSERT INTO {name} VALUES (1, FROM_UNIXTIME(1), FROM_UNIXTIME(1.000001)),"
        " (2, FROM_UNIXTIME(2147483647), FROM_UNIXTIME(2147483647.999999)), (3, NULL, NULL)"
    )
    name = table_name("zero_dates")
    execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, d DATE, t DATETIME(6), s TIMESTAMP NULL)")
    # IGNORE: strict servers refuse them.
    zero = ", ".join(["'0000-00-00'"] * 3)
    execute(f"INSERT IGNORE INTO {name} VALUES (1, {zero}), (2, '2026-00-00', '2026-02-00', NULL)")


def _strings(execute: Execute) -> None:
    name = table_name("strings")
    execute(
        f"CREATE TABLE {name}"
        " (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(100), t TEXT, l LONGTEXT)"
    )
    rows = [(text, text, text) for text in _STRINGS]
    # All of the basic plane, and some of each other one; surrogates are no characters.
    codes = [code for code in range(0x10000) if not 0xD800 <= code < 0xE000]
    codes += range(0x10000, 0x110000, 997)
    for start in range(0, len(codes), 4096):
        text = "".join(map(chr, codes[start : start + 4096]))
        rows.append((None, text, text * 3))
    marks = ", ".join(["(%s, %s, %s)"] * len(rows))
    values = [value for row in rows for value in row]
    execute(f"INSERT INTO {name} (v, t, l) VALUES {marks}", values)


def _charsets(execute: Execute, *, tidb: bool) -> None:
    name = table_name("charsets")
    execute(
        f"CREATE TABLE {name} (id INT PRIMARY KEY, l VARCHAR(50) CHARACTER SET latin1,"
        " a VARCHAR(50) CHARACTER SET ascii, b VARCHAR(50) CHARACTER SET binary)"
    )
    execute(f"INSERT INTO {name} VALUES (1, 'é ß ÿ', 'plain', x'ff00'), (2, NULL, '', '')")
    columns = ", ".join(
        f"c{number} VARCHAR(20) COLLATE {each}" for number, each in enumerate(_COLLATIONS)
    )
    name = table_name("collations")
    execute(
        f"CREATE TABLE {name} (id INT PRIMARY KEY, {columns}, k VARCHAR(9), UNIQUE (k))"
        " COLLATE utf8mb4_general_ci"
    )
    values = ", ".join(["'Straße ü'"] * len(_COLLATIONS))
    execute(f"INSERT INTO {name} VALUES (1, {values}, 'a'), (2, {values}, 'ä b')")
    # The schema's character set, and one against it.
    name = table_name("inherited", LATIN)
    execute(
        f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(50) DEFAULT 'plain',"
        " u VARCHAR(50) CHARACTER SET utf8mb4 DEFAULT 'é \N{SNOWMAN}') COMMENT 'ü \N{SNOWMAN}'"
    )
    execute(f"INSERT INTO {name} VALUES (1, 'Grüße', 'Grüße \N{PILE OF POO}')")
    name = table_name("unlike", LATIN)
    execute(f"CREATE TABLE {name} (v VARCHAR(50)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    execute(f"INSERT INTO {name} VALUES ('\N{PILE OF POO}')")
    if not tidb:
        name = table_name("wide_characters", HARD)
        execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, u VARCHAR(50) CHARACTER SET ucs2)")
        execute(f"INSERT INTO {name} VALUES (1, 'é \\n 表'), (2, '')")
