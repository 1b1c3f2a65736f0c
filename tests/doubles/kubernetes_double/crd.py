"""The fields of a Backup in TiDB Operator v1.6, as far as its schema matters here.

What a Pod's spec would hold (affinity, tolerations, volumes, …) is kept as it comes.
"""

from .schema import Field, listed, record

_STRING = Field("string")
_BOOLEAN = Field("boolean")
_INTEGER = Field("integer")
_NUMBER = Field("number")
_TIME = Field("date-time")
_TIME_OR_NULL = Field("date-time", nullable=True)
_ANY_OBJECT = Field("object")
_STRINGS = listed(_STRING)
_ANY_OBJECTS = listed(_ANY_OBJECT)

_FROM = record(
    required=("host", "secretName"),
    host=_STRING,
    port=_INTEGER,
    user=_STRING,
    secretName=_STRING,
    tlsClientSecretName=_STRING,
)
_S3 = record(
    required=("provider",),
    acl=_STRING,
    bucket=_STRING,
    endpoint=_STRING,
    forcePathStyle=_BOOLEAN,
    options=_STRINGS,
    path=_STRING,
    prefix=_STRING,
    provider=_STRING,
    region=_STRING,
    secretName=_STRING,
    sse=_STRING,
    storageClass=_STRING,
)
_SPEC = record(
    additionalVolumeMounts=_ANY_OBJECTS,
    additionalVolumes=_ANY_OBJECTS,
    affinity=_ANY_OBJECT,
    automountServiceAccountToken=_BOOLEAN,
    azblob=_ANY_OBJECT,
    backoffRetryPolicy=_ANY_OBJECT,
    backupMode=Field("string", default="snapshot"),
    backupType=_STRING,
    br=_ANY_OBJECT,
    calcSizeLevel=Field("string", default="all"),
    cleanOption=_ANY_OBJECT,
    cleanPolicy=Field("string", default="Retain", enum=("Retain", "OnFailure", "Delete")),
    commitTs=_STRING,
    dumpling=record(options=_STRINGS, tableFilter=_STRINGS),
    env=listed(record(required=("name",), name=_STRING, value=_STRING, valueFrom=_ANY_OBJECT)),
    federalVolumeBackupPhase=_STRING,
    from_=_FROM,
    gcs=_ANY_OBJECT,
    imagePullSecrets=_ANY_OBJECTS,
    local=_ANY_OBJECT,
    logStop=_BOOLEAN,
    logSubcommand=Field("string", enum=("log-start", "log-stop", "log-pause")),
    logTruncateUntil=_STRING,
    podSecurityContext=_ANY_OBJECT,
    priorityClassName=_STRING,
    resources=_ANY_OBJECT,
    resumeGcSchedule=_BOOLEAN,
    s3=_S3,
    serviceAccount=_STRING,
    storageClassName=_STRING,
    storageSize=_STRING,
    tableFilter=_STRINGS,
    tikvGCLifeTime=_STRING,
    tolerations=_ANY_OBJECTS,
    toolImage=_STRING,
    useKMS=_BOOLEAN,
    volumeAttributesClassName=_STRING,
    volumeBackupInitJobMaxActiveSeconds=Field("integer", default=600),
)
_CONDITION = record(
    required=("status", "type"),
    command=_STRING,
    lastTransitionTime=_TIME_OR_NULL,
    message=_STRING,
    reason=_STRING,
    status=_STRING,
    type=_STRING,
)
_PROGRESS = record(lastTransitionTime=_TIME_OR_NULL, progress=_NUMBER, step=_STRING)
_RETRY = record(
    detectFailedAt=_TIME,
    expectedRetryAt=_TIME,
    originalReason=_STRING,
    realRetryAt=_TIME,
    retryNum=_INTEGER,
    retryReason=_STRING,
)
_STATUS = record(
    backoffRetryStatus=listed(_RETRY),
    backupPath=_STRING,
    backupSize=_INTEGER,
    backupSizeReadable=_STRING,
    brOperations=Field("array", nullable=True, items=_ANY_OBJECT),
    commitTs=_STRING,
    conditions=listed(_CONDITION, nullable=True),
    incrementalBackupSize=_INTEGER,
    incrementalBackupSizeReadable=_STRING,
    logCheckpointTs=_STRING,
    logSubCommandStatuses=_ANY_OBJECT,
    logSuccessTruncateUntil=_STRING,
    phase=_STRING,
    progresses=listed(_PROGRESS, nullable=True),
    timeCompleted=_TIME_OR_NULL,
    timeStarted=_TIME_OR_NULL,
    timeSynced=_TIME_OR_NULL,
    timeTaken=_STRING,
)
OWNED_BY_CLIENTS = ("labels", "annotations", "finalizers", "ownerReferences", "generateName")
_OWNED_BY_THE_SERVER = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink",
)  # fmt: skip
_METADATA_KINDS = {
    "labels": _ANY_OBJECT,
    "annotations": _ANY_OBJECT,
    "finalizers": _STRINGS,
    "ownerReferences": _ANY_OBJECTS,
    "managedFields": _ANY_OBJECTS,
    "generation": _INTEGER,
    "deletionGracePeriodSeconds": _INTEGER,
    "creationTimestamp": _TIME_OR_NULL,
}
_METADATA = Field(
    "object",
    properties={
        name: _METADATA_KINDS.get(name, _STRING)
        for name in (*OWNED_BY_CLIENTS, *_OWNED_BY_THE_SERVER)
    },
)

BACKUP = record(
    required=("metadata", "spec"),
    apiVersion=_STRING,
    kind=_STRING,
    metadata=_METADATA,
    spec=_SPEC,
    status=_STATUS,
)
