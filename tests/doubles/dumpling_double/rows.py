"""Rows off the wire, many at a time: PyMySQL's own way takes a hundred times longer."""

import struct
from collections.abc import Iterator
from typing import Protocol, cast

import pymysql
from pymysql.connections import MySQLResult
from pymysql.constants import COMMAND, CR
from pymysql.cursors import Cursor

from .errors import DumpError, LostConnectionError
from .session import translated

_CHUNK = 1 << 18
_WHOLE_PACKET = 0xFFFFFF
_MORE_BYTES = {252: 2, 253: 3, 254: 8}

Row = list[bytes | None]


class _Reader(Protocol):
    def read1(self, size: int, /) -> bytes: ...

    def read(self, size: int, /) -> bytes: ...


def _start(connection: "pymysql.Connection[Cursor]", sql: str) -> _Reader:
    """Send the query and read as far as its first row."""
    try:
        connection._execute_command(COMMAND.COM_QUERY, sql)  # type: ignore[attr-defined]
        result = MySQLResult(connection)
        result.init_unbuffered_query()
    except (pymysql.err.MySQLError, OSError) as error:
        raise translated(error, sql) from None
    # Else its destructor would wait for rows that are read here.
    result.unbuffered_active = False
    return cast(_Reader, connection._rfile)  # type: ignore[attr-defined]


def _more(reader: _Reader) -> bytes:
    try:
        data = reader.read1(_CHUNK)
    except OSError:
        data = b""
    if not data:
        raise translated(pymysql.err.OperationalError(CR.CR_SERVER_LOST, "EOF"))
    return data


def _error(payload: bytes) -> DumpError:
    (code,) = struct.unpack_from("<H", payload, 1)
    message = payload[9:] if payload[3:4] == b"#" else payload[3:]
    if code in (1927, 1053, 1317):
        return LostConnectionError("invalid connection")
    return DumpError(f"Error {code}: {message.decode('utf-8', 'replace')}")


def single_column(connection: "pymysql.Connection[Cursor]", sql: str) -> Iterator[list[bytes]]:
    """The values of a query with one column that is never NULL, in batches."""
    reader = _start(connection, sql)
    buffer = b""
    from_bytes = int.from_bytes
    while True:
        batch: list[bytes] = []
        append = batch.append
        position, available = 0, len(buffer)
        # A packet: 3 bytes of length, a number, then a length-encoded string.
        while position + 5 <= available:
            size = from_bytes(buffer[position : position + 3], "little")
            end = position + 4 + size
            if end > available:
                break
            head = buffer[position + 4]
            if head < 251:
                append(buffer[position + 5 : end])
            elif head == 254 and size < 9:
                if batch:
                    yield batch
                return
            elif head in _MORE_BYTES and size < _WHOLE_PACKET:
                append(buffer[position + 5 + _MORE_BYTES[head] : end])
            elif head == 255:
                raise _error(buffer[position + 4 : end])
            else:
                raise DumpError("test double: a row does not fit into max_allowed_packet")
            position = end
        if batch:
            yield batch
        buffer = buffer[position:] + _more(reader)


def _packets(reader: _Reader) -> Iterator[bytes]:
    """Whole payloads; what exceeds a packet is put together again."""
    buffer, parts = bytearray(), list[bytes]()
    while True:
        while len(buffer) < 4:
            buffer += _more(reader)
        size = int.from_bytes(buffer[:3], "little")
        while len(buffer) < 4 + size:
            buffer += _more(reader)
        parts.append(bytes(buffer[4 : 4 + size]))
        del buffer[: 4 + size]
        if size < _WHOLE_PACKET:
            yield b"".join(parts)
            parts.clear()


def columns(connection: "pymysql.Connection[Cursor]", sql: str) -> Iterator[Row]:
    """The rows of any query, their values as bytes."""
    for payload in _packets(_start(connection, sql)):
        head = payload[0]
        if head == 254 and len(payload) < 9:
            return
        if head == 255:
            raise _error(payload)
        yield _values(payload)


def _values(payload: bytes) -> Row:
    values: Row = []
    position = 0
    while position < len(payload):
        head = payload[position]
        position += 1
        if head == 251:
            values.append(None)
            continue
        size = head
        if head > 251:
            width = _MORE_BYTES[head]
            size = int.from_bytes(payload[position : position + width], "little")
            position += width
        values.append(payload[position : position + size])
        position += size
    return values
