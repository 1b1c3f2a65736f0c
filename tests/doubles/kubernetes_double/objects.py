"""A Backup as a user applies it and the operator has scheduled it."""

import uuid
from collections.abc import Mapping
from typing import Any

from .answers import VERSION, Document
from .store import now

FINALIZER = "tidb.pingcap.com/backup-protection"
SCHEDULE_LABEL = "tidb.pingcap.com/backup-schedule"


def backup_object(
    name: str,
    namespace: str,
    *,
    s3: Mapping[str, Any] | None = None,
    from_: Mapping[str, Any] | None = None,
    schedule: str | None = None,
    **spec: Any,
) -> Document:
    """`s3` and `from_` are laid over what is needed; a None in them leaves a field out.

    A `cleanPolicy` other than Retain brings the operator's finalizer; `schedule`, its labels.
    """
    source = {"host": "127.0.0.1", "port": 4000, "user": "root", "secretName": "backup-tidb-secret"}
    storage = {"provider": "ceph", "bucket": "backups", "secretName": "s3-secret"}
    made: Document = {
        "apiVersion": VERSION,
        "kind": "Backup",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now(),
        },
        "spec": {
            "backupMode": "snapshot",
            "from": _without_none(source | dict(from_ or {})),
            "s3": _without_none(storage | dict(s3 or {})),
            "storageSize": "10Gi",
            **spec,
        },
        "status": {
            "phase": "Scheduled",
            "conditions": [{"type": "Scheduled", "status": "True", "lastTransitionTime": now()}],
            "timeStarted": None,
            "timeCompleted": None,
        },
    }
    if schedule:
        made["metadata"]["labels"] = {
            "app.kubernetes.io/instance": schedule,
            "app.kubernetes.io/managed-by": "backup-schedule-operator",
            SCHEDULE_LABEL: schedule,
        }
    if spec.get("cleanPolicy", "Retain") != "Retain":
        made["metadata"]["finalizers"] = [FINALIZER]
    return made


def _without_none(fields: Mapping[str, Any]) -> Document:
    return {name: value for name, value in fields.items() if value is not None}
