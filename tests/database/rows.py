"""What tests of the lease do to the row, and to a lease, behind its back."""

from datetime import UTC, datetime, timedelta

from backup_manager.database.lease import Lease
from backup_manager.database.lease_document import Document, parse, parse_gc_life_time
from tests.servers import GC_COMMENT, GC_VALUE, Database, MariaDB

A, B = "aaaaaaaa", "bbbbbbbb"
NEED = parse_gc_life_time("72h")
BEFORE = (GC_VALUE, GC_COMMENT)
UPDATE = b"UPDATE mysql.tidb"
BEAT = 0.02  # seconds


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


def forget_the_dead(server: Database) -> None:
    """Let every lease in the row have run out, as after a quarter of an hour."""
    found = parse(server.gc_row()[1])
    if found:
        comment = Document(found.original, dict.fromkeys(found.leases, 1)).encode()
        sql = "UPDATE mysql.tidb SET COMMENT = %s WHERE VARIABLE_NAME = 'tikv_gc_life_time'"
        server.execute(sql, (comment,))


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
