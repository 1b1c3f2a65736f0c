"""Every setting of ``export``, with where its value came from.

The order: the flag, then BACKUP_MANAGER_<FLAG>, then TiDB Operator's variable, then the default.
An empty variable is an unset one.
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from backup_manager import values
from backup_manager.errors import BackupError, UsageError
from backup_manager.store.providers import PROVIDERS

# Kubernetes sets BACKUP_MANAGER_PORT=tcp://10.0.0.1:80 and its kin in every Pod beside a Service
# that is called backup-manager: such a value is no setting.
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://")


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


DEFINITIONS = (
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
PASSWORD_VARIABLE = "BACKUP_MANAGER_PASSWORD"  # noqa: S105 - the variable's name, no password


@dataclass(frozen=True)
class Setting:
    """A value, its text as given, and its origin: a flag, a variable, or ``default``."""

    value: Any
    text: str
    origin: str


class Settings:
    """The settings of one run, resolved; ``settings["port"]`` is the parsed value."""

    def __init__(self, flags: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        """Resolve all of DEFINITIONS.

        ``flags`` holds what the command line gave (None or () where nothing). Raises UsageError,
        naming the origin of what is wrong.
        """
        self.resolved: dict[str, Setting] = {
            definition.name: _resolve(definition, flags.get(definition.name), environ)
            for definition in DEFINITIONS
        }
        self.password, self.password_origin = _password(self.resolved["password_file"], environ)

    def __getitem__(self, name: str) -> Any:
        return self.resolved[name].value


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a line for each BACKUP_MANAGER_* variable that looks like a setting misspelt."""
    known = {definition.own_variable for definition in DEFINITIONS} | {PASSWORD_VARIABLE}
    lines = []
    for name in sorted(environ):
        if name.startswith("BACKUP_MANAGER_") and name not in known and environ[name]:
            near = get_close_matches(name, known, n=1, cutoff=0.85)
            if near and not _SERVICE_LINK.match(environ[name]):
                lines.append(f"the variable {name} is no setting: is {near[0]} meant?")
    return lines


def _resolve(definition: Definition, flag: Any, environ: Mapping[str, str]) -> Setting:
    given, origin = _given(definition, flag, environ)
    check_utf8(origin, *((given,) if isinstance(given, str) else given or ()))
    if definition.repeated:
        return Setting(tuple(given or ()), shlex.join(given or ()), origin)
    if definition.switch:
        return Setting(_parse(definition, values.boolean, given or "false", origin), given, origin)
    if given is None:
        return Setting(None, "", origin)
    return Setting(_parse(definition, definition.parse, given, origin), given, origin)


def check_utf8(origin: str, *texts: str) -> None:
    """Raise UsageError where a text is no UTF-8: a record or a key could not hold it."""
    if not all(values.is_utf8(text) for text in texts):
        raise UsageError(f"{origin} is no UTF-8 text", fix="give it as UTF-8")


def _given(definition: Definition, flag: Any, environ: Mapping[str, str]) -> tuple[Any, str]:
    if flag not in (None, (), False):
        text = "true" if flag is True else flag
        return text, f"--{definition.flag}"
    own = environ.get(definition.own_variable)
    if own and not _SERVICE_LINK.match(own):
        return _split(definition, own), definition.own_variable
    if definition.variable and environ.get(definition.variable):
        return environ[definition.variable], definition.variable
    return definition.default, "default"


def _split(definition: Definition, text: str) -> str | Sequence[str]:
    """Several values in one variable: options as a shell splits them, rules a line each."""
    if definition.name == "dumpling_option":
        try:
            return shlex.split(text)
        except ValueError as error:
            raise UsageError(
                f"{definition.own_variable} cannot be split into options",
                why=str(error).lower(),
                fix="quote as in a shell, for example --where='id > 5'",
            ) from error
    if definition.repeated:
        return [line.strip() for line in text.splitlines() if line.strip()]
    return text


def _parse(definition: Definition, parse: Callable[[str], Any], text: str, origin: str) -> Any:
    where = f"--{definition.flag}" if origin == "default" else origin
    try:
        return parse(text)
    except BackupError:
        raise
    except ValueError as error:
        fix = error.args[1] if len(error.args) > 1 else f"see --{definition.flag} in --help"
        raise UsageError(f"{where} is wrong", why=str(error.args[0]), fix=fix) from error


def _password(file: Setting, environ: Mapping[str, str]) -> tuple[str, str]:
    if file.value is None:
        text = environ.get(PASSWORD_VARIABLE, "")
        check_utf8(PASSWORD_VARIABLE, text)
        return text, PASSWORD_VARIABLE if text else "default"
    try:
        text = file.value.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the password file {file.value} is no UTF-8 text",
            fix="write the password, and nothing else, into the file as UTF-8",
        ) from error
    except OSError as error:
        raise UsageError(
            f"the password file {file.value} cannot be read",
            why=error.strerror or str(error),
            fix="check the mount and its permissions",
        ) from error
    text = text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")
    if not text:
        raise UsageError(
            f"the password file {file.value} is empty",
            fix="write the password into it, or leave --password-file away for an account without",
        )
    return text, file.origin
