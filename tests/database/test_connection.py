"""Statements over one connection, and lines that break under them."""

import socket
import threading
import time

import pytest

from backup_manager.database.connection import Database, Source
from backup_manager.database.failures import (
    ConnectError,
    LostConnectionError,
    StatementError,
)
from backup_manager.signals import Stop
from tests.database.conftest import PASSWORD, USER, eventually
from tests.database.proxy import Proxy
from tests.servers import MariaDB


def test_the_password_is_not_shown(source: Source) -> None:
    assert "canary" not in repr(source)


def test_the_account_is_quoted_as_grant_wants_it(server: MariaDB, stop: Stop) -> None:
    server.create_account("o'neil@home", "x")
    with Database(Source(server.host, server.port, "o'neil@home", "x"), stop=stop) as database:
        assert "'o''neil@home'@'%'" == database.account
        server.execute(f"GRANT SELECT ON *.* TO {database.account}")
    server.execute("DROP USER 'o''neil@home'@'%'")


def test_autocommit_and_strictness(database: Database, server: MariaDB) -> None:
    assert 0 == database.execute("UPDATE mysql.tidb SET COMMENT = COMMENT")
    assert 1 == database.execute("UPDATE mysql.tidb SET COMMENT = 'x'")
    assert "x" == server.gc_row()[1]
    with pytest.raises(StatementError) as caught:
        database.execute("UPDATE mysql.tidb SET COMMENT = REPEAT('x', 1025)")
    assert 1406 == caught.value.errno
    assert "x" == server.gc_row()[1]


def test_a_refused_statement_leaves_the_line_as_it_is(database: Database) -> None:
    before = database.query("SELECT CONNECTION_ID()")
    with pytest.raises(StatementError, match="doesn't exist") as caught:
        database.query("SELECT * FROM shop.nothing")
    assert 1146 == caught.value.errno
    assert not caught.value.passing
    assert before == database.query("SELECT CONNECTION_ID()")


def test_a_killed_connection_is_lost_and_made_anew(database: Database, server: MariaDB) -> None:
    ((number,),) = database.query("SELECT CONNECTION_ID()")
    server.execute(f"KILL {number}")
    with pytest.raises(LostConnectionError):
        database.query("SELECT 1")
    assert [(1,)] == database.query("SELECT 1")
    ((number,),) = database.query("SELECT CONNECTION_ID()")
    server.execute(f"KILL {number}")
    assert [(1,)] == database.query("SELECT 1", tries=2)


def test_a_write_is_never_repeated(through_proxy: Database, proxy: Proxy, server: MariaDB) -> None:
    proxy.lose_answer_to = b"CONCAT"
    with pytest.raises(LostConnectionError):
        through_proxy.execute("UPDATE mysql.tidb SET COMMENT = CONCAT('<', COMMENT)")
    before = server.gc_row()[1]
    assert before.startswith("<All")
    assert [(before,)] == through_proxy.query("SELECT COMMENT FROM mysql.tidb")


def test_a_server_that_hangs_is_lost_in_time(proxy: Proxy, stop: Stop) -> None:
    with Database(Source(proxy.host, proxy.port, USER, PASSWORD), stop=stop, seconds=0.2) as line:
        line.query("SELECT 1")
        proxy.hold.set()
        with pytest.raises(LostConnectionError, match=r"0\.2 s|timed out"):
            line.query("SELECT 1")


def dribble(listener: socket.socket, ended: threading.Event) -> None:
    client, _ = listener.accept()
    with client:
        # A packet's head that promises much, then a byte now and then.
        client.sendall(b"\xff\x00\x00\x00")
        while not ended.wait(0.05):
            try:
                client.sendall(b"x")
            except OSError:
                return


def test_a_server_that_dribbles_is_lost_in_time(stop: Stop) -> None:
    # Each byte is in time for the client's own time-out: only a bound of the whole call ends it.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()
        serving = threading.Thread(target=dribble, args=(listener, ended))
        serving.start()
        database = Database(
            Source("127.0.0.1", listener.getsockname()[1], USER, PASSWORD), stop=stop, seconds=0.5
        )
        try:
            with pytest.raises(ConnectError) as caught:
                database.query("SELECT 1")
        finally:
            ended.set()
            serving.join()
        assert caught.value.passing


def test_a_call_in_another_thread_can_be_cut(database: Database, server: MariaDB) -> None:
    database.identify()
    failed: list[BaseException] = []

    def sleep() -> None:
        try:
            database.query("SELECT SLEEP(9)")
        except LostConnectionError as error:
            failed.append(error)

    thread = threading.Thread(target=sleep)
    thread.start()
    running = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP%'"
    eventually(lambda: server.execute(running) == [(1,)])
    database.cut()
    thread.join()
    assert 1 == len(failed)


def test_after_a_signal_calls_have_less_time(proxy: Proxy, stop: Stop) -> None:
    with Database(Source(proxy.host, proxy.port, USER, PASSWORD), stop=stop) as line:
        line.query("SELECT 1")
        proxy.hold.set()
        stop.request(15)
        stop._requested_at -= 18.5
        with pytest.raises(LostConnectionError):
            line.query("SELECT 1")


def test_nothing_is_done_after_the_end(source: Source, stop: Stop) -> None:
    with (
        Database(source, stop=stop) as root,
        root.fresh(until=time.monotonic() - 1) as line,
        pytest.raises((ConnectError, LostConnectionError)),
    ):
        line.query("SELECT SLEEP(5)")
