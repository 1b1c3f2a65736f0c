"""What an object of the right form asks for: whether it can be, and where it says otherwise."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from backup_manager import values
from backup_manager.database.lease_document import parse_gc_life_time
from backup_manager.definitions import DEFINITIONS
from backup_manager.errors import BackupError
from backup_manager.render.checking import shown
from backup_manager.render.cron import check_cron
from backup_manager.render.fields import Kind
from backup_manager.render.mistakes import Mistakes
from backup_manager.render.option_checks import check_options, unusual
from backup_manager.render.wanted import Wanted
from backup_manager.settings import (
    ENCRYPTED_PASSWORD_VARIABLE,
    PASSWORD_VARIABLE,
    resolve,
    unknown_variables,
)
from backup_manager.store.providers import PROVIDERS

# k8s.io/apimachinery, pkg/api/resource: at least a byte, so no negative one and no milli-bytes.
_QUANTITY = re.compile(r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[kMGTPE]|[eE]\+?[0-9]{1,2})?")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9+_-]*(/[A-Za-z0-9+_-]+)*")
_VARIABLE = ("name", "value", "valueFrom")
# What names another object, in whatever namespace that is to be.
_NAMES = (
    "spec.from.secretName",
    "spec.from.tlsClientSecretName",
    "spec.s3.secretName",
    "spec.storageClassName",
    "spec.serviceAccount",
    "spec.priorityClassName",
)
_PASSWORDS = {
    PASSWORD_VARIABLE,
    f"{PASSWORD_VARIABLE}_FILE",
    ENCRYPTED_PASSWORD_VARIABLE,
}
# What is an address, or was to be filled in.
_NO_HOST = re.compile(r"[\s/<>{}]|^[^:]*:[0-9]*$")
_LEAST_VOLUME = 1 << 20
_FILES = (values.existing_file, values.regular_file)


class Meaning:
    """Holds one object against what this program can do; see ``check``."""

    def __init__(
        self, wanted: Wanted, mistakes: Mistakes, keep_secret: Callable[[str], None]
    ) -> None:
        self._wanted = wanted
        self._document = wanted.document
        self._mistakes = mistakes
        self._keep_secret = keep_secret

    def check(self) -> None:
        """Look for all that is wrong; each mistake is kept with its line."""
        if not self._check_variables():
            return
        self._check_mode()
        self._check_source()
        self._check_store()
        self._check_volume()
        self._check_names()
        if self._wanted.scheduled:
            self._check_schedule()
        self._check_settings()
        self._check_pod()
        check_options(self._wanted, self._refused, self._keep_secret)
        self._caution()

    def _wrong(self, path: str, what: str, fix: str) -> None:
        """``path`` is that of a Backup; a schedule has it in its template."""
        self._wrong_at(self._wanted.path(path), what, fix)

    def _wrong_at(self, path: str, what: str, fix: str) -> None:
        self._mistakes.add(self._document.file, self._document.line(path), what, fix)

    @contextmanager
    def _refused(self, path: str) -> Iterator[None]:
        """Keep what an error says of the field at ``path``, as the document has it."""
        try:
            yield
        except BackupError as error:
            what = f"{error.what}: {error.why}" if error.why else error.what
            self._wrong_at(path, what, error.fix)
        except ValueError as error:
            fix = error.args[1] if len(error.args) > 1 else "mend it"
            self._wrong_at(path, f"{path} is wrong: {error.args[0]}", fix)

    def _check_variables(self) -> bool:
        sound = True
        for number, entry in enumerate(self._wanted.spec.get("env") or []):
            path = f"spec.env[{number}]"
            name, value = entry.get("name"), entry.get("value", "")
            unknown = [each for each in entry if each not in _VARIABLE]
            if not isinstance(name, str) or not re.fullmatch("[!-<>-~]+", name):
                what = "this variable has no name" + (f": it is {shown(name)}" if name else "")
                self._wrong(path, what, "give name and value")
            elif not isinstance(value, str):
                spelled = self._document.spelled.get(self._wanted.path(f"{path}.value"), "")
                fix = f'put quotes around it: value: "{spelled}"'
                if isinstance(value, dict | list):
                    fix = f"give {Kind.TEXT}"
                self._wrong(f"{path}.value", f"the value of {name} is {shown(value, spelled)}", fix)
            elif unknown:
                near = get_close_matches(unknown[0], _VARIABLE, n=1)
                fix = f"is {near[0]} meant?" if near else f"give {' or '.join(_VARIABLE[1:])}"
                what = f"the variable {name} has the unknown field {unknown[0]}"
                self._wrong(f"{path}.{unknown[0]}", what, fix)
            elif value and entry.get("valueFrom"):
                self._wrong(path, f"{name} has value and valueFrom", "leave one of them")
            else:
                continue
            sound = False
        return sound

    def _check_names(self) -> None:
        for path in _NAMES:
            if name := self._wanted.backup.text(path):
                with self._refused(self._wanted.path(path)):
                    values.object_name(name)

    def _check_mode(self) -> None:
        mode = self._wanted.spec.get("backupMode")
        if mode not in {None, "", "snapshot"}:
            what = f"backupMode {mode} is for BR, and this makes full logical backups with Dumpling"
            self._wrong("spec.backupMode", what, "leave it away, where such a one is wanted")

    def _check_source(self) -> None:
        backup, path = self._wanted.backup, self._wanted.path("spec.from")
        host = backup.text("spec.from.host")
        if host is None and not self._wanted.sets("host"):
            fix = f"give {path} with host, user and secretName"
            what = f"there is no {path}.host: it does not say what to back up"
            if self._wanted.spec.get("br"):
                what = "this is a backup by BR, and here are logical ones with Dumpling only"
                fix = f"leave it out; or, for a logical backup, {fix}"
            self._wrong("spec.from", what, fix)
        elif host and _NO_HOST.search(host):
            fix = f"give the name alone, such as demo1-tidb; the port is {path}.port"
            self._wrong("spec.from.host", f"{path}.host is no name of a host: {host!r}", fix)
        elif not backup.text("spec.from.secretName") and not backup.variables & _PASSWORDS:
            fix = "name the Secret whose key password has the account's password"
            self._wrong("spec.from", f"there is no {path}.secretName", fix)

    def _check_store(self) -> None:
        spec, path = self._wanted.spec, self._wanted.path("spec.s3")
        others = [name for name in ("gcs", "azblob", "local") if spec.get(name)]
        if not spec.get("s3") and not self._wanted.sets("bucket"):
            why = f": {others[0]} is no S3-compatible store" if others else ""
            fix = "give it, with provider, bucket and secretName"
            self._wrong("spec.s3", f"there is no {path}{why}", fix)
            return
        if not self._wanted.backup.text("spec.s3.bucket") and not self._wanted.sets("bucket"):
            self._wrong("spec.s3", f"there is no {path}.bucket", "name the bucket")
        endpoint = self._wanted.settings.get("endpoint")
        # Without a provider and an endpoint it is Amazon's.
        name = self._wanted.backup.text("spec.s3.provider") or ("other" if endpoint else "aws")
        if endpoint:
            scheme = PROVIDERS[name].default_scheme if name in PROVIDERS else "https"
            with self._refused(endpoint[1].origin):
                values.endpoint(str(endpoint[1].value), scheme)
        elif name in PROVIDERS and PROVIDERS[name].needs_endpoint and not self._has_endpoint():
            fix = "give the store's address, such as http://rgw.ceph:7480"
            self._wrong("spec.s3", f"there is no {path}.endpoint, and {name} has no one place", fix)

    def _has_endpoint(self) -> bool:
        """Tell whether an address comes by another way than ``spec.s3.endpoint``."""
        words = self._wanted.backup.texts("spec.s3.options")
        by_variable = {"S3_ENDPOINT", "BACKUP_MANAGER_ENDPOINT", "BACKUP_MANAGER_PROVIDER"}
        return bool(by_variable & self._wanted.backup.variables) or any(
            word.startswith("--s3-endpoint") for word in words
        )

    def _check_volume(self) -> None:
        spec = self._wanted.spec
        size = spec.get("storageSize") or "1Gi"
        path = self._wanted.path("spec.storageSize")
        fix = "give one such as 10Gi (units: Ki, Mi, Gi, Ti, or k, M, G, T)"
        found = _QUANTITY.fullmatch(size)
        if not found or not float(found[1]):
            self._wrong("spec.storageSize", f"{path} is no quantity: {size!r}", fix)
        elif found[2] is None and float(found[1]) < _LEAST_VOLUME:
            self._wrong("spec.storageSize", f"{path} is a volume of {size} bytes", fix)

    def _check_pod(self) -> None:
        context = self._wanted.spec.get("podSecurityContext") or {}
        path = self._wanted.path("spec.podSecurityContext.runAsUser")
        if context.get("runAsUser") != 0:
            return
        if context.get("runAsNonRoot", True):
            fix = "leave runAsUser away: the image needs no root; or give runAsNonRoot: false too"
            self._wrong_at(path, f"{path} is 0, and no root is allowed: it would never start", fix)
        else:
            self._say(path, "the Pod runs as root: namespaces of the level restricted refuse it")

    def _check_schedule(self) -> None:
        get = self._document.get
        fix = 'give one such as "0 2 * * *" (each night at two), or @daily'
        if get("spec.schedule"):
            with self._refused("spec.schedule"):
                try:
                    check_cron(get("spec.schedule"))
                except ValueError as error:
                    raise ValueError(error.args[0], fix) from None
        else:
            self._wrong_at("spec.schedule", "there is no spec.schedule", fix)
        zone = get("spec.timeZone")
        if zone is not None and (not _ZONE.fullmatch(zone) or zone.lower() == "local"):
            what = f"spec.timeZone is no time zone: {zone!r}"
            self._wrong_at("spec.timeZone", what, "give a name such as Europe/Berlin or Etc/UTC")

    def _check_settings(self) -> None:
        for definition, field in self._wanted.settings.values():
            with self._refused(field.origin):
                resolve(definition, None, {}, {definition.name: field})
        if life := self._wanted.settings.get("gc_life_time"):
            with self._refused(life[1].origin):
                parse_gc_life_time(str(life[1].value), life[1].origin)
        for number, entry in enumerate(self._wanted.spec.get("env") or []):
            with self._refused(self._wanted.path(f"spec.env[{number}]")):
                self._check_literal(entry["name"], entry.get("value", ""))

    def _check_literal(self, name: str, text: str) -> None:
        for definition in DEFINITIONS:
            # A file is one of the Pod's.
            if name == definition.own_variable and definition.parse not in _FILES:
                resolve(definition, None, {name: text})

    def _caution(self) -> None:
        path = self._wanted.path
        if self._wanted.backup.texts("spec.tableFilter") and self._wanted.backup.texts(
            "spec.dumpling.tableFilter"
        ):
            given, other = path("spec.tableFilter"), path("spec.dumpling.tableFilter")
            self._say(other, f"{other} counts for nothing, as {given} is given too")
        kind = self._wanted.spec.get("backupType")
        if kind not in {None, "", "full"}:
            said = f"backupType {kind} has a meaning for BR only"
            self._say(path("spec.backupType"), f"{said}: the table filter says what is backed up")
        for line in unknown_variables(self._wanted.literals):
            self._say(path("spec.env"), line)
        for where, line in unusual(self._wanted):
            self._say(where, line)

    def _say(self, path: str, what: str) -> None:
        place = f"{self._document.file}, line {self._document.line(path)}"
        self._mistakes.cautions.append(f"{place}: {what}")
