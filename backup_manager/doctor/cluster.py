"""The Backup object: is it there, and may what export writes be written? Nothing is changed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from backup_manager.doctor.case import Case, the
from backup_manager.doctor.findings import Finding
from backup_manager.errors import KubernetesError

if TYPE_CHECKING:
    from backup_manager.kubernetes.backup_object import BackupObject

_CONFLICT, _FORBIDDEN = 409, 403
_TRIES = 5


def backup_object(case: Case) -> Iterator[Finding]:
    """Read the object."""
    if case.object_trouble:
        raise case.object_trouble
    backup = the(case.backup)
    phase = backup.spec.text("status.phase")
    yield Finding.ok(f"{backup} is there, its phase is {phase or 'not set yet'}")
    if backup.complete:
        yield Finding.warning(
            f"{backup} is complete already: export would end with 10, and change nothing",
            "make another Backup object for another backup",
        )


def status(case: Case) -> Iterator[Finding]:
    """Have the API say whether the object could be replaced by itself."""
    backup = the(case.backup)
    _replace(backup)
    yield Finding.ok(f"the status of {backup} can be written")


def _replace(backup: "BackupObject") -> None:
    body = backup.body
    for _ in range(_TRIES - 1):
        try:
            backup.api.write(body, dry_run=True)
        except KubernetesError as error:
            if error.status != _CONFLICT:
                raise
            body = backup.api.read()  # somebody has changed it meanwhile
        else:
            return
    backup.api.write(body, dry_run=True)


def events(case: Case) -> Iterator[Finding]:
    """Have the API say whether an event could be made."""
    backup = the(case.backup)
    try:
        backup.events().probe()
    except KubernetesError as error:
        if error.status != _FORBIDDEN:
            raise
        yield Finding.warning(f"no events will be told: {error.why}", error.fix)
        return
    yield Finding.ok("events can be told")
