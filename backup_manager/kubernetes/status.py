"""The status of a Backup object: how the operator's own updater writes it, without a cluster.

Sources: TiDB Operator v1.6, pkg/apis/pingcap/v1alpha1/backup.go (UpdateBackupCondition) and
pkg/controller/backup_status_updater.go.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from backup_manager.canonical import timestamp

TRUE, FALSE = "True", "False"
_KILO = 1000
_TEN = 10


class Type(StrEnum):
    """The types of conditions, each of them a phase too."""

    PREPARE = "Prepare"
    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"
    CLEAN = "Clean"
    CLEAN_FAILED = "CleanFailed"


@dataclass(frozen=True)
class Condition:
    """A condition that is true since ``at``, in Unix time."""

    type: Type
    at: float
    reason: str = ""
    message: str = ""

    @property
    def body(self) -> dict[str, str]:
        body = {
            "type": str(self.type),
            "status": TRUE,
            "lastTransitionTime": moment(self.at),
            "reason": self.reason,
            "message": self.message,
        }
        return {name: value for name, value in body.items() if value}


@dataclass
class Wanted:
    """What the status is to say: conditions as they came, fields, and steps with their percent.

    ``over``: conditions that are true no more. ``at``: the time of the progress, in Unix time.
    """

    conditions: list[Condition] = field(default_factory=list)
    over: tuple[Type, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, float] = field(default_factory=dict)
    at: float = 0.0


def merged(body: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    """Return the object with what is wanted in its status; all else stays as others wrote it."""
    result = deepcopy(dict(body))
    status = result.get("status")
    if not isinstance(status, dict):
        status = result["status"] = {}
    status.update(wanted.fields)
    for condition in wanted.conditions:
        _put(_list(status, "conditions"), "type", condition.body)
    for kind in wanted.over:
        _end(_list(status, "conditions"), kind, wanted.conditions[-1])
    if wanted.conditions:
        status["phase"] = str(wanted.conditions[-1].type)
    for step, percent in wanted.progress.items():
        _advance(_list(status, "progresses"), step, percent, moment(wanted.at))
    return result


def is_complete(body: Mapping[str, Any]) -> bool:
    """Tell whether the object's backup has been made."""
    status = body.get("status")
    conditions = status.get("conditions") if isinstance(status, Mapping) else None
    if not isinstance(conditions, list):
        return False
    return any(
        isinstance(each, Mapping)
        and each.get("type") == Type.COMPLETE
        and each.get("status") == TRUE
        for each in conditions
    )


def without_progress(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object without what moves all the time."""
    status = {name: each for name, each in body["status"].items() if name != "progresses"}
    return {**body, "status": status}


def _list(status: dict[str, Any], name: str) -> list[Any]:
    items = status.get(name)
    if not isinstance(items, list):
        items = status[name] = []
    return items


def _find(items: list[Any], key: str, value: str) -> int | None:
    for number, item in enumerate(items):
        if isinstance(item, dict) and item.get(key) == value:
            return number
    return None


def _put(items: list[Any], key: str, body: dict[str, Any]) -> None:
    number = _find(items, key, body[key])
    if number is None:
        items.append(body)
    else:
        items[number] = body


def _end(conditions: list[Any], kind: Type, by: Condition) -> None:
    number = _find(conditions, "type", kind)
    if number is not None and conditions[number].get("status") == TRUE:
        conditions[number] = conditions[number] | {
            "status": FALSE,
            "lastTransitionTime": moment(by.at),
        }


def _advance(progresses: list[Any], step: str, percent: float, now: str) -> None:
    number = _find(progresses, "step", step)
    if number is None or progresses[number].get("progress") != percent:
        body = {"step": step, "progress": percent, "lastTransitionTime": now}
        _put(progresses, "step", body)


def moment(at: float) -> str:
    """Print a Unix time as metav1.Time does: UTC, whole seconds."""
    return timestamp(datetime.fromtimestamp(int(at), UTC))


def readable(size: int) -> str:
    """Print bytes as the operator does (go-humanize's Bytes): 1.2 GB, 83 MB, 9 B."""
    if size < _TEN:
        return f"{size} B"
    units = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
    power = 0
    while size >= _KILO ** (power + 1):
        power += 1
    # As there: to a tenth, half up; no tenths from ten on.
    tenths = int(size / _KILO**power * _TEN + 0.5)
    value = tenths / _TEN
    return f"{value:.0f} {units[power]}" if value >= _TEN else f"{value:.1f} {units[power]}"
