"""``clean`` in the operator's clean Job: what ``status.backupPath`` names goes, and nothing else.

The operator lets a Backup object go once its condition Clean is "True".
"""

import time
from typing import TYPE_CHECKING, Any

from backup_manager.catalog.naming import name_in
from backup_manager.errors import (
    BackupError,
    InterruptedBySignalError,
    KubernetesError,
    Reason,
    StoreError,
    UsageError,
)
from backup_manager.kubernetes.backup_object import BackupObject
from backup_manager.kubernetes.events import NORMAL, WARNING
from backup_manager.kubernetes.status import Condition, Type, Wanted
from backup_manager.kubernetes.telling import MESSAGE_BYTES, PATIENCE_SECONDS
from backup_manager.removal import clean
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.texts import cut, printable

if TYPE_CHECKING:
    from backup_manager.context import Context  # it imports this package


def clean_object(context: "Context", backup: BackupObject, flags: dict[str, Any]) -> None:
    """Remove the backup of an object from the store, and say so in its status.

    Raises BackupError; KubernetesError where the status could not be written: the operator would
    wait for it without an end, and its Job tries again.
    """
    report, stop = context.report, context.stop
    try:
        _remove(context, backup, flags)
    except InterruptedBySignalError:
        raise  # the Job's next Pod goes on
    except BackupError as error:
        stop.check()
        try:
            _tell_failure(backup, error, report, stop)
        except KubernetesError as untold:
            report.warn(untold.message)
        raise
    wanted = Wanted([Condition(Type.CLEAN, time.time())], over=(Type.CLEAN_FAILED,))
    try:
        _tell(backup, wanted, (NORMAL, "Cleaned", report.summary.message), stop)
    except KubernetesError:
        # Removed, and yet no success: the Job is to try again until the operator hears of it.
        report.summary.status = "failed"
        raise


def _remove(context: "Context", backup: BackupObject, flags: dict[str, Any]) -> None:
    path = _path(backup)
    name = name_in(path)
    if name is None:
        raise UsageError(
            f"status.backupPath of {backup} names no backup",
            why=f"{path} is not of the form s3://BUCKET/PREFIX/backup-...; nothing was removed",
            fix="see who has changed it; what is to go there has to be removed by hand",
            reason=Reason.CLEAN,
        )
    with context.catalog("clean", flags, path, of=backup) as (_, catalog):
        context.report.summary.backup = path
        found = clean.left_of(catalog, name)
        if found is None:
            context.report.succeed(f"{path} is gone already")
            return
        context.tell(found)
        clean.check_lock(catalog, found)
        if caution := clean.caution_of(catalog, found):
            context.report.warn(caution)
        clean.clean(catalog, found)


def _path(backup: BackupObject) -> str:
    backup.spec.check()
    path = backup.path
    if path is None:
        raise UsageError(
            f"status.backupPath of {backup} is empty",
            why="it is not known where its backup lies; nothing was removed",
            fix="if it ever was made, find it with backup-manager list, and remove it with "
            "backup-manager clean ADDRESS",
            reason=Reason.NO_PATH,
        )
    return path.rstrip("/")


def _tell_failure(backup: BackupObject, error: BackupError, report: Report, stop: Stop) -> None:
    reason = Reason.CLEAN if isinstance(error, StoreError) else error.reason
    message = cut(str(printable(report.redact(error.message))), MESSAGE_BYTES)
    condition = Condition(Type.CLEAN_FAILED, time.time(), reason, message)
    _tell(backup, Wanted([condition]), (WARNING, reason, message), stop)


def _tell(backup: BackupObject, wanted: Wanted, event: tuple[str, str, str], stop: Stop) -> None:
    backup.writer().insist(wanted, PATIENCE_SECONDS, stop.seconds_left)
    events = backup.events()
    events.add(*event)
    events.insist(stop.seconds_left)
