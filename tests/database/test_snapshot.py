"""Taking the snapshot, and telling whether GC has gone past it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.database.connection import Database, Source
from backup_manager.database.snapshot import (
    check_not_collected,
    parse_safe_point,
    safe_point,
    take,
    tso_time,
)
from backup_manager.errors import ExitCode, ProtectionError, Reason
from backup_manager.signals import Stop
from tests.servers import MariaDB

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
Login = Callable[..., Database]


def tso(time: datetime, logical: int = 1) -> str:
    return str((round(time.timestamp() * 1000) << 18) + logical)


def test_the_position_is_the_servers_own(database: Database, server: MariaDB) -> None:
    ((_, expected, _, _),) = server.execute("SHOW MASTER STATUS")
    assert str(expected) == take(database)


def test_a_denied_snapshot_names_the_grant(server: MariaDB, stop: Stop) -> None:
    server.create_account("poor", "x", grants=["SELECT ON *.*"])
    with (
        Database(Source(server.host, server.port, "poor", "x"), stop=stop) as database,
        pytest.raises(ProtectionError) as caught,
    ):
        take(database)
    assert Reason.SNAPSHOT == caught.value.reason
    assert "GRANT REPLICATION CLIENT ON *.* TO 'poor'@'%'" in caught.value.message


def test_a_server_without_a_position(tmp_path_factory: pytest.TempPathFactory, stop: Stop) -> None:
    with (
        MariaDB(tmp_path_factory.mktemp("plain"), tidb=False) as plain,
        Database(Source(plain.host, plain.port, "root", ""), stop=stop) as database,
        pytest.raises(ProtectionError, match=r"no position.*--consistency"),
    ):
        take(database)


def test_a_tso_has_a_time() -> None:
    expected = datetime(2020, 11, 10, 15, 40, 19, 591000, tzinfo=UTC)
    assert expected == tso_time("420747102018863124", NOW)


@pytest.mark.parametrize(
    "position",
    [
        *("", "329", "binlog.000001", "-420747102018863124", "4.2e17", "٤٢٠٧٤٧١٠٢٠١٨٨٦٣١٢٤"),
        *("420747102018863124 ", "9" * 20, "9" * 400, "2020-11-10 10:40:19"),
        *(tso(datetime(2014, 12, 31, tzinfo=UTC)), tso(NOW + timedelta(hours=25))),
    ],
)
def test_what_is_no_tso_has_none(position: str) -> None:
    assert tso_time(position, NOW) is None


@given(st.integers(1_420_070_400_000, 1_795_000_000_000), st.integers(0, 262_143))
def test_the_logical_clock_does_not_move_the_time(milliseconds: int, logical: int) -> None:
    time = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
    assert time == tso_time(tso(time, logical), NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20240102-15:04:05 +0800", datetime(2024, 1, 2, 7, 4, 5, tzinfo=UTC)),
        ("20240102-15:04:05.250 +0800", datetime(2024, 1, 2, 7, 4, 5, 250_000, tzinfo=UTC)),
        ("20240102-15:04:05.000 -0000", datetime(2024, 1, 2, 15, 4, 5, tzinfo=UTC)),
        ("20240102-15:04:05 +0800 CST", datetime(2024, 1, 2, 7, 4, 5, tzinfo=UTC)),
        ("20241302-15:04:05 +0800", None),
        ("20240102-15:04:05", None),
        ("None", None),
        ("", None),
    ],
)
def test_safe_points_as_gc_writes_them(text: str, expected: datetime | None) -> None:
    assert expected == parse_safe_point(text)


def collect(server: MariaDB, time: datetime) -> None:
    text = f"{time.astimezone(UTC):%Y%m%d-%H:%M:%S}.{time.microsecond // 1000:03d} +0000"
    server.execute("REPLACE INTO mysql.tidb VALUES ('tikv_gc_safe_point', %s, '')", (text,))


def test_no_safe_point_is_not_known(database: Database) -> None:
    assert safe_point(database) is None


@pytest.mark.parametrize("behind", [timedelta(milliseconds=1), timedelta(days=400)])
def test_gc_beyond_the_snapshot_ends_the_run(
    database: Database, server: MariaDB, behind: timedelta
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    collect(server, now)
    with pytest.raises(ProtectionError) as caught:
        check_not_collected(database, tso(now - behind))
    assert Reason.GC_PASSED_SNAPSHOT == caught.value.reason
    assert ExitCode.PRIVILEGE == caught.value.exit_code


def test_gc_up_to_the_snapshot_is_well(database: Database, server: MariaDB) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    collect(server, now)
    check_not_collected(database, tso(now))
    check_not_collected(database, tso(now + timedelta(seconds=1)))


def test_a_snapshot_given_as_a_time(database: Database, server: MariaDB) -> None:
    # A time is the server's own, in the server's zone.
    ((given, earlier),) = database.query("SELECT NOW(), NOW() - INTERVAL 2 SECOND")
    ((stamp,),) = database.query("SELECT UNIX_TIMESTAMP(%s)", (str(given),))
    collect(server, datetime.fromtimestamp(int(stamp), UTC))
    check_not_collected(database, str(given))
    with pytest.raises(ProtectionError, match="can no longer be read"):
        check_not_collected(database, str(earlier))


@pytest.mark.parametrize("snapshot", ["329", "no time at all", "0000-00-00", "%s", "'"])
def test_what_cannot_be_judged_passes(database: Database, server: MariaDB, snapshot: str) -> None:
    collect(server, datetime.now(UTC))
    check_not_collected(database, snapshot)


def test_an_unknown_safe_point_passes(database: Database, server: MariaDB) -> None:
    check_not_collected(database, tso(datetime(2020, 1, 1, tzinfo=UTC)))
    server.execute("REPLACE INTO mysql.tidb VALUES ('tikv_gc_safe_point', NULL, '')")
    check_not_collected(database, tso(datetime(2020, 1, 1, tzinfo=UTC)))
