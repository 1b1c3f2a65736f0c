"""The lease on a real row: overlapping, dying, wiped, over lines that lose what they carry."""

import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from backup_manager.database.connection import Database, Source
from backup_manager.database.dead_leases import clear_dead
from backup_manager.database.lease import Lease
from backup_manager.database.lease_document import (
    COMMENT_LIMIT,
    Document,
    Original,
    parse,
    parse_gc_life_time,
)
from backup_manager.errors import (
    BackupError,
    DatabaseError,
    InterruptedBySignalError,
    ProtectionError,
    Reason,
)
from backup_manager.report import Report
from backup_manager.signals import Stop
from tests.database.conftest import PASSWORD, USER, eventually, when
from tests.database.proxy import Proxy
from tests.servers import GC_COMMENT, GC_VALUE, MariaDB

A, B = "aaaaaaaa", "bbbbbbbb"
NEED = parse_gc_life_time("72h")
BEFORE = (GC_VALUE, GC_COMMENT)
UPDATE = b"UPDATE mysql.tidb"
BEAT = 0.02  # seconds
NEVER = 3600.0

Make = Callable[..., Lease]


@pytest.fixture
def make(stop: Stop, report: Report) -> Iterator[Make]:
    made: list[Lease] = []

    def new(database: Database, lease_id: str = A, **options: object) -> Lease:
        settings: dict[str, object] = {
            "need": NEED,
            "stop": stop,
            "report": report,
            "remember": lambda _: None,
            "heartbeat_seconds": NEVER,
        }
        made.append(Lease(database, lease_id, **(settings | options)))  # type: ignore[arg-type]  # as the test has it
        return made[-1]

    yield new
    for lease in made:
        lease.release()


def document(server: MariaDB) -> Document | None:
    return parse(server.gc_row()[1])


def leases(server: MariaDB) -> dict[str, int]:
    found = document(server)
    return dict(found.leases) if found else {}


def write(server: MariaDB, value: str, comment: str | None) -> None:
    sql = (
        "UPDATE mysql.tidb SET VARIABLE_VALUE = %s, COMMENT = %s"
        " WHERE VARIABLE_NAME = 'tikv_gc_life_time'"
    )
    server.execute(sql, (value, comment))


def age(server: MariaDB, lease_id: str, seconds: int = 100_000) -> None:
    """Move a lease's end into the past, whatever heartbeats come in between."""
    while True:
        value, comment = server.gc_row()
        found = parse(comment)
        assert found is not None
        ends = {**found.leases, lease_id: found.leases[lease_id] - seconds}
        with server.connect() as connection, connection.cursor() as cursor:
            sql = "UPDATE mysql.tidb SET COMMENT = %s WHERE VARIABLE_VALUE = %s AND COMMENT = %s"
            if cursor.execute(sql, (Document(found.original, ends).encode(), value, comment)):
                return


def die(lease: Lease) -> None:
    """End a run's heartbeat without giving its lease back, as kill -9 does."""
    lease._ended.set()
    if lease._thread:
        lease._thread.join()
    lease._line.close()


def collected_up_to_now(server: MariaDB) -> None:
    text = f"{datetime.now(UTC):%Y%m%d-%H:%M:%S} +0000"
    server.execute("REPLACE INTO mysql.tidb VALUES ('tikv_gc_safe_point', %s, '')", (text,))


def tso(ago: timedelta) -> str:
    return str(int((datetime.now(UTC) - ago).timestamp() * 1000) << 18)


def test_taken_and_given_back(database: Database, server: MariaDB, make: Make) -> None:
    with make(database):
        value, comment = server.gc_row()
        assert "72h0m0s" == value
        ((now,),) = server.execute("SELECT UNIX_TIMESTAMP()")
        found = parse(comment)
        assert found is not None
        assert Original(GC_VALUE, GC_COMMENT, "72h0m0s") == found.original
        assert [A] == list(found.leases)
        assert 0 <= now + 900 - found.leases[A] <= 60
    assert BEFORE == server.gc_row()


@pytest.mark.parametrize(
    ("value", "comment"),
    [
        ("10m0s", None),
        ("10m0s", ""),
        ("1h30m", "a\\b'c\"d%s\n\t € 𝄞 "),
        ("100h", "long enough"),
        ("72h", '{"a": 1}'),
        ("9m", "NULL"),
    ],
)
def test_what_was_there_comes_back_byte_for_byte(
    database: Database, server: MariaDB, make: Make, value: str, comment: str | None
) -> None:
    write(server, value, comment)
    hexed = "SELECT HEX(VARIABLE_VALUE), HEX(COMMENT) FROM mysql.tidb"
    before = server.execute(hexed)
    with make(database):
        assert [A] == list(leases(server))
    assert before == server.execute(hexed)


