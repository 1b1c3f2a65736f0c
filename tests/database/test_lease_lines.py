"""The lease over lines that lose what they carry, and databases that go away."""

import io
import threading
import time
from functools import partial

import pytest

from backup_manager.database.connection import Database, Source
from backup_manager.database.lease_document import Original
from backup_manager.errors import (
    InterruptedBySignalError,
)
from backup_manager.report import Report
from backup_manager.signals import Stop
from tests.database.conftest import PASSWORD, USER, Make, eventually, when
from tests.database.proxy import Proxy
from tests.database.rows import (
    BEAT,
    BEFORE,
    UPDATE,
    A,
    age,
    document,
    leases,
)
from tests.servers import GC_COMMENT, GC_VALUE, MariaDB


@pytest.mark.parametrize(("forwarded", "times"), [(True, 1), (False, 1), (False, 3)])
def test_lost_answers_while_taking(
    through_proxy: Database,
    proxy: Proxy,
    server: MariaDB,
    make: Make,
    *,
    forwarded: bool,
    times: int,
) -> None:
    proxy.times = times
    if forwarded:
        proxy.lose_answer_to = UPDATE
    else:
        proxy.lose = UPDATE
    with make(through_proxy):
        assert times == proxy.lost
        found = document(server)
        assert found is not None
        assert Original(GC_VALUE, GC_COMMENT, "72h0m0s") == found.original
        assert [A] == list(found.leases)
    assert BEFORE == server.gc_row()


@pytest.mark.parametrize("forwarded", [True, False])
def test_lost_answers_while_giving_back(
    through_proxy: Database,
    proxy: Proxy,
    server: MariaDB,
    make: Make,
    report: Report,
    *,
    forwarded: bool,
) -> None:
    with make(through_proxy):
        if forwarded:
            proxy.lose_answer_to = UPDATE
        else:
            proxy.lose = UPDATE
    assert 1 == proxy.lost
    assert BEFORE == server.gc_row()
    assert [] == report.summary.warnings


def lost_so_far(proxy: Proxy, number: int) -> bool:
    return proxy.lost >= number


def test_lost_answers_of_the_heartbeat(
    through_proxy: Database, proxy: Proxy, server: MariaDB, make: Make, report: Report
) -> None:
    with make(through_proxy, heartbeat_seconds=BEAT) as lease:
        proxy.times = 5
        proxy.lose_answer_to = UPDATE
        # Each second has its own end, and so its own UPDATE.
        for lost in range(1, 6):
            age(server, A, 10)
            eventually(partial(lost_so_far, proxy, lost))
        lease.check()
    assert BEFORE == server.gc_row()
    assert [] == report.summary.warnings


def test_a_lost_database_is_survived_and_told_once(
    through_proxy: Database,
    proxy: Proxy,
    server: MariaDB,
    make: Make,
    log: io.StringIO,
) -> None:
    with make(through_proxy, heartbeat_seconds=BEAT, beat_seconds=0.05) as lease:
        proxy.refuse.set()
        proxy.cut_all()
        eventually(lambda: '"level": "warning"' in log.getvalue())
        lease.check()
        ended = leases(server)[A]
        age(server, A, 500)
        proxy.refuse.clear()
        eventually(lambda: "goes on again" in log.getvalue())
        assert leases(server)[A] >= ended
        lease.check()
    assert 1 == log.getvalue().count('"level": "warning"')
    assert 1 == log.getvalue().count("is tried again all the time")
    assert BEFORE == server.gc_row()


def test_a_server_that_restarts_in_mid_run(database: Database, server: MariaDB, make: Make) -> None:
    with make(database, heartbeat_seconds=BEAT) as lease:
        ended = leases(server)[A]
        server.restart()
        age(server, A, 500)
        eventually(lambda: leases(server)[A] >= ended)
        lease.check()
    assert BEFORE == server.gc_row()


@pytest.mark.parametrize("signalled", [True, False])
def test_a_release_that_cannot_be_is_a_warning_in_time(
    through_proxy: Database,
    proxy: Proxy,
    make: Make,
    stop: Stop,
    report: Report,
    *,
    signalled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("backup_manager.database.lease.RELEASE_SECONDS", 2.0)
    with make(through_proxy) as lease:
        proxy.hold.set()
        if signalled:
            stop.request(15)
        began = time.monotonic()
    assert time.monotonic() - began < 8
    assert not lease.given_back
    (warning,) = report.summary.warnings
    assert "could not be given back" in warning
    assert "SET GLOBAL tidb_gc_life_time = '10m0s'" in warning
    assert "canary" not in warning


def test_a_release_while_a_heartbeat_hangs(
    through_proxy: Database, proxy: Proxy, server: MariaDB, make: Make, report: Report
) -> None:
    lease = make(through_proxy, heartbeat_seconds=BEAT)
    lease.acquire()
    with server.connect() as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM mysql.tidb FOR UPDATE")
        age_seen = len(proxy.seen)
        # The heartbeat's UPDATE waits for the row now; the release cuts it and waits its turn.
        eventually(lambda: any(UPDATE in each for each in proxy.seen[age_seen:]))
        releasing = threading.Thread(target=lease.release)
        releasing.start()
        eventually(lambda: lease._thread is not None and not lease._thread.is_alive())
        holder.rollback()
    releasing.join()
    assert BEFORE == server.gc_row()
    assert [] == report.summary.warnings


def test_a_heartbeat_that_the_server_kills(
    database: Database, server: MariaDB, make: Make, report: Report
) -> None:
    """Its UPDATE waits for the row that somebody holds, and there its connection is killed."""
    waiting = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'UPDATE mysql.tidb%%'"
    with make(database, heartbeat_seconds=BEAT) as lease:
        ended = leases(server)[A]
        with server.connect() as holder, holder.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT * FROM mysql.tidb FOR UPDATE")
            eventually(lambda: len(server.execute(waiting, ())) == 1)
            ((number,),) = server.execute(waiting, ())
            server.execute(f"KILL {int(number)}")
            eventually(lambda: (number,) not in server.execute(waiting, ()))
            holder.rollback()
        age(server, A, 500)
        eventually(lambda: leases(server)[A] >= ended)
        lease.check()
    assert BEFORE == server.gc_row()
    assert [] == report.summary.warnings


def test_a_row_that_somebody_holds_is_waited_for(
    database: Database, server: MariaDB, make: Make
) -> None:
    waiting = (
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'UPDATE mysql.tidb%%'"
    )
    with server.connect() as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM mysql.tidb FOR UPDATE")
        freeing = when(lambda: server.execute(waiting, ()) == [(1,)], holder.rollback)
        with make(database):
            assert [A] == list(leases(server))
        freeing.join()
    assert BEFORE == server.gc_row()


@pytest.mark.parametrize("forwarded", [True, False])
def test_a_signal_while_taking_leaves_nothing(
    proxy: Proxy, server: MariaDB, make: Make, log: io.StringIO, *, forwarded: bool
) -> None:
    stop = Stop()
    if forwarded:
        proxy.lose_answer_to = UPDATE
    else:
        proxy.lose = UPDATE
    proxy.gone_after_loss = True

    def signal() -> None:
        assert (A in server.gc_row()[1]) == forwarded
        stop.request(15)
        proxy.refuse.clear()

    signalling = when(lambda: proxy.refused > 1, signal)
    source = Source(proxy.host, proxy.port, USER, PASSWORD)
    with Database(source, stop=stop) as database, pytest.raises(InterruptedBySignalError):
        make(database, stop=stop).acquire()
    signalling.join()
    assert BEFORE == server.gc_row()
    assert "could not be given back" not in log.getvalue()
