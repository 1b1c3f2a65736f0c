"""What the database's answers mean: lost lines, refused statements, and which of them pass."""

import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

from backup_manager.errors import DatabaseError

if TYPE_CHECKING:
    from backup_manager.database.source import Source

# MySQL's and MariaDB's error numbers, and TiDB's from 8000 up (its pkg/errno).
DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1370, 1698, 8121})
# Table, then database, that does not exist.
NO_TABLE = frozenset({1146, 1049})
# --read-only, innodb_read_only; TiDB's tidb_super_read_only; a read-only transaction.
READ_ONLY = frozenset({1290, 1836, 1792})
# Gone away, lost, shutdown, killed, idle too long: the outcome of the statement is unknown.
LOST = frozenset({0, 1053, 1927, 2006, 2013, 2014, 2055, 3169, 4031})
# Too many connections, a server that starts, network trouble on its side, deadlock and lock wait,
# a changed row (MariaDB), TiDB's write conflicts and its PD, TiKV and regions being away.
PASSING = LOST | {
    *(1040, 1042, 1158, 1159, 1160, 1161, 1203, 1226),
    *(1020, 1205, 1213),
    *(8002, 8022, 8028, 9001, 9002, 9003, 9004, 9005, 9007),
}
_INSECURE = 3159  # the server takes no connection without TLS
_NO_TLS = 2026  # the server cannot do TLS
_WRONG_LOGIN = frozenset({1045, 1698})


class AnswerError(DatabaseError):
    """What the database or the way to it said; PyMySQL's errors become one of these.

    ``errno`` is the server's or the client library's number, 0 where there is none; ``passing``
    tells whether trying again may help.
    """

    def __init__(self, what: str, *, why: str, fix: str = "", errno: int, passing: bool) -> None:
        super().__init__(what, why=why, fix=fix)
        self.errno = errno
        self.passing = passing


class ConnectError(AnswerError):
    """No connection, or the login refused; nothing was executed."""

    unknown_host = False


class LostConnectionError(AnswerError):
    """The line broke: whether the statement took effect is unknown."""


class StatementError(AnswerError):
    """The server refused the statement; it had no effect."""


def number(error: BaseException) -> int:
    """Return the error number of a PyMySQL exception; 0 where it has none."""
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


def words(error: BaseException) -> str:
    """Return what the server or the system said, in one line."""
    parts = [str(part) for part in error.args if part] or [type(error).__name__]
    if len(parts) > 1 and parts[0].isdecimal():
        return f"{parts[1]} (error {parts[0]})"
    return " ".join(parts)


def connect_error(source: "Source", error: BaseException) -> ConnectError:
    """Say what a failed connection means: what can pass, and what ends the run at once."""
    errno = number(error) if not isinstance(error, OSError) else 0
    tls = _tls_problem(error)
    unknown = next((each for each in _chain(error) if isinstance(each, socket.gaierror)), None)
    if tls:
        made = _refused(source, *_tls_words(tls), errno=_NO_TLS)
    elif unknown:
        why = unknown.strerror or str(unknown)
        made = _refused(source, why, "check --host, and that its name resolves here", errno=0)
        made.unknown_host = made.passing = True
    elif (errno and errno in PASSING) or _is_network(error):
        made = _refused(source, words(error), "see that the server runs and can be reached", errno)
        made.passing = True
    else:
        made = _refused(source, words(error), _login_fix(errno), errno)
    return made


def _refused(source: "Source", why: str, fix: str, errno: int) -> ConnectError:
    what = f"cannot connect to the database {source.address} as {source.user!r}"
    return ConnectError(what, why=why, fix=fix, errno=errno, passing=False)


def _login_fix(errno: int) -> str:
    if errno in _WRONG_LOGIN:
        return "check --user and the password; an account that demands TLS needs --tls-ca too"
    if errno == _INSECURE:
        return "give --tls-ca: this server takes no connection without TLS"
    if errno == _NO_TLS:
        return "turn TLS on at the server, or leave out --tls-ca, --tls-cert and --tls-key"
    return "check that --host and --port are those of a TiDB, and that the account may log in"


def _tls_words(error: ssl.SSLError) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"the server's certificate is not trusted: {error.verify_message or error.reason}"
        return why, "give the CA that signed it with --tls-ca, and the --host that it names"
    why = f"TLS failed: {error.reason or error}"
    return why, "check --tls-ca, --tls-cert and --tls-key against what the server asks for"


def _tls_problem(error: BaseException) -> ssl.SSLError | None:
    # An end of the line in mid-handshake is a server that restarts, not a wrong certificate.
    gone = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    for each in _chain(error):
        if isinstance(each, ssl.SSLError) and not isinstance(each, gone):
            return each
    return None


def _is_network(error: BaseException) -> bool:
    # Bare from dialling, wrapped by PyMySQL (number 2003) from the TLS handshake.
    return any(isinstance(each, OSError) for each in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen:
        yield seen
        seen = seen.__cause__ or seen.__context__