def test_the_journal_knows_before_the_row_is_changed(
    database: Database, server: MariaDB, make: Make
) -> None:
    seen: list[tuple[Original, tuple[str, str]]] = []
    with make(database, remember=lambda original: seen.append((original, server.gc_row()))):
        assert [(Original(GC_VALUE, GC_COMMENT, "72h0m0s"), BEFORE)] == seen


def test_a_journal_that_cannot_be_written_leaves_the_row_alone(
    database: Database, server: MariaDB, make: Make
) -> None:
    def fail(_: Original) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        make(database, remember=fail).acquire()
    assert BEFORE == server.gc_row()


def test_overlapping_runs(database: Database, server: MariaDB, make: Make) -> None:
    first, second = make(database, A), make(database, B, need=2 * NEED)
    first.acquire()
    second.acquire()
    assert {A, B} == set(leases(server))
    first.release()
    assert "144h0m0s" == server.gc_row()[0]
    assert [B] == list(leases(server))
    second.release()
    assert BEFORE == server.gc_row()


HAMMER = """
import io, sys, threading
from backup_manager.database.connection import Database, Source
from backup_manager.database.lease import Lease
from backup_manager.database.lease_document import nanoseconds, parse
from backup_manager.database.lease_row import read
from backup_manager.report import Report
from backup_manager.signals import Stop

port, number, threads, rounds = map(int, sys.argv[1:])
source = Source("127.0.0.1", port, "backup", sys.stdin.read())
stop, report = Stop(), Report(stream=io.StringIO())
failed = []

def run(thread):
    for turn in range(rounds):
        need = (24 + 12 * thread) * 3_600_000_000_000
        lease_id = f"{number:02x}{thread:02x}{turn:04x}"
        with Database(source, stop=stop) as database, Lease(
            database, lease_id, need=need, stop=stop, report=report,
            remember=lambda _: None, heartbeat_seconds=0.01,
        ) as lease:
            for _ in range(5):
                row, _ = read(database)
                document = parse(row.comment)
                if not document or lease_id not in document.leases or nanoseconds(row.value) < need:
                    failed.append((lease_id, need, row))
                lease.check()

workers = [threading.Thread(target=run, args=(each,)) for each in range(threads)]
[each.start() for each in workers]
[each.join() for each in workers]
failed += report.summary.warnings
print(failed or "well")
"""


def test_many_processes_and_threads_at_the_row_at_once(server: MariaDB) -> None:
    processes, threads, rounds = 3, 4, 4
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                HAMMER,
                str(server.port),
                str(number),
                str(threads),
                str(rounds),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        for number in range(processes)
    ]
    ended = threading.Event()
    lowest: list[str] = []

    def watch() -> None:
        # Whoever reads from outside never finds a lease with the value unraised.
        while not ended.is_set():
            value, comment = server.gc_row()
            if parse(comment) and value == GC_VALUE:
                lowest.append(comment)

    watcher = threading.Thread(target=watch)
    watcher.start()
    answers = [each.communicate(PASSWORD, timeout=300)[0].strip() for each in running]
    ended.set()
    watcher.join()
    assert ["well"] * processes == answers
    assert [] == lowest
    assert BEFORE == server.gc_row()


def test_the_heartbeat_renews(database: Database, server: MariaDB, make: Make) -> None:
    with make(database, heartbeat_seconds=BEAT) as lease:
        ended = leases(server)[A]
        age(server, A, 500)
        eventually(lambda: leases(server)[A] >= ended)
        lease.check()


def test_a_dead_lease_is_removed_by_whoever_comes_next(
    database: Database, server: MariaDB, make: Make
) -> None:
    dead = make(database, A)
    dead.acquire()
    die(dead)
    with make(database, B):
        # It may live: nobody has said otherwise, and its end is to come.
        assert {A, B} == set(leases(server))
    assert "72h0m0s" == server.gc_row()[0]
    age(server, A)
    with make(database, B):
        assert {B} == set(leases(server))
    assert BEFORE == server.gc_row()


def test_a_lease_that_the_journals_name_goes_at_once(
    database: Database, server: MariaDB, make: Make
) -> None:
    dead = make(database, A)
    dead.acquire()
    die(dead)
    with make(database, B, dead_ids=[A]):
        assert {B} == set(leases(server))
    assert BEFORE == server.gc_row()


