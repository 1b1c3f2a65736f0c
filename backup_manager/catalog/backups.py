"""One backup as the store shows it: its state, told by its commit record."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from backup_manager.catalog.formats import LaterFormatError, Record, read_record
from backup_manager.catalog.layout import Layout, relative
from backup_manager.catalog.naming import Name
from backup_manager.errors import BackupError, MismatchError, StoreError, UsageError


class State(StrEnum):
    """What a backup is, as far as its record tells."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"  # there is no record
    DAMAGED = "damaged"  # the record does not fit
    LATER = "later-format"  # this version cannot read the record
    UNREADABLE = "unreadable"  # the store refuses the record
    OPERATOR = "operator"  # an archive of TiDB Operator's manager: it has no record


@dataclass(frozen=True)
class Backup:
    """A backup under the prefix; ``url`` is its s3:// address, ``why`` what is wrong with it.

    ``stored``: when the store took its record, by the store's clock. ``locked``: how Object Lock
    holds the record, for people. ``bytes``: of an operator's archive, which has no record.
    """

    name: Name
    layout: Layout
    url: str
    state: State
    record: Record | None = None
    why: str = ""
    stored: datetime | None = None
    locked: str = ""
    bytes: int | None = None

    @property
    def complete(self) -> Record:
        """Its record. Raises what is wrong with a backup that has no good one."""
        if self.state is State.COMPLETE and self.record:
            return self.record
        raise _refused(self)


def judge(data: bytes, name: Name, layout: Layout) -> tuple[State, Record | None, str]:
    """Tell a backup's state by its record's bytes: with the record, or what is wrong with it."""
    try:
        record = read_record(data)
    except LaterFormatError as error:
        return State.LATER, None, error.message
    except ValueError as error:
        return State.DAMAGED, None, str(error)
    if not record.id.startswith(name.short_id) or record.started != name.started:
        return State.DAMAGED, None, "the record is that of another backup"
    archive = record.archive and record.archive.key
    if archive != (relative(layout.root) if layout.archived else None):
        return State.DAMAGED, None, "the record is that of another format"
    return State.COMPLETE, record, ""


def _refused(backup: Backup) -> BackupError:
    what = f"{backup.url} cannot be used"
    if backup.state is State.LATER:
        return UsageError(what, why=backup.why)
    if backup.state is State.INCOMPLETE:
        return StoreError(
            what,
            why="it has no commit record: it was never published, or half of it was removed",
            fix="take another one (backup-manager list shows them), or latest",
        )
    if backup.state is State.UNREADABLE:
        return StoreError(
            what,
            why=f"its commit record cannot be read: {backup.why}",
            fix="allow s3:GetObject there; or bring it back from the class in which it is archived",
        )
    if backup.state is State.OPERATOR:
        return UsageError(
            what,
            why="it is an archive of TiDB Operator's own manager, with nothing to check it by",
            fix="fetch it as any object, for example with: aws s3 cp, and unpack it with tar",
        )
    return MismatchError(
        what,
        why=f"its commit record is damaged: {backup.why}",
        fix="take another one (backup-manager list shows them), or latest",
    )
