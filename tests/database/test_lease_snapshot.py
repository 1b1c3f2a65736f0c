"""Whether GC has gone past the snapshot, after a gap or a lowering."""

from datetime import timedelta

import pytest

from backup_manager.database.connection import Database
from backup_manager.database.lease import Lease
from backup_manager.errors import (
    BackupError,
    ProtectionError,
    Reason,
)
from backup_manager.report import Report
from tests.database.conftest import Make, eventually
from tests.database.proxy import Proxy
from tests.database.rows import (
    BEAT,
    BEFORE,
    UPDATE,
    A,
    age,
    collected_up_to_now,
    tso,
    write,
)
from tests.servers import MariaDB


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