def test_a_run_that_takes_none_clears_dead_ones(
    database: Database, server: MariaDB, make: Make, stop: Stop, report: Report
) -> None:
    dead, living = make(database, A), make(database, B)
    dead.acquire()
    die(dead)
    living.acquire()
    clear_dead(database, [A], stop=stop, report=report)
    assert {B} == set(leases(server))
    die(living)
    clear_dead(database, [B], stop=stop, report=report)
    assert BEFORE == server.gc_row()
    clear_dead(database, [A, B], stop=stop, report=report)
    clear_dead(database, [], stop=stop, report=report)
    assert BEFORE == server.gc_row()
    server.execute("DELETE FROM mysql.tidb")
    assert [] == report.summary.warnings
    clear_dead(database, [A], stop=stop, report=report)
    assert 1 == len(report.summary.warnings)


def test_the_journal_knows_the_original_where_the_comment_was_wiped(
    database: Database, server: MariaDB, make: Make
) -> None:
    remembered: list[Original] = []
    dead = make(database, A, remember=remembered.append)
    dead.acquire()
    die(dead)
    write(server, "72h0m0s", "")
    with make(database, B, dead_ids=[A], known=remembered[-1]):
        assert "72h0m0s" == server.gc_row()[0]
    assert BEFORE == server.gc_row()


def test_set_global_in_mid_run(
    database: Database, server: MariaDB, make: Make, report: Report
) -> None:
    remembered: list[Original] = []
    with make(database, heartbeat_seconds=BEAT, remember=remembered.append) as lease:
        write(server, "20m0s", "set by hand")
        eventually(lambda: [A] == list(leases(server)))
        assert "72h0m0s" == server.gc_row()[0]
        assert "was set to 20m0s while this backup needs 72h0m0s" in report.summary.warnings[0]
        eventually(lambda: lease._known is not None and lease._known.original.value == "20m0s")
        lease.check()
        # The journal is told of the new original, in the caller's thread.
        assert Original("20m0s", "set by hand", "72h0m0s") == remembered[-1]
    assert ("20m0s", "set by hand") == server.gc_row()


def test_a_value_that_is_no_duration_in_mid_run_stays(
    database: Database, server: MariaDB, make: Make, report: Report
) -> None:
    with make(database, heartbeat_seconds=BEAT):
        write(server, "10min", "by hand")
        eventually(lambda: [A] == list(leases(server)))
        eventually(lambda: "stands still" in "".join(report.summary.warnings))
    assert ("10min", "by hand") == server.gc_row()


# Where it was done, the first look finds it done.
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


def fails_in_the_end(lease: Lease) -> BackupError:
    failed: list[BackupError] = []

    def look() -> bool:
        try:
            lease.check()
        except BackupError as error:
            failed.append(error)
        return bool(failed)

    eventually(look)
    return failed[0]


def test_a_gap_in_which_gc_went_past_the_snapshot_is_fatal(
    database: Database, server: MariaDB, make: Make
) -> None:
    with make(database, heartbeat_seconds=0.2, lease_seconds=0) as lease:
        # A lease of no length has always run out by the next heartbeat.
        lease.watch(tso(timedelta(hours=1)))
        lease.check()
        collected_up_to_now(server)
        error = fails_in_the_end(lease)
        assert Reason.GC_PASSED_SNAPSHOT == error.reason
    assert BEFORE == server.gc_row()


def test_a_lowering_in_which_gc_went_past_the_snapshot_is_fatal(
    database: Database, server: MariaDB, make: Make
) -> None:
    with make(database, heartbeat_seconds=BEAT) as lease:
        lease.watch(tso(timedelta(hours=1)))
        collected_up_to_now(server)
        lease.check()
        write(server, "10m0s", server.gc_row()[1])
        assert Reason.GC_PASSED_SNAPSHOT == fails_in_the_end(lease).reason
    assert BEFORE == server.gc_row()


def test_a_lowering_is_not_forgotten_where_the_answer_to_raising_it_was_lost(
    through_proxy: Database, proxy: Proxy, server: MariaDB, make: Make, report: Report
) -> None:
    with make(through_proxy, heartbeat_seconds=BEAT) as lease:
        lease.watch(tso(timedelta(hours=1)))
        collected_up_to_now(server)
        proxy.gone_after_loss = True
        proxy.lose_answer_to = UPDATE
        write(server, "20m0s", server.gc_row()[1])
        eventually(lambda: proxy.refused > 0)
        proxy.refuse.clear()
        assert Reason.GC_PASSED_SNAPSHOT == fails_in_the_end(lease).reason
        assert "was set to 20m0s" in report.summary.warnings[0]


def test_an_id_that_would_not_be_found_again_is_a_defect(
    database: Database, server: MariaDB, make: Make
) -> None:
    with pytest.raises(ValueError, match="8 hex digits"):
        make(database, "ABCDEF").acquire()
    assert BEFORE == server.gc_row()


