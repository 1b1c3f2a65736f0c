"""Every setting of ``export`` as data: its flag, how its text is read, what it is without one."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backup_manager import values
from backup_manager.report import LEVELS
from backup_manager.store.encryption import (
    ALGORITHMS,
    LOCK_MODES,
    kms_context,
    lock_mode,
    sse_algorithm,
)
from backup_manager.store.providers import PROVIDERS


@dataclass(frozen=True)
class Definition:
    """One setting: its flag without dashes, how its text is read, and what it is without one.

    ``choices`` are the values to offer where a shell completes it; others may be right too.
    """

    flag: str
    help: str
    parse: Callable[[str], Any] = str
    default: str | None = None
    variable: str | None = None
    metavar: str = "TEXT"
    repeated: bool = False
    switch: bool = False
    secret: bool = False
    choices: Collection[str] = ()

    @property
    def name(self) -> str:
        return self.flag.replace("-", "_")

    @property
    def own_variable(self) -> str:
        return f"BACKUP_MANAGER_{self.name.upper()}"


_DATABASE = (
    Definition("host", "Host of the TiDB cluster.", default="127.0.0.1"),
    Definition("port", "Port of the TiDB cluster.", values.port, "4000", metavar="PORT"),
    Definition("user", "Database account.", default="root"),
    Definition(
        "password-file",
        "File that holds the account's password; one trailing newline is dropped. The variable "
        "BACKUP_MANAGER_PASSWORD holds the password itself, and "
        "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD what AWS KMS made of it. No flag does.",
        values.existing_file,
        metavar="FILE",
    ),
    Definition(
        "tls-ca", "CA certificate (PEM); turns TLS on.", values.existing_file, metavar="FILE"
    ),
    Definition("tls-cert", "Client certificate (PEM).", values.existing_file, metavar="FILE"),
    Definition("tls-key", "Client key (PEM).", values.existing_file, metavar="FILE"),
    Definition(
        "connect-timeout",
        "How long to go on trying to connect while the database is away or starting.",
        values.seconds,
        "30m",
        metavar="DURATION",
    ),
)
_STORE = (
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
    Definition("bucket", "Bucket that the backup goes to. Required.", values.bucket),
    Definition("prefix", "Prefix in the bucket under which backups lie.", values.prefix),
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
        "s3-ca",
        "CA certificates (PEM) that the store's certificate is checked by.",
        values.regular_file,
        metavar="FILE",
    ),
    Definition("s3-insecure", "Do not check the store's certificate at all.", switch=True),
    Definition(
        "s3-addressing",
        "Where the bucket's name goes: virtual (the host) or path. Without it: the provider's way.",
        values.addressing,
        metavar="STYLE",
        choices=values.ADDRESSING,
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
        "sse-customer-key-file",
        "File with an SSE-C key: 32 bytes, or the base64 of them.",
        values.regular_file,
        metavar="FILE",
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
    Definition("requester-pays", "Pay for the requests to another's bucket.", switch=True),
    Definition(
        "s3-option",
        "Option in rclone's spelling, such as --s3-chunk-size=64M; may be repeated.",
        repeated=True,
        metavar="OPTION",
    ),
)
_VOLUME = (
    Definition("volume", "Directory of the mounted PV.", Path, "/backup", metavar="DIR"),
    Definition(
        "lock-timeout",
        "How long to wait while another run of the same backup holds the volume.",
        values.seconds,
        "120s",
        metavar="DURATION",
    ),
    Definition(
        "no-resume",
        "Begin anew, even where the finished dump of an earlier run could be gone on with; that "
        "stays, see --retain-unpublished.",
        switch=True,
    ),
    Definition(
        "resume-max-age",
        "A finished dump whose snapshot is older than this is not taken up again.",
        values.seconds,
        "12h",
        metavar="DURATION",
    ),
    Definition(
        "retain-unpublished",
        "How long a finished dump that was not taken up, and never published, stays on the volume.",
        values.seconds,
        "72h",
        metavar="DURATION",
    ),
)
_DUMP = (
    Definition(
        "dumpling",
        "Dumpling's binary. Without it: the first of /var/lib/dumpling-bin/dumpling, /dumpling and "
        "dumpling on PATH.",
        metavar="FILE",
    ),
    Definition(
        "dumpling-option",
        "Option for Dumpling, merged over --threads=16 --rows=10000; may be repeated. All that "
        "stands after -- is the same.",
        repeated=True,
        metavar="OPTION",
    ),
    Definition(
        "table-filter",
        "Rule of what to back up, such as 'shop.*' or '!shop.tmp_*'; may be repeated. Without one: "
        "everything but the system schemas.",
        repeated=True,
        metavar="RULE",
    ),
    Definition(
        "gc-life-time",
        "GC life time while Dumpling runs, at least (10m to 8760h).",
        default="72h",
        metavar="DURATION",
    ),
    Definition("no-gc", "Leave the GC life time alone.", switch=True),
)
_RUN = (
    Definition(
        "store-timeout",
        "How long one request to the store may go without an answer or a byte moving.",
        values.wait_seconds,
        "60s",
        metavar="DURATION",
    ),
    Definition(
        "stall-timeout",
        "End a run in which nothing has moved for so long; once Dumpling has ended, also how long "
        "one part or file is tried again.",
        values.seconds,
        "15m",
        metavar="DURATION",
    ),
    Definition(
        "format",
        "files: each file is an object of its own, sent while Dumpling writes, for TiDB Lightning. "
        "archive: after the dump one .tgz of them all, for TiDB Operator's Restore.",
        values.backup_format,
        values.FILES,
        metavar="FORMAT",
        choices=values.FORMATS,
    ),
    Definition("name", "Name of the backup, kept in its record; part of the run's identity."),
    Definition("schedule", "Name of the schedule that the backup belongs to, kept in its record."),
    Definition("owner-uid", "UID of the Job that owns the run; part of the run's identity."),
    Definition(
        "log-level",
        "Least level of the log: debug, info, warning or error.",
        values.log_level,
        "info",
        metavar="LEVEL",
        choices=LEVELS,
    ),
    Definition(
        "quiet",
        "Nothing on stderr but warnings and errors, whatever --log-level says (with "
        "--log-level=error only errors): no progress, no table at the end. The line on stdout "
        "stays.",
        switch=True,
    ),
)
_METRICS = (
    Definition(
        "metrics-file",
        "File that tells node-exporter's textfile collector of the run, each 15 s and at its end; "
        "its name has to end in .prom.",
        values.metrics_file,
        metavar="FILE",
    ),
    Definition(
        "pushgateway",
        "Address of a Prometheus Pushgateway that is told of the run.",
        values.gateway,
        metavar="URL",
    ),
    Definition(
        "pushgateway-auth-file",
        "File that holds user:password for the Pushgateway.",
        values.regular_file,
        metavar="FILE",
    ),
)
# In the order in which --help and the manual page tell of them.
GROUPS = {
    "Database": _DATABASE,
    "Store": _STORE,
    "Volume": _VOLUME,
    "Dump": _DUMP,
    "Run": _RUN,
    "Metrics": _METRICS,
}
DEFINITIONS = tuple(definition for group in GROUPS.values() for definition in group)
