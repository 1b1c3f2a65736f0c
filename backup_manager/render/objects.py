"""What is made of a Backup or a BackupSchedule: a volume claim, and a Job or a CronJob."""

from dataclasses import dataclass
from typing import Any

from backup_manager.kubernetes.spec import SCHEDULE_LABEL
from backup_manager.render.pod import Object, pod_spec
from backup_manager.render.wanted import Wanted

# As TiDB Operator has it (pkg/backup/constants).
DEFAULT_STORAGE = "100Gi"
# A Pod that ends is followed by one that goes on with a finished dump, so some more are worth it.
_BACKOFF_LIMIT = 6
_USAGE = 2
_HISTORY = 3
_BACKUP_LABEL = "tidb.pingcap.com/backup"


@dataclass(frozen=True)
class Options:
    """How objects are made: ``ttl_seconds`` after its end a Job is removed, if it is given."""

    image: str
    namespace: str | None = None
    rbac: bool = False
    ttl_seconds: int | None = None


def objects_of(wanted: Wanted, options: Options) -> list[Object]:
    """Return what to apply, in the order in which it is needed."""
    return [
        *_accounts(wanted, options),
        _claim(wanted),
        _cron_job(wanted, options) if wanted.scheduled else _job(wanted, options),
    ]


def _metadata(wanted: Wanted, name: str | None = None) -> Object:
    made: Object = {"name": name or wanted.name}
    if wanted.namespace:
        made["namespace"] = wanted.namespace
    return made | {"labels": _labels(wanted)}


def _labels(wanted: Wanted) -> dict[str, str]:
    own = wanted.document.get("metadata.labels") or {}
    label = SCHEDULE_LABEL if wanted.scheduled else _BACKUP_LABEL
    return {
        **own,
        "app.kubernetes.io/name": "backup",
        "app.kubernetes.io/instance": wanted.name,
        "app.kubernetes.io/managed-by": "backup-manager",
        label: wanted.name,
    }


def _annotations(wanted: Wanted) -> dict[str, str]:
    own = wanted.document.get("metadata.annotations") or {}
    # What kubectl keeps there is about the object that it came from.
    return {
        name: text for name, text in own.items() if not name.startswith("kubectl.kubernetes.io/")
    }


def _accounts(wanted: Wanted, options: Options) -> list[Object]:
    """Return the ServiceAccount of the Pods. No Role: a rendered Job asks nothing of the API."""
    name = wanted.spec.get("serviceAccount")
    if not options.rbac or not name:
        return []
    metadata = _metadata(wanted, name)
    # It is shared by all that name it.
    metadata["labels"] = {"app.kubernetes.io/managed-by": "backup-manager"}
    return [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}]


def _claim(wanted: Wanted) -> Object:
    size = wanted.spec.get("storageSize") or DEFAULT_STORAGE
    spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    }
    if name := wanted.spec.get("storageClassName"):
        spec["storageClassName"] = name
    metadata = _metadata(wanted)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": spec,
    }


def _job(wanted: Wanted, options: Options) -> Object:
    made: Object = {"apiVersion": "batch/v1", "kind": "Job", "metadata": _metadata(wanted)}
    if annotations := _annotations(wanted):
        made["metadata"]["annotations"] = annotations
    return made | {"spec": _job_spec(wanted, options)}


def _cron_job(wanted: Wanted, options: Options) -> Object:
    get = wanted.document.get
    spec: Object = {"schedule": get("spec.schedule")}
    if zone := get("spec.timeZone"):
        spec["timeZone"] = zone
    spec |= {
        "suspend": bool(get("spec.pause")),
        # The next one waits for its turn: they share the volume.
        "concurrencyPolicy": "Forbid",
        "successfulJobsHistoryLimit": _HISTORY,
        "failedJobsHistoryLimit": _HISTORY,
        "jobTemplate": {
            "metadata": _template_metadata(wanted),
            "spec": _job_spec(wanted, options),
        },
    }
    metadata = _metadata(wanted)
    if annotations := _annotations(wanted):
        metadata["annotations"] = annotations
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}


def _template_metadata(wanted: Wanted) -> Object:
    made: Object = {"labels": _labels(wanted)}
    if annotations := _annotations(wanted):
        made["annotations"] = annotations
    return made


def _job_spec(wanted: Wanted, options: Options) -> Object:
    spec: Object = {
        "backoffLimit": _BACKOFF_LIMIT,
        "podFailurePolicy": {
            "rules": [
                # Wrong settings are no better at the next try.
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": "backup",
                        "operator": "In",
                        "values": [_USAGE],
                    },
                },
                # Nor does a drained node count: the next Pod goes on.
                {
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
            ]
        },
    }
    if options.ttl_seconds is not None:
        spec["ttlSecondsAfterFinished"] = options.ttl_seconds
    template: dict[str, Any] = {
        "metadata": _template_metadata(wanted),
        "spec": pod_spec(wanted, options.image),
    }
    return spec | {"template": template}
