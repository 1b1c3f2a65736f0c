"""What is said of a lease on the GC life time that meets with trouble."""

from backup_manager.database import lease_document as rules
from backup_manager.database.lease_document import Change
from backup_manager.database.lease_row import RowGoneError
from backup_manager.durations import format_duration
from backup_manager.errors import BackupError

_DEFAULT = "10m0s"  # TiDB's own


def told(error: BackupError) -> str:
    """Return what failed, and why where that is known."""
    return f"{error.what}: {error.why}" if error.why else error.what


def failing(error: BackupError, before: str | None) -> str:
    """Say that the heartbeat fails; ``before`` is the value before all leases."""
    if isinstance(error, RowGoneError):
        return (
            "the row tikv_gc_life_time has gone from mysql.tidb while this backup runs: TiDB's GC"
            f" goes by its default, {_DEFAULT}, and may pass the snapshot. To do: SET GLOBAL"
            f" tidb_gc_life_time = '{before or _DEFAULT}' makes the row anew, and this backup"
            " raises it at once"
        )
    return (
        f"the heartbeat of the lease on the GC life time fails ({told(error)}); it is tried again"
        " all the time, and what GC may have removed is checked then"
    )


def left_behind(error: BackupError, before: str | None, lease_seconds: int) -> str:
    """Say that the lease could not be given back, and what comes of it."""
    by_hand = f"SET GLOBAL tidb_gc_life_time = '{before or _DEFAULT}'"
    if isinstance(error, RowGoneError):
        return (
            "the row tikv_gc_life_time was removed from mysql.tidb while this backup ran, so there"
            f" is nothing to put back: TiDB's GC goes by its default, {_DEFAULT}. To do, if that is"
            f" not meant: {by_hand}"
        )
    return (
        f"the lease on the GC life time could not be given back ({told(error)}); it ends by itself"
        f" within {lease_seconds // 60} min, and the next backup after that puts"
        f" {before or _DEFAULT} back. By hand: {by_hand}"
    )


def foreign(change: Change, need: int) -> str | None:
    """Say what somebody else has made of the value, if it is of concern; ``need`` is in ns."""
    found = change.found.value
    if change.lowered:
        return (
            f"tikv_gc_life_time was set to {found} while this backup needs"
            f" {format_duration(need)}: raised again until the backup has ended"
        )
    if rules.nanoseconds(found) is None:
        return (
            f"tikv_gc_life_time was set to {found!r}, which is no duration: TiDB's GC stands"
            " still until SET GLOBAL tidb_gc_life_time mends it"
        )
    return None
