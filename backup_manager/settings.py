"""Every setting of a command, with where its value came from.

The order: the flag, then BACKUP_MANAGER_<FLAG>, then TiDB Operator's variable, then the Backup
object, then the default. An empty variable is an unset one.
"""

import base64
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from backup_manager import values
from backup_manager.definitions import GROUPS, Definition, definitions_of
from backup_manager.definitions.kubernetes import CLIENT_TLS, CLUSTER
from backup_manager.errors import BackupError, DatabaseError, UsageError

# Kubernetes sets BACKUP_MANAGER_PORT=tcp://10.0.0.1:80 and its kin in every Pod beside a Service
# that is called backup-manager: such a value is no setting.
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://")


PASSWORD_VARIABLE = "BACKUP_MANAGER_PASSWORD"  # noqa: S105 - the variable's name, no password
# As TiDB Operator gives it with useKMS; used where nothing gives the password itself.
ENCRYPTED_PASSWORD_VARIABLE = "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD"  # noqa: S105 - the same


_TLS_SWITCHES = {one.name: one for one in CLUSTER if one.switch}


@dataclass(frozen=True)
class Field:
    """What the Backup object says of one setting: a text, or several, and where it says so."""

    value: str | tuple[str, ...]
    origin: str


@dataclass(frozen=True)
class Setting:
    """A value, its text as given, and its origin: a flag, a variable, a field, or ``default``."""

    value: Any
    text: str
    origin: str


class Settings:
    """The settings of one run, resolved; ``settings["port"]`` is the parsed value."""

    def __init__(
        self,
        flags: Mapping[str, Any],
        environ: Mapping[str, str],
        command: str = "export",
        *,
        fields: Mapping[str, Field] = MappingProxyType({}),
        wrong: dict[str, BackupError] | None = None,
    ) -> None:
        """Resolve all settings of the command.

        ``flags`` holds what the command line gave (None or () where nothing), ``fields`` what the
        Backup object says, by the names of settings. Raises UsageError,
        naming the origin of what is wrong; DatabaseError for an encrypted password that is none.
        ``wrong`` takes them instead, by the setting's name; such a setting then has its default.
        """
        self.resolved: dict[str, Setting] = {}
        for definition in definitions_of(command):
            name = definition.name
            with noted(name, wrong):
                self.resolved[name] = resolve(definition, flags.get(name), environ, fields)
            if name not in self.resolved:
                self.resolved[name] = resolve(definition, None, {})
        self.password, self.password_origin = "", "default"
        self.encrypted_password: bytes | None = None
        if "password_file" in self.resolved:
            with noted("password_file", wrong):
                self._find_password(environ)

    def _find_password(self, environ: Mapping[str, str]) -> None:
        self.password, self.password_origin = _password(self.resolved["password_file"], environ)
        encrypted = environ.get(ENCRYPTED_PASSWORD_VARIABLE)
        if encrypted and not self.password:
            self.encrypted_password = _ciphertext(encrypted)
            self.password_origin = ENCRYPTED_PASSWORD_VARIABLE

    def __getitem__(self, name: str) -> Any:
        return self.resolved[name].value


@contextmanager
def noted(name: str, wrong: dict[str, BackupError] | None) -> Iterator[None]:
    """Take what is wrong with a setting into ``wrong``, where there is such a thing."""
    try:
        yield
    except BackupError as error:
        if wrong is None:
            raise
        wrong[name] = error


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a line for each BACKUP_MANAGER_* variable that looks like a setting misspelt."""
    everything = [one for command in GROUPS for one in definitions_of(command)]
    known = {definition.own_variable for definition in everything} | {PASSWORD_VARIABLE}
    lines = []
    for name in sorted(environ):
        if name.startswith("BACKUP_MANAGER_") and name not in known and environ[name]:
            near = get_close_matches(name, known, n=1, cutoff=0.85)
            if near and not _SERVICE_LINK.match(environ[name]):
                lines.append(f"the variable {name} is no setting: is {near[0]} meant?")
    return lines


def resolve(
    definition: Definition,
    flag: Any,
    environ: Mapping[str, str],
    fields: Mapping[str, Field] = MappingProxyType({}),
) -> Setting:
    """Resolve one setting. Raises UsageError, naming the origin of what is wrong."""
    given, origin = _given(definition, flag, environ, fields.get(definition.name))
    check_utf8(origin, *((given,) if isinstance(given, str) else given or ()))
    if definition.repeated:
        return Setting(tuple(given or ()), shlex.join(given or ()), origin)
    if definition.switch:
        return Setting(_parse(definition, values.boolean, given or "false", origin), given, origin)
    if given is None:
        return Setting(None, "", origin)
    return Setting(_parse(definition, definition.parse, given, origin), given, origin)


def client_tls(flags: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Field]:
    """Return the files of TLS that --client-tls means. Raises UsageError."""
    on = {name: resolve(one, flags.get(name), environ) for name, one in _TLS_SWITCHES.items()}
    if not on["client_tls"].value:
        return {}
    files = {"tls_cert": "tls.crt", "tls_key": "tls.key"}
    if not on["skipClientCA"].value:
        files["tls_ca"] = "ca.crt"
    origin = on["client_tls"].origin
    return {name: Field(f"{CLIENT_TLS}/{file}", origin) for name, file in files.items()}


def check_utf8(origin: str, *texts: str) -> None:
    """Raise UsageError where a text is no UTF-8: a record or a key could not hold it."""
    if not all(values.is_utf8(text) for text in texts):
        raise UsageError(f"{origin} is no UTF-8 text", fix="give it as UTF-8")


def _given(
    definition: Definition, flag: Any, environ: Mapping[str, str], field: Field | None
) -> tuple[Any, str]:
    if flag not in (None, (), False):
        text = "true" if flag is True else flag
        return text, f"--{definition.flag}"
    own = environ.get(definition.own_variable)
    if own and not _SERVICE_LINK.match(own):
        return _split(definition, own), definition.own_variable
    if definition.variable and environ.get(definition.variable):
        return environ[definition.variable], definition.variable
    if field:
        return field.value, field.origin
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


def _ciphertext(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()).encode(), validate=True)
    except ValueError as error:
        raise DatabaseError(
            f"the password in {ENCRYPTED_PASSWORD_VARIABLE} cannot be decrypted",
            why="it is no base64",
            fix="give the CiphertextBlob as aws kms encrypt --output text prints it",
        ) from error


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
