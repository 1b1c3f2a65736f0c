"""Taking the lease and giving it back, and what stands against it."""

import io
import threading

import pytest

from backup_manager.database.connection import Database, Source
from backup_manager.database.lease import Lease
from backup_manager.database.lease_document import COMMENT_LIMIT, Original, parse
from backup_manager.errors import (
    DatabaseError,
    InterruptedBySignalError,
    ProtectionError,
    Reason,
)
from backup_manager.report import Report
from backup_manager.signals import Stop
from tests.database.conftest import USER, Make, eventually
from tests.database.rows import (
    BEAT,
    BEFORE,
    A,
    leases,
    write,
)
from tests.servers import GC_COMMENT, GC_NAME, GC_VALUE, MariaDB


def test_taken_and_given_back(database: Database, server: MariaDB, make: Make) -> None:
    with make(database) as lease:
        assert not lease.given_back
        value, comment = server.gc_row()
        assert "72h0m0s" == value
        ((now,),) = server.execute("SELECT UNIX_TIMESTAMP()")
        found = parse(comment)
        assert found is not None
        assert Original(GC_VALUE, GC_COMMENT, "72h0m0s") == found.original
        assert [A] == list(found.leases)
        assert 0 <= now + 900 - found.leases[A] <= 60
    assert lease.given_back
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


def test_an_id_that_would_not_be_found_again_is_a_defect(
    database: Database, server: MariaDB, make: Make
) -> None:
    with pytest.raises(ValueError, match="8 hex digits"):
        make(database, "ABCDEF").acquire()
    assert BEFORE == server.gc_row()


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


def test_a_row_that_goes_in_mid_run(
    database: Database, server: MariaDB, make: Make, report: Report
) -> None:
    with make(database, heartbeat_seconds=BEAT) as lease:
        server.execute("DELETE FROM mysql.tidb")
        eventually(lambda: bool(report.summary.warnings))
        lease.check()
    # Nothing of the lease is left anywhere, so nobody need remember it.
    assert lease.given_back
    while_it_ran, in_the_end = report.summary.warnings
    for warning in (while_it_ran, in_the_end):
        assert "tikv_gc_life_time" in warning
        assert f"SET GLOBAL tidb_gc_life_time = '{GC_VALUE}'" in warning
        assert ": )" not in warning
        assert "the next backup" not in warning


def test_a_row_that_comes_back_is_raised_again(
    database: Database, server: MariaDB, make: Make, log: io.StringIO
) -> None:
    with make(database, heartbeat_seconds=BEAT) as lease:
        server.execute("DELETE FROM mysql.tidb")
        eventually(lambda: '"level": "warning"' in log.getvalue())
        # As TiDB's GC worker does it.
        server.execute("INSERT INTO mysql.tidb VALUES (%s, '10m0s', 'made anew')", (GC_NAME,))
        eventually(lambda: "72h0m0s" == server.gc_row()[0])
        lease.check()
    assert ("10m0s", "made anew") == server.gc_row()


def test_a_value_of_null_in_mid_run_stays(
    database: Database, server: MariaDB, make: Make, report: Report
) -> None:
    with make(database, heartbeat_seconds=BEAT):
        server.execute("UPDATE mysql.tidb SET VARIABLE_VALUE = NULL")
        eventually(lambda: "no duration" in "".join(report.summary.warnings))
    value, comment = server.gc_row()
    assert not value
    assert GC_COMMENT == comment
    assert 1 == len(report.summary.warnings)


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
