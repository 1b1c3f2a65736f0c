"""Rows as text: the server does nearly all of it, for the sake of speed.

One SELECT of CONCAT(...) yields whole rows. Columns that can be long come as they are and are
written here, since CONCAT's result is bounded by max_allowed_packet; and so do floating-point
numbers, of which a TiDB's CONCAT makes hundreds of digits that it does not read back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import pymysql
from pymysql.cursors import Cursor

from . import rows
from .session import literal

_NUMBERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double"}
_REALS = {"float", "double"}
_SHORT_BYTES = {"binary", "varbinary", "tinyblob", "blob"}
_LONG_BYTES = {"mediumblob", "longblob"}
_SHAPES = {
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
}
_LONG_TEXTS = {"mediumtext", "longtext", "json"}
# More of these and the row could outgrow the packet.
_MOST_TEXTS = 32


@dataclass(frozen=True)
class Column:
    """A column as information_schema describes it."""

    name: str
    type: str
    width: int
    has_charset: bool
    generated: bool

    @property
    def quoted(self) -> str:
        return "`" + self.name.replace("`", "``") + "`"


@dataclass(frozen=True)
class Style:
    """How values are written; without CSV, as SQL."""

    backslash: bool = True
    csv: bool = False
    null: str = "NULL"
    separator: str = ","
    delimiter: str = '"'


def _plain(column: Column) -> str:
    """The column's bytes as stored: the file is read back under SET NAMES binary."""
    number = _number(column)
    if number:
        return number
    if column.type == "json":
        return f"CAST({column.quoted} AS CHAR)"
    return f"CONVERT({column.quoted} USING binary)" if column.has_charset else column.quoted


def _number(column: Column) -> str | None:
    if column.type in _NUMBERS:
        return column.quoted
    if column.type == "float":
        # As text a float keeps six digits only; as a double all.
        return f"{column.quoted}+0e0"
    return None


def _sql_expression(column: Column, style: Style) -> str:
    number = _number(column)
    if number:
        return f"IFNULL({number},'NULL')"
    if column.type == "bit":
        digits = f"LPAD(HEX({column.quoted}+0),{(column.width + 7) // 8 * 2},'0')"
        return f"IFNULL(CONCAT('x''',{digits},''''),'NULL')"
    if column.type in _SHORT_BYTES:
        return f"IFNULL(CONCAT('x''',HEX({column.quoted}),''''),'NULL')"
    if style.backslash:
        return f"QUOTE({_plain(column)})"
    doubled = f"REPLACE({_plain(column)},'''','''''')"
    return f"IFNULL(CONCAT('''',{doubled},''''),'NULL')"


def _csv_expression(column: Column, style: Style) -> str:
    null = literal(style.null)
    number = _number(column)
    if number:
        return f"IFNULL({number},{null})"
    text = _plain(column)
    if column.type == "bit":
        digits = (column.width + 7) // 8 * 2
        text = f"UNHEX(LPAD(HEX({column.quoted}+0),{digits},'0'))"
    if style.backslash:
        mark = style.delimiter or style.separator
        for raw, escape in (("\\", "\\\\"), ("\0", "\\0"), ("\r", "\\r"), ("\n", "\\n")):
            text = f"REPLACE({text},x'{raw.encode().hex()}',x'{escape.encode().hex()}')"
        text = f"REPLACE({text},{literal(mark[:1])},{literal(chr(92) + mark[:1])})"
    elif style.delimiter:
        text = f"REPLACE({text},{literal(style.delimiter)},{literal(style.delimiter * 2)})"
    quote = literal(style.delimiter)
    return f"IFNULL(CONCAT({quote},{text},{quote}),{null})"


def _is_long(column: Column, texts: int) -> bool:
    if column.type in _LONG_BYTES | _LONG_TEXTS | _SHAPES | _REALS:
        return True
    return texts > _MOST_TEXTS and column.type in {"text", "blob"}


def _escaped(value: bytes, style: Style) -> bytes:
    """As QUOTE() does."""
    if style.backslash:
        for raw, escape in ((b"\\", b"\\\\"), (b"\0", b"\\0"), (b"\x1a", b"\\Z")):
            value = value.replace(raw, escape)
        return b"'" + value.replace(b"'", b"\\'") + b"'"
    return b"'" + value.replace(b"'", b"''") + b"'"


class Format:
    """Turns a table's rows into `(…)`, or into lines of CSV."""

    def __init__(self, all_columns: list[Column], style: Style) -> None:
        self.columns = [column for column in all_columns if not column.generated]
        self._style = style
        texts = sum(column.type in {"text", "blob"} for column in self.columns)
        # Long columns of CSV are left to the server as well: nobody dumps those here.
        parts = groupby(self.columns, lambda c: not style.csv and _is_long(c, texts))
        self._parts = [(is_long, list(group)) for is_long, group in parts]
        self.has_long = any(is_long for is_long, _ in self._parts)

    def fields(self) -> str:
        """What to SELECT."""
        style = self._style
        if not self.columns:
            return "''" if style.csv else "'()'"
        separator = literal(style.separator if style.csv else ",")
        fields = []
        for is_long, group in self._parts:
            if is_long:
                fields += [_plain(column) for column in group]
                continue
            write = _csv_expression if style.csv else _sql_expression
            texts = f",{separator},".join(write(column, style) for column in group)
            if style.csv or self.has_long:
                fields.append(f"CONCAT('',{texts})")
            else:
                fields.append(f"CONCAT('(',{texts},')')")
        return ",".join(fields)

    def read(self, connection: "pymysql.Connection[Cursor]", sql: str) -> Iterator[list[bytes]]:
        """The rows of `sql`, which selects `fields`, in batches."""
        if not self.has_long:
            yield from rows.single_column(connection, sql)
            return
        # What several columns' text came from is written already.
        types = [
            column.type if is_long else "int"
            for is_long, group in self._parts
            for column in (group if is_long else group[:1])
        ]
        for values in rows.columns(connection, sql):
            texts = [self._written(*each) for each in zip(values, types, strict=True)]
            yield [b"(" + b",".join(texts) + b")"]

    def _written(self, value: bytes | None, kind: str) -> bytes:
        if value is None:
            return b"NULL"
        if kind in _NUMBERS | _REALS:
            return value
        if kind in _LONG_TEXTS or kind == "text":
            return _escaped(value, self._style)
        return b"x'" + value.hex().encode() + b"'"

    def joined(self, batch: list[bytes]) -> bytes:
        """Rows of one statement.

        QUOTE() leaves line ends alone, which Dumpling escapes; and it leaves no NUL byte, so
        that one can hold the places where rows meet.
        """
        if not self._style.backslash:
            return b",\n".join(batch)
        text = b",\0".join(batch)
        return text.replace(b"\n", b"\\n").replace(b"\r", b"\\r").replace(b"\0", b"\n")
