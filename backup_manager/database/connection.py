"""Connections to the database, each call with a bound, each failure as an error of ours."""

import contextlib
import math
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, NoReturn, Self

import pymysql
from pymysql.connections import Connection

from backup_manager.database.failures import (
    LOST,
    PASSING,
    LostConnectionError,
    StatementError,
    connect_error,
    number,
    words,
)
from backup_manager.database.line import dial
from backup_manager.database.source import Source, tls_context
from backup_manager.signals import Stop

__all__ = ["OPERATION_SECONDS", "Database", "Source"]

# The bound of one connect or one statement: well below the 25 s in which a signal must end us.
OPERATION_SECONDS = 10.0
# A peer that does not speak the protocol trips PyMySQL's parsing in these ways; RuntimeError is
# its word for a login method that it has no library for.
_NONSENSE = (struct.error, ValueError, IndexError, KeyError, AssertionError, RuntimeError)
_FAILURES = (pymysql.err.MySQLError, OSError, *_NONSENSE)
# The login methods that send the password as it is.
_CLEAR_TEXT = ("mysql_clear_password", "dialog")


class _ClearTextRefused:
    """Go's driver does not hand the password in clear to whoever asks for it; nor do we."""

    def __init__(self, _connection: object) -> None:
        pass

    def authenticate(self, _packet: object) -> NoReturn:
        why = "the server asks for the password in clear text, and there is no TLS on the line"
        raise pymysql.err.OperationalError(2059, why)


class Database:
    """One server, over one connection that is made on first use and again after it was lost.

    A statement is never repeated here: after LostConnectionError the caller decides, and its next
    call connects anew. Every call ends within ``seconds``, sooner when the run was asked to end,
    and never after ``until`` (of ``time.monotonic()``). ``patience`` is how many seconds the run
    waits at most for a database that is away. For one thread at a time, but for `cut`.
    """

    def __init__(
        self,
        source: Source,
        *,
        stop: Stop,
        seconds: float = OPERATION_SECONDS,
        until: float | None = None,
        tls: ssl.SSLContext | None = None,
        patience: float = math.inf,
    ) -> None:
        self.source = source
        self.stop = stop
        self.patience = patience
        self._seconds = seconds
        self._until = until
        self._tls = tls or tls_context(source)
        self._connection: Connection[Any] | None = None
        # A second descriptor of the same socket: PyMySQL keeps the first to itself.
        self._line: socket.socket | None = None
        self._overdue = False
        self._identity: tuple[str, str] | None = None

    def fresh(self, *, until: float | None = None) -> "Database":
        """Return another connection to the same server, not yet made; close it when done."""
        made = Database(
            self.source,
            stop=self.stop,
            seconds=self._seconds,
            until=until,
            tls=self._tls,
            patience=self.patience,
        )
        made._identity = self._identity
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def query(
        self, sql: str, args: tuple[object, ...] = (), *, tries: int = 1
    ) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows.

        With more ``tries``, for what changes nothing, a lost connection is made anew. Raises
        ConnectError, LostConnectionError or StatementError, all DatabaseError.
        """
        for _ in range(tries - 1):
            with contextlib.suppress(LostConnectionError):
                return self._run(sql, args)[0]
        return self._run(sql, args)[0]

    def execute(self, sql: str, args: tuple[object, ...] = ()) -> int:
        """Run a statement and return the number of rows that it changed; raises as `query`."""
        return self._run(sql, args)[1]

    @property
    def version(self) -> str:
        """What VERSION() says, such as ``8.0.11-TiDB-v8.5.1``."""
        return self.identify()[0]

    @property
    def is_tidb(self) -> bool:
        return "tidb" in self.version.lower()

    @property
    def account(self) -> str:
        """The account that the login matched, as GRANT wants it: ``'user'@'host'``."""
        user, _, host = self.identify()[1].rpartition("@")
        return f"{_quoted(user)}@{_quoted(host)}"

    def identify(self) -> tuple[str, str]:
        """VERSION() and CURRENT_USER(), asked once; raises as `query`."""
        if self._identity is None:
            ((version, account),) = self.query("SELECT VERSION(), CURRENT_USER()", tries=2)
            self._identity = (str(version), str(account))
        return self._identity

    def close(self) -> None:
        """End the connection; nothing happens where there is none."""
        if self._connection:
            with contextlib.suppress(*_FAILURES), self._bounded():
                self._connection.close()
        self._drop()

    def cut(self) -> None:
        """Break the line at once: a call that is under way in another thread fails as lost."""
        line = self._line
        if line:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _run(self, sql: str, args: tuple[object, ...]) -> tuple[list[tuple[Any, ...]], int]:
        connection = self._connection or self._connect()
        try:
            with self._bounded(), connection.cursor() as cursor:
                changed = cursor.execute(sql, args or None)
                return list(cursor.fetchall()), changed
        except _FAILURES as error:
            errno = number(error)
            if errno in LOST or not isinstance(error, pymysql.err.MySQLError):
                self._drop()
                raise self._lost(error) from error
            what = f"the database {self.source.address} refused a statement"
            raise StatementError(
                what, why=words(error), errno=errno, passing=errno in PASSING
            ) from error
        except BaseException:
            # Half an answer may still be on the line: it must not be taken for the next one's.
            self._drop()
            raise

    def _lost(self, error: BaseException) -> LostConnectionError:
        why = words(error)
        if self._overdue:
            why = f"no answer within {self._seconds:g} s"
        return LostConnectionError(
            f"the connection to the database {self.source.address} was lost",
            why=why,
            fix="see that the server runs and can be reached",
            errno=number(error),
            passing=True,
        )

    def _connect(self) -> "Connection[Any]":
        try:
            line = dial(self.source.host, self.source.port, self._left())
        except OSError as error:
            raise connect_error(self.source, error) from error
        self._line = line.dup()
        try:
            connection = self._client()
            with self._bounded():
                connection.connect(line)
        except _FAILURES as error:
            self._drop()
            line.close()
            raise connect_error(self.source, error) from error
        self._connection = connection
        return connection

    def _client(self) -> "Connection[Any]":
        seconds = self._left()
        refused: dict[str, Callable[[Connection[Any]], Any]] = {}
        if not self._tls:
            refused = dict.fromkeys(_CLEAR_TEXT, _ClearTextRefused)
        return Connection(
            host=self.source.host,
            port=self.source.port,
            user=self.source.user,
            # PyMySQL would encode a string as Latin-1; Dumpling and TiDB mean UTF-8.
            password=self.source.password.encode("utf-8", "surrogateescape"),
            charset="utf8mb4",
            autocommit=True,
            # Too long a value must be an error, and a backslash the escape that PyMySQL sends.
            sql_mode="STRICT_TRANS_TABLES",
            connect_timeout=seconds,
            read_timeout=seconds,
            write_timeout=seconds,
            ssl=self._tls,
            ssl_disabled=self._tls is None,
            auth_plugin_map=refused,
            program_name="backup-manager",
            defer_connect=True,
        )

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        # The client's time-outs start anew with every packet, so a peer that dribbles would hold
        # us for ever: the whole call has a bound too.
        self._overdue = False
        timer = threading.Timer(self._left(), self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self._overdue = True
        self.cut()

    def _left(self) -> float:
        left = self.stop.seconds_left(self._seconds)
        if self._until is not None:
            left = min(left, self._until - time.monotonic())
        # The client takes no time-out of zero; this one is as good as over.
        return max(0.01, left)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        line, self._line = self._line, None
        if line:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        if connection and connection.open:
            with contextlib.suppress(*_FAILURES):
                connection.close()


def _quoted(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "''") + "'"
