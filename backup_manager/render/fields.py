"""The fields of Backup and BackupSchedule, with their types; what they mean here is elsewhere.

Source: TiDB Operator's pkg/apis/pingcap/v1alpha1/types.go (v1.6).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a field has to be, as it is said to people."""

    TEXT = "a text"
    NUMBER = "a whole number"
    BOOLEAN = "true or false"
    TEXTS = "a list of texts"
    NAMED = "an object of texts"
    # Handed on as they are: the API server knows them.
    OBJECT = "an object"
    LIST = "a list of objects"


@dataclass(frozen=True)
class Ignored:
    """A field without a meaning here: why, and what the API server puts there by itself."""

    why: str
    default: Any = None


Fields = Mapping[str, "Kind | Ignored | Fields"]

_BR = "it has a meaning for BR only"
_OPERATORS = "it tells the operator what to do, and there is none"
_TEXT, _TEXTS, _LIST, _OBJECT = Kind.TEXT, Kind.TEXTS, Kind.LIST, Kind.OBJECT

METADATA: Fields = {
    "name": _TEXT,
    "namespace": _TEXT,
    "labels": Kind.NAMED,
    "annotations": Kind.NAMED,
    # What an object has that comes from a cluster.
    **dict.fromkeys(
        (
            "creationTimestamp",
            "deletionGracePeriodSeconds",
            "deletionTimestamp",
            "finalizers",
            "generateName",
            "generation",
            "managedFields",
            "ownerReferences",
            "resourceVersion",
            "selfLink",
            "uid",
        ),
        Ignored(""),
    ),
}
BACKUP: Fields = {
    "from": {
        "host": _TEXT,
        "port": Kind.NUMBER,
        "user": _TEXT,
        "secretName": _TEXT,
        "tlsClientSecretName": _TEXT,
    },
    "s3": {
        "provider": _TEXT,
        "endpoint": _TEXT,
        "region": _TEXT,
        "bucket": _TEXT,
        "prefix": _TEXT,
        "secretName": _TEXT,
        "storageClass": _TEXT,
        "acl": _TEXT,
        "sse": _TEXT,
        "forcePathStyle": Kind.BOOLEAN,
        "options": _TEXTS,
        "path": Ignored("a backup gets a name of its own under the prefix"),
    },
    "dumpling": {"options": _TEXTS, "tableFilter": _TEXTS},
    "tableFilter": _TEXTS,
    "tikvGCLifeTime": _TEXT,
    "storageClassName": _TEXT,
    "storageSize": _TEXT,
    "useKMS": Kind.BOOLEAN,
    "toolImage": _TEXT,
    "serviceAccount": _TEXT,
    "automountServiceAccountToken": Kind.BOOLEAN,
    "imagePullSecrets": _LIST,
    "podSecurityContext": _OBJECT,
    "priorityClassName": _TEXT,
    "resources": _OBJECT,
    "tolerations": _LIST,
    "affinity": _OBJECT,
    "env": _LIST,
    "additionalVolumes": _LIST,
    "additionalVolumeMounts": _LIST,
    "backupType": _TEXT,
    "backupMode": _TEXT,
    "backoffRetryPolicy": Ignored(
        "the Job's backoffLimit takes its place",
        {"maxRetryTimes": 2, "minRetryDuration": "300s", "retryTimeout": "30m"},
    ),
    "cleanPolicy": Ignored(
        "no backup goes when a Job is deleted: backup-manager clean and prune do that", "Retain"
    ),
    "cleanOption": Ignored(_OPERATORS),
    "br": Ignored(f"{_BR}: this makes a logical backup with Dumpling"),
    "calcSizeLevel": Ignored(_BR, "all"),
    "commitTs": Ignored(_BR),
    "federalVolumeBackupPhase": Ignored(_BR),
    "logStop": Ignored(_BR),
    "logSubcommand": Ignored(_BR),
    "logTruncateUntil": Ignored(_BR),
    "resumeGcSchedule": Ignored(_BR),
    "volumeAttributesClassName": Ignored(_BR),
    "volumeBackupInitJobMaxActiveSeconds": Ignored(_BR, 600),
    **dict.fromkeys(("azblob", "gcs", "local"), Ignored("backups go to spec.s3 alone")),
}
SCHEDULE: Fields = {
    "schedule": _TEXT,
    "timeZone": _TEXT,
    "pause": Kind.BOOLEAN,
    "maxBackups": Kind.NUMBER,
    "maxReservedTime": _TEXT,
    "storageClassName": _TEXT,
    "storageSize": _TEXT,
    "imagePullSecrets": _LIST,
    "backupTemplate": BACKUP,
    "br": Ignored(_BR),
    "compactBackupTemplate": Ignored(_BR),
    "compactInterval": Ignored(_BR),
    "compactSpan": Ignored(_BR),
    "logBackupTemplate": Ignored(_BR),
}
# What a Pod or a Job has, and neither kind.
ELSEWHERE = {
    "image": "give the image with --image",
    "nodeSelector": "name the nodes by spec.affinity",
    "ttlSecondsAfterFinished": "give it with --ttl",
}
KINDS = {"Backup": BACKUP, "BackupSchedule": SCHEDULE}
# What holds fields of its own.
OBJECTS = frozenset({"metadata", "spec", "backupTemplate", "from", "s3", "dumpling"})
_TOP = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


def fields_of(kind: str) -> Fields:
    """Return all fields of an object of that kind."""
    top: dict[str, Kind | Ignored | Fields] = dict.fromkeys(_TOP, Ignored(""))
    return {**top, "metadata": METADATA, "spec": KINDS[kind]}


def children_of(key: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return what may stand in the object of that name, and what may stand beside it."""
    spec = frozenset(BACKUP) | frozenset(SCHEDULE)
    objects = {name: value for name, value in BACKUP.items() if isinstance(value, Mapping)}
    if key == "metadata":
        return frozenset(METADATA), _TOP
    if key == "spec":
        return spec, _TOP
    if key == "backupTemplate":
        return frozenset(BACKUP), frozenset(SCHEDULE)
    return frozenset(objects.get(key, ())), spec


def holders_of(name: str, kind: str) -> list[str]:
    """Return the paths of the objects, of that kind, in which a field of this name may stand."""
    found = []

    def look(fields: Fields, path: str) -> None:
        if name in fields and path and not isinstance(fields[name], Ignored):
            found.append(path)
        for inner, value in fields.items():
            if isinstance(value, Mapping):
                look(value, f"{path}.{inner}" if path else inner)

    look(fields_of(kind), "")
    return found
