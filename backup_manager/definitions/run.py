"""The settings of a run: the database, the volume, the dump, and what is told of it."""

from pathlib import Path

from backup_manager import values
from backup_manager.definitions.definition import Definition
from backup_manager.report import LEVELS

DATABASE = (
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
VOLUME = (
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
DUMP = (
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
RUN = (
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
        values.one_of(values.FORMATS, "format"),
        values.FILES,
        metavar="FORMAT",
        choices=values.FORMATS,
    ),
    Definition("name", "Name of the backup, kept in its record; part of the run's identity."),
    Definition("schedule", "Name of the schedule that the backup belongs to, kept in its record."),
    Definition("owner-uid", "UID of the Job that owns the run; part of the run's identity."),
)
METRICS = (
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
LOG = (
    Definition(
        "log-level",
        "Least level of the log: debug, info, warning or error.",
        values.one_of(LEVELS, "level"),
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
