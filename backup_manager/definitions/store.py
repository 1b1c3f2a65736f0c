"""The settings of the store: where it is, how it is spoken to, and how new objects lie in it."""

from backup_manager import values
from backup_manager.definitions.definition import Definition
from backup_manager.store.encryption import (
    ALGORITHMS,
    LOCK_MODES,
    kms_context,
    lock_mode,
    sse_algorithm,
)
from backup_manager.store.providers import PROVIDERS

STORE = (
    Definition(
        "provider",
        f"Kind of store: {', '.join(PROVIDERS)}. Without it: aws where there is no endpoint, else "
        "other.",
        values.provider,
        variable="S3_PROVIDER",
        metavar="NAME",
        choices=PROVIDERS,
    ),
    Definition(
        "endpoint",
        "Address of the store, such as https://rgw.example.com:7443.",
        variable="S3_ENDPOINT",
        metavar="URL",
    ),
    Definition("region", "Region of the bucket.", values.region, variable="AWS_REGION"),
    Definition("bucket", "Bucket of the backups. Required.", values.bucket),
    Definition("prefix", "Prefix in the bucket under which backups lie.", values.prefix),
    Definition(
        "s3-ca",
        "CA certificates (PEM) that the store's certificate is checked by.",
        values.regular_file,
        metavar="FILE",
    ),
    Definition("s3-insecure", "Do not check the store's certificate at all.", switch=True),
    Definition(
        "s3-addressing",
        "Where the bucket's name goes: virtual (the host) or path. Without it: the provider's way.",
        values.one_of(values.ADDRESSING, "style of addressing"),
        metavar="STYLE",
        choices=values.ADDRESSING,
    ),
    Definition(
        "sse-customer-key-file",
        "File with an SSE-C key: 32 bytes, or the base64 of them.",
        values.regular_file,
        metavar="FILE",
    ),
    Definition("requester-pays", "Pay for the requests to another's bucket.", switch=True),
    Definition(
        "s3-option",
        "Option in rclone's spelling, such as --s3-chunk-size=64M; may be repeated.",
        repeated=True,
        metavar="OPTION",
    ),
    Definition(
        "store-timeout",
        "How long one request to the store may go without an answer or a byte moving.",
        values.wait_seconds,
        "60s",
        metavar="DURATION",
    ),
)
# Of new objects: what only reads and deletes has no use for them.
OBJECTS = (
    Definition(
        "storage-class",
        "Storage class of the objects.",
        values.word,
        variable="AWS_STORAGE_CLASS",
        metavar="NAME",
    ),
    Definition(
        "acl", "Canned ACL of the objects.", values.word, variable="AWS_ACL", metavar="NAME"
    ),
    Definition(
        "sse",
        "Encryption at rest by the store: AES256, aws:kms or aws:kms:dsse.",
        sse_algorithm,
        metavar="ALGORITHM",
        choices=ALGORITHMS,
    ),
    Definition("sse-kms-key-id", "Key of KMS, for --sse=aws:kms.", values.word, metavar="ID"),
    Definition(
        "sse-kms-context",
        "Encryption context for KMS: a JSON object of strings.",
        kms_context,
        metavar="JSON",
    ),
    Definition(
        "object-lock-mode",
        "Object Lock of each object: GOVERNANCE or COMPLIANCE.",
        lock_mode,
        metavar="MODE",
        choices=LOCK_MODES,
    ),
    Definition(
        "object-lock-retain",
        "How long Object Lock retains each object.",
        values.lock_seconds,
        metavar="DURATION",
    ),
)
