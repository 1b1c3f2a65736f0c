"""Leases of several runs, dead ones, and other hands on the same row."""

import subprocess
import sys
import threading

from backup_manager.database.connection import Database, Source
from backup_manager.database.dead_leases import clear_dead
from backup_manager.database.lease_document import Original, parse
from backup_manager.report import Report
from backup_manager.signals import Stop
from tests.database.conftest import PASSWORD, Make, eventually
from tests.database.rows import (
    BEAT,
    BEFORE,
    NEED,
    A,
    B,
    age,
    die,
    leases,
    write,
)
from tests.servers import GC_VALUE, MariaDB


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
    clear_dead(database, [A], stop=stop, report=report)
    assert [] == report.summary.warnings


def test_dead_leases_that_cannot_be_removed_are_a_warning(
    database: Database, server: MariaDB, make: Make, stop: Stop, report: Report
) -> None:
    dead = make(database, A)
    dead.acquire()
    die(dead)
    server.create_account("poor", "x", grants=["SELECT ON mysql.tidb"])
    with Database(Source(server.host, server.port, "poor", "x"), stop=stop) as poor:
        clear_dead(poor, [A], stop=stop, report=report)
    (warning,) = report.summary.warnings
    assert "the next backup removes them" in warning
    assert "UPDATE command denied" in warning


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
