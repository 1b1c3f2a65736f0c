"""Every setting of ``export`` as data: its flag, how its text is read, what it is without one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backup_manager import values
from backup_manager.store.providers import PROVIDERS


@dataclass(frozen=True)
class Definition:
    """One setting: its flag without dashes, how its text is read, and what it is without one."""

    flag: str
    help: str
    parse: Callable[[str], Any] = str
    default: str | None = None
    variable: str | None = None
    metavar: str = "TEXT"
    repeated: bool = False
    switch: bool = False
    secret: bool = False

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
        "BACKUP_MANAGER_PASSWORD holds the password itself. No flag does.",
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
    ),
    Definition(
        "endpoint",
        "Address of the store, such as https://rgw.example.com:7443.",
        variable="S3_ENDPOINT",
        metavar="URL",
    ),
    Definition("region", "Region of the bucket.", variable="AWS_REGION"),
    Definition("bucket", "Bucket that the backup goes to. Required.", values.bucket),
    Definition("prefix", "Prefix in the bucket under which backups lie.", values.prefix),
    Definition(
        "storage-class",
        "Storage class of the objects.",
        variable="AWS_STORAGE_CLASS",
        metavar="NAME",
    ),
    Definition("acl", "Canned ACL of the objects.", variable="AWS_ACL", metavar="NAME"),
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
        values.seconds,
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
    Definition("name", "Name of the backup, kept in its record; part of the run's identity."),
    Definition("schedule", "Name of the schedule that the backup belongs to, kept in its record."),
    Definition("owner-uid", "UID of the Job that owns the run; part of the run's identity."),
    Definition(
        "log-level",
        "Least level of the log: debug, info, warning or error.",
        values.log_level,
        "info",
        metavar="LEVEL",
    ),
)
DEFINITIONS = (*_DATABASE, *_STORE, *_VOLUME, *_DUMP, *_RUN)
