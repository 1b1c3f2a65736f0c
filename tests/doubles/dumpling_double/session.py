"""Connections to the database, and its errors in the words of the Go driver."""

import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

import pymysql
from pymysql.constants import CR
from pymysql.cursors import Cursor

from .errors import DumpError, LostConnectionError
from .log import Log, complain

_LOST = {CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 1927, 1053}
_UNKNOWN_VARIABLE = 1193


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@dataclass
class Account:
    """Where and as whom to connect, and the session variables of every connection."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    ca: str = ""
    cert: str = ""
    key: str = ""
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The DSN cuts a user's name at its first colon (facts).
        user, colon, rest = self.user.partition(":")
        if colon:
            self.user, self.password = user, f"{rest}:{self.password}"

    def tls(self) -> ssl.SSLContext | None:
        if not (self.ca or self.cert or self.key):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if not self.ca:
                # As TiDB's helper has it since v6: without a CA nothing is checked.
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.cert or self.key:
                context.load_cert_chain(self.cert, self.key or None)
        except (OSError, ssl.SSLError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            raise DumpError(f"could not load TLS files: {reason}") from None
        return context


def translated(error: Exception, sql: str = "") -> DumpError:
    """An error of PyMySQL as Dumpling words it."""
    prefix = f"sql: {sql}: " if sql else ""
    code = error.args[0] if error.args else 0
    if isinstance(error, pymysql.err.MySQLError) and code in _LOST:
        stamp = time.strftime("%Y/%m/%d %H:%M:%S")
        complain(f"[mysql] {stamp} packets.go:37: unexpected EOF")
        return LostConnectionError(f"{prefix}invalid connection")
    message = error.args[1] if len(error.args) > 1 else str(error)
    return DumpError(f"{prefix}Error {code}: {message}")


def _unreachable(account: Account, error: pymysql.err.OperationalError) -> str:
    """What Go's dialler says."""
    cause = getattr(error, "original_exception", None)
    if isinstance(cause, socket.gaierror):
        return f"dial tcp: lookup {account.host}: no such host"
    address = f"[{account.host}]" if ":" in account.host else account.host
    if isinstance(cause, TimeoutError):
        return f"dial tcp {address}:{account.port}: i/o timeout"
    if isinstance(cause, ssl.SSLError):
        return f"tls: {cause.reason or cause}"
    reason = getattr(cause, "strerror", None) or str(error.args[-1])
    return f"dial tcp {address}:{account.port}: connect: {reason.lower()}"


class Session:
    """One connection."""

    def __init__(self, account: Account, sql: str = "") -> None:
        prefix = f"sql: {sql}: " if sql else ""
        try:
            self.connection: pymysql.Connection[Cursor] = pymysql.connect(
                host=account.host,
                port=account.port,
                user=account.user,
                password=account.password.encode("utf-8", "surrogateescape"),
                charset="utf8mb4",
                autocommit=True,
                connect_timeout=30,
                read_timeout=900,
                ssl=account.tls(),
                ssl_disabled=account.tls() is None,
            )
        except pymysql.err.OperationalError as error:
            if error.args[0] == CR.CR_CONN_HOST_ERROR:
                raise DumpError(prefix + _unreachable(account, error)) from None
            raise translated(error, sql) from None
        except (OSError, RuntimeError) as error:
            raise DumpError(f"{prefix}{error}") from None
        for name, value in account.variables.items():
            self.query(f"SET SESSION {name} = {value}")

    def query(self, sql: str, *, annotate: bool = True) -> list[tuple[Any, ...]]:
        """Run a statement; all its rows."""
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        except (pymysql.err.MySQLError, OSError) as error:
            raise translated(error, sql if annotate else "") from None

    def named(self, sql: str) -> list[dict[str, Any]]:
        """Run a statement; its rows by upper-case column names."""
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(sql)
                names = [column[0].upper() for column in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except (pymysql.err.MySQLError, OSError) as error:
            raise translated(error, sql) from None

    def begin(self, *, repeatable_read: bool) -> None:
        """Open the transaction in which everything is read."""
        if repeatable_read:
            self.query("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        self.query("START TRANSACTION /*!40108 WITH CONSISTENT SNAPSHOT */")

    def close(self) -> None:
        self.connection.close()


def usable_variables(session: Session, wanted: dict[str, str], log: Log) -> dict[str, str]:
    """Try each variable; those that the server does not know are left out (sql.go)."""
    usable = {}
    for name, value in wanted.items():
        text = value if _is_number(value) else literal(value)
        sql = f"SET SESSION {name} = {text}"
        try:
            with session.connection.cursor() as cursor:
                cursor.execute(sql)
        except pymysql.err.MySQLError as error:
            if error.args[0] != _UNKNOWN_VARIABLE:
                raise translated(error) from None
            fields = {"variable": name, "value": value}
            log.write("info", "sql.go:829", "session variable is not supported by db", fields)
            continue
        usable[name] = text
    return usable


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
