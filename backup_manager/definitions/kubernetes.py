"""The settings by which TiDB Operator's Jobs say what they are about, in its spelling."""

from backup_manager import values
from backup_manager.definitions.definition import Definition

# Where the operator mounts the Secret of spec.from.tlsClientSecretName.
CLIENT_TLS = "/var/lib/tidb-client-tls"

OBJECT = (
    Definition(
        "namespace",
        "Namespace of the Backup object. Without it: that of the Pod, or of KUBECONFIG's context.",
        values.object_name,
        metavar="NAME",
    ),
    Definition(
        "backupName",
        "Backup object of TiDB Operator that says what is not given here, and whose status is "
        "kept.",
        values.object_name,
        metavar="NAME",
    ),
)
CLUSTER = (
    *OBJECT,
    Definition(
        "storageType",
        "Kind of store, as the operator's Jobs name it: s3.",
        values.storage_type,
        metavar="TYPE",
        choices=(values.S3,),
    ),
    Definition(
        "client-tls",
        f"Speak TLS with the database, with ca.crt, tls.crt and tls.key of {CLIENT_TLS}.",
        switch=True,
        go=True,
    ),
    Definition(
        "skipClientCA",
        "With --client-tls: do not check the database's certificate.",
        switch=True,
        go=True,
    ),
)
RENDER = (
    Definition(
        "image",
        "Image of backup-manager for the Pods.",
        values.word,
        metavar="IMAGE",
    ),
    Definition(
        "namespace",
        "Namespace of all that is made, in place of the one that each object names.",
        values.namespace,
        metavar="NAME",
    ),
    Definition(
        "with-rbac",
        "Make the ServiceAccounts that the objects name. No Role is needed: such a Job asks "
        "nothing of the Kubernetes API.",
        switch=True,
    ),
    Definition(
        "ttl",
        "Have Kubernetes remove a Job, with its log, so long after its end, such as 72h.",
        values.job_ttl,
        metavar="DURATION",
    ),
    Definition(
        "output",
        "yaml or json.",
        values.one_of(values.OUTPUTS, "form of output"),
        values.OUTPUTS[0],
        metavar="FORM",
        choices=values.OUTPUTS,
    ),
)