def test_a_gap_and_a_lowering_are_no_harm_while_gc_stands_behind(
    database: Database, server: MariaDB, make: Make
) -> None:
    collected_up_to_now(server)
    with make(database, heartbeat_seconds=BEAT, lease_seconds=1) as lease:
        lease.watch(tso(timedelta(seconds=-5)))
        age(server, A)
        write(server, "10m0s", server.gc_row()[1])
        eventually(lambda: "72h0m0s" == server.gc_row()[0])
        eventually(lambda: lease._doubts == 0)
        lease.check()


def test_a_snapshot_that_the_user_gave_is_checked_at_once(
    database: Database, server: MariaDB, make: Make
) -> None:
    with make(database) as lease:
        lease.watch(tso(timedelta(hours=1)), given=True)
        collected_up_to_now(server)
        lease.watch(tso(timedelta(hours=1)))
        with pytest.raises(ProtectionError) as caught:
            lease.watch(tso(timedelta(hours=1)), given=True)
        assert Reason.GC_PASSED_SNAPSHOT == caught.value.reason


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
    with make(through_proxy):
        proxy.hold.set()
        if signalled:
            stop.request(15)
        began = time.monotonic()
    assert time.monotonic() - began < 8
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


def test_after_a_signal_no_lease_is_taken(
    database: Database, server: MariaDB, make: Make, stop: Stop
) -> None:
    stop.request(15)
    with pytest.raises(InterruptedBySignalError):
        make(database).acquire()
    assert BEFORE == server.gc_row()


def refusal(lease: Lease) -> ProtectionError:
    with pytest.raises(ProtectionError) as caught:
        lease.acquire()
    return caught.value


def test_no_row(database: Database, server: MariaDB, make: Make) -> None:
    server.execute("DELETE FROM mysql.tidb")
    assert Reason.GC_READ == refusal(make(database)).reason


@pytest.mark.parametrize("value", ["10min", "", None])
def test_a_value_that_is_no_duration(
    database: Database, server: MariaDB, make: Make, value: str
) -> None:
    write(server, value, "x")
    assert Reason.GC_PARSE_OLD == refusal(make(database)).reason
    assert (value, "x") == server.gc_row()


@pytest.mark.parametrize(
    ("grants", "reason", "fix"),
    [
        (["UPDATE ON mysql.tidb"], Reason.GC_READ, "GRANT SELECT ON mysql.tidb TO 'poor'@'%'"),
        (["SELECT ON mysql.tidb"], Reason.GC_SET, "GRANT UPDATE ON mysql.tidb TO 'poor'@'%'"),
    ],
)
def test_a_privilege_is_missing(
    server: MariaDB, make: Make, grants: list[str], reason: Reason, fix: str
) -> None:
    server.create_account("poor", "x", grants=grants)
    with Database(Source(server.host, server.port, "poor", "x"), stop=Stop()) as database:
        error = refusal(make(database))
    assert reason == error.reason
    assert fix in error.fix
    assert BEFORE == server.gc_row()


def test_no_room_changes_nothing(database: Database, server: MariaDB, make: Make) -> None:
    write(server, "10m0s", "€" * COMMENT_LIMIT)
    assert "no room" in refusal(make(database)).what
    assert ("10m0s", "€" * COMMENT_LIMIT) == server.gc_row()


def test_a_refused_login_ends_at_once(server: MariaDB, make: Make) -> None:
    with (
        Database(Source(server.host, server.port, USER, "wrong"), stop=Stop()) as database,
        pytest.raises(DatabaseError, match="Access denied"),
    ):
        make(database).acquire()


def test_a_row_that_others_change_all_the_time_is_given_up(
    database: Database, server: MariaDB, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backup_manager.database.lease.ACQUIRE_SECONDS", 0.2)

    def interfere(_: Original) -> None:
        server.execute("UPDATE mysql.tidb SET COMMENT = UUID()")

    error = refusal(make(database, remember=interfere))
    assert Reason.GC_SET == error.reason
    assert GC_VALUE == server.gc_row()[0]


def test_a_miss_forgets_what_was_not_written(
    database: Database, server: MariaDB, make: Make
) -> None:
    # Between reading and writing somebody sets by hand just what the lease was to set.
    interfered: list[Original] = []

    def interfere(original: Original) -> None:
        if not interfered:
            write(server, "72h0m0s", "by hand")
        interfered.append(original)

    with make(database, remember=interfere):
        assert Original("72h0m0s", "by hand", "72h0m0s") == interfered[-1]
    assert ("72h0m0s", "by hand") == server.gc_row()


def test_a_heartbeat_that_died_is_a_defect(
    database: Database, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(Lease, "_beat", lambda _: 1 / 0)
    with make(database, heartbeat_seconds=BEAT) as lease:
        eventually(lambda: lease._thread is not None and not lease._thread.is_alive())
        with pytest.raises(RuntimeError, match="has died"):
            lease.check()
