"""The first connection: what is waited for, what ends at once, and what can be no database."""

import io
import socket
import threading
from dataclasses import replace

import pytest

from backup_manager.database import waiting
from backup_manager.database.connection import Database, Source
from backup_manager.database.waiting import wait_for_database
from backup_manager.errors import DatabaseError, ExitCode, InterruptedBySignalError
from backup_manager.report import Report
from backup_manager.signals import Stop
from tests.database.conftest import PASSWORD, USER, when
from tests.database.proxy import Proxy
from tests.servers import MariaDB, free_port


def wait(
    source: Source, stop: Stop, report: Report, *, timeout: float = 60, seconds: float = 10
) -> Database:
    return wait_for_database(
        source, timeout=timeout, stop=stop, report=report, interval=0.01, seconds=seconds
    )


def test_a_login(source: Source, stop: Stop, report: Report) -> None:
    with wait(source, stop, report) as database:
        assert database.is_tidb
        assert "8.0.11-TiDB-v8.5.1" in database.version
        assert "'backup'@'%'" == database.account
        assert [(3, "€")] == database.query("SELECT 1 + %s, %s", (2, "€"))


@pytest.mark.parametrize(("user", "password"), [(USER, "wrong-canary"), ("nobody", "")])
def test_a_wrong_login_ends_at_once(
    source: Source, report: Report, log: io.StringIO, user: str, password: str
) -> None:
    source = replace(source, user=user, password=password)
    with pytest.raises(DatabaseError, match="Access denied") as caught:
        wait(source, Stop(), report)
    assert ExitCode.DATABASE == caught.value.exit_code
    assert f"127.0.0.1:{source.port} as '{user}'" in caught.value.message
    assert "canary" not in caught.value.message
    assert "waiting" not in log.getvalue()


def test_nobody_listens_till_the_time_is_up(stop: Stop, report: Report, log: io.StringIO) -> None:
    source = Source("127.0.0.1", free_port(), USER, PASSWORD)
    with pytest.raises(DatabaseError, match=r"refused.* \(tried for 0s\)"):
        wait(source, stop, report, timeout=0.2)
    # Many attempts, one line: the next would come after 30 s.
    assert 1 == log.getvalue().count("waiting for the database")


def test_no_time_is_one_attempt(stop: Stop, report: Report, log: io.StringIO) -> None:
    source = Source("127.0.0.1", free_port(), USER, PASSWORD)
    with pytest.raises(DatabaseError, match="refused"):
        wait(source, stop, report, timeout=0)
    assert "waiting" not in log.getvalue()


def test_an_unknown_host_is_given_up_sooner(
    stop: Stop, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "UNKNOWN_HOST_SECONDS", 0.05)
    source = Source("no-such-host.invalid", 4000, USER, PASSWORD)
    with pytest.raises(DatabaseError, match="check --host"):
        wait(source, stop, report, timeout=600)


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..b", ""])
def test_what_can_be_no_host(host: str, stop: Stop, report: Report) -> None:
    with pytest.raises(DatabaseError):
        wait(Source(host, 1, USER, PASSWORD), stop, report, timeout=0)


def test_a_resolver_that_hangs_is_no_prison(
    stop: Stop, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        freed.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    source = Source("some.host", 4000, USER, PASSWORD)
    with pytest.raises(DatabaseError, match="name resolution did not answer"):
        wait(source, stop, report, timeout=0, seconds=0.1)
    freed.set()


def test_a_server_that_starts_late(
    stop: Stop, report: Report, log: io.StringIO, proxy: Proxy
) -> None:
    proxy.refuse.set()
    timer = when(lambda: "waiting for the database" in log.getvalue(), proxy.refuse.clear)
    with wait(Source(proxy.host, proxy.port, USER, PASSWORD), stop, report) as database:
        assert [(1,)] == database.query("SELECT 1")
    timer.join()
    assert "Lost connection" in log.getvalue()
    assert "connected to the database" in log.getvalue()


def test_too_many_connections_pass(
    server: MariaDB, stop: Stop, report: Report, log: io.StringIO, source: Source
) -> None:
    server.execute("ALTER USER 'backup'@'%' WITH MAX_USER_CONNECTIONS 1")
    holder = server.connect(USER, PASSWORD.encode().decode("latin-1"))
    timer = when(lambda: "max_user_connections" in log.getvalue(), holder.close)
    try:
        wait(source, stop, report).close()
    finally:
        timer.join()
        server.execute("ALTER USER 'backup'@'%' WITH MAX_USER_CONNECTIONS 0")


def test_a_signal_ends_the_waiting(stop: Stop, report: Report, log: io.StringIO) -> None:
    source = Source("127.0.0.1", free_port(), USER, PASSWORD)
    timer = when(lambda: "waiting for the database" in log.getvalue(), lambda: stop.request(15))
    with pytest.raises(InterruptedBySignalError):
        wait_for_database(source, timeout=1800, stop=stop, report=report, interval=300)
    timer.join()


def serve_once(listener: socket.socket, greeting: bytes) -> None:
    client, _ = listener.accept()
    client.sendall(greeting)
    client.close()


@pytest.mark.parametrize(
    "greeting",
    [b"SSH-2.0-OpenSSH_9.2p1\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x01\x00\x00\x00\x0a"],
)
def test_what_is_no_database_ends_at_once(greeting: bytes, stop: Stop, report: Report) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve_once, args=(listener, greeting))
        serving.start()
        source = Source("127.0.0.1", listener.getsockname()[1], USER, PASSWORD)
        with pytest.raises(DatabaseError, match="are those of a TiDB"):
            wait(source, stop, report)
        serving.join()


def test_the_password_is_not_sent_in_clear(stop: Stop, report: Report) -> None:
    greeting = (
        b"\x0a8.0.11\x00\x01\x00\x00\x00abcdefgh\x00\xff\xff\x2e\x02\x00\xff\xff\x15"
        + b"\x00" * 10
        + b"ijklmnopqrst\x00mysql_native_password\x00"
    )
    switch = b"\xfemysql_clear_password\x00"
    received: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            client.sendall(len(greeting).to_bytes(3, "little") + b"\x00" + greeting)
            received.append(client.recv(65536))
            client.sendall(len(switch).to_bytes(3, "little") + b"\x02" + switch)
            received.append(client.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        source = Source("127.0.0.1", listener.getsockname()[1], USER, "canary")
        with pytest.raises(DatabaseError, match="clear text"):
            wait(source, stop, report)
        serving.join()
    assert 2 == len(received)
    assert b"canary" not in b"".join(received)


def test_a_plain_mariadb_that_starts_late(
    tmp_path_factory: pytest.TempPathFactory, stop: Stop, report: Report, log: io.StringIO
) -> None:
    plain = MariaDB(tmp_path_factory.mktemp("plain"), tidb=False)
    starting = when(lambda: "waiting for the database" in log.getvalue(), plain.start)
    try:
        with wait(Source("localhost", plain.port, "root", ""), stop, report) as database:
            assert not database.is_tidb
            assert "MariaDB" in database.version
    finally:
        starting.join()
        plain.stop()
