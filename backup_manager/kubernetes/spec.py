"""What a Backup object says, as texts of settings with their origins.

Fields: TiDB Operator's pkg/apis/pingcap/v1alpha1/types.go (v1.6), BackupSpec.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from backup_manager.errors import Reason, UsageError
from backup_manager.settings import ENCRYPTED_PASSWORD_VARIABLE, PASSWORD_VARIABLE, Field

SCHEDULE_LABEL = "tidb.pingcap.com/backup-schedule"
_OTHER_STORES = ("gcs", "azblob", "local")
# Texts of the spec, and the settings that they are.
_TEXTS = {
    "spec.from.host": "host",
    "spec.from.user": "user",
    "spec.s3.provider": "provider",
    "spec.s3.endpoint": "endpoint",
    "spec.s3.region": "region",
    "spec.s3.bucket": "bucket",
    "spec.s3.prefix": "prefix",
    "spec.s3.storageClass": "storage_class",
    "spec.s3.acl": "acl",
    "spec.s3.sse": "sse",
    "spec.tikvGCLifeTime": "gc_life_time",
    "metadata.name": "name",
    "metadata.uid": "owner_uid",
}
_LISTS = {
    "spec.s3.options": "s3_option",
    "spec.dumpling.options": "dumpling_option",
}
_FILTERS = ("spec.tableFilter", "spec.dumpling.tableFilter")
# What the operator sets where the spec says nothing, with provider aws (generateS3CertEnvVar).
_OPERATORS_OWN = {
    "AWS_ACL": ("private", "spec.s3.acl"),
    "AWS_STORAGE_CLASS": ("STANDARD_IA", "spec.s3.storageClass"),
}


class BackupSpec:
    """A Backup object, read with the types that its CRD has.

    Every method raises UsageError, with the reason InvalidSpec, for a value of another type.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self.name = self.text("metadata.name") or ""
        self.namespace = self.text("metadata.namespace") or ""

    def __str__(self) -> str:
        return f"Backup {self.namespace}/{self.name}"

    def text(self, path: str) -> str | None:
        """Return a text; None where it is empty, null or not there."""
        return self._get(path, str, "a text") or None

    def texts(self, path: str) -> tuple[str, ...]:
        items = self._get(path, list, "a list of texts") or []
        for number, item in enumerate(items):
            if not isinstance(item, str):
                raise self._wrong(f"{path}[{number}]", item, "a text")
        return tuple(items)

    def number(self, path: str) -> int | None:
        value: int | None = self._get(path, int, "a whole number")
        return value

    def boolean(self, path: str) -> bool | None:
        value: bool | None = self._get(path, bool, "true or false")
        return value

    def has(self, path: str) -> bool:
        return self._get(path, object, "") is not None

    @property
    def variables(self) -> set[str]:
        """The names of ``spec.env``."""
        entries = self._get("spec.env", list, "a list of variables") or []
        return {str(entry.get("name")) for entry in entries if isinstance(entry, Mapping)}

    def _get(self, path: str, kind: type, expected: str) -> Any:
        value: Any = self._body
        steps = path.split(".")
        for number, step in enumerate(steps):
            if not isinstance(value, Mapping):
                raise self._wrong(".".join(steps[:number]), value, "an object")
            value = value.get(step)
            if value is None:
                return None
        # A bool is an int to Python.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self._wrong(path, value, expected)
        return value

    def _wrong(self, path: str, value: Any, expected: str) -> UsageError:
        return UsageError(
            f"{path} of {self} is wrong",
            why=f"it is {_kind(value)}, and should be {expected}",
            fix=f"mend it in the YAML, and apply that again: kubectl explain "
            f"backup.{path.partition('[')[0]}",
            reason=Reason.SPEC,
        )

    def fields(self) -> dict[str, Field]:
        """Return what the object says of settings, by their names."""
        found: dict[str, Field] = {}
        for path, name in _TEXTS.items():
            if text := self.text(path):
                found[name] = Field(text, path)
        for path, name in _LISTS.items():
            if texts := self.texts(path):
                found[name] = Field(texts, path)
        if port := self.number("spec.from.port"):  # 0 is the operator's word for none
            found["port"] = Field(str(port), "spec.from.port")
        styled = self.boolean("spec.s3.forcePathStyle")
        if styled is not None:
            found["s3_addressing"] = Field(
                "path" if styled else "virtual", "spec.s3.forcePathStyle"
            )
        if schedule := self._schedule():
            found["schedule"] = Field(schedule, f"label {SCHEDULE_LABEL}")
        for path in _FILTERS:
            if (rules := self.texts(path)) and "table_filter" not in found:
                found["table_filter"] = Field(rules, path)
        return found

    def _schedule(self) -> str | None:
        labels = self._get("metadata.labels", dict, "an object") or {}
        value = labels.get(SCHEDULE_LABEL)
        return value if isinstance(value, str) and value else None

    def cautions(self) -> Iterator[str]:
        """Yield what is not as its author may believe."""
        given = [path for path in _FILTERS if self.texts(path)]
        if len(given) > 1:
            yield f"{given[1]} of {self} counts for nothing, as {given[0]} is given too"
        kind = self.text("spec.backupType")
        if kind not in {None, "full"}:
            yield (
                f"spec.backupType {kind} of {self} has a meaning for BR only: the table filter "
                "says what is backed up"
            )

    def check(self) -> None:
        """Raise UsageError where this is no backup with Dumpling to an S3-compatible store."""
        mode = self.text("spec.backupMode")
        by_br = "spec.br" if self.has("spec.br") else ""
        if by_br or mode not in {None, "snapshot"}:
            said = by_br or f"spec.backupMode {mode}"
            raise UsageError(
                f"{self} is no backup with Dumpling",
                why=f"{said} is for BR, and this image does logical backups with Dumpling alone",
                fix="have the operator use its own image for it (its tidbBackupManagerImage); or "
                "leave spec.br and spec.backupMode away, for a logical backup",
                reason=Reason.SPEC,
            )
        if self.has("spec.s3"):
            return
        others = [store for store in _OTHER_STORES if self.has(f"spec.{store}")]
        raise UsageError(
            f"{self} names no S3-compatible store",
            why=f"spec.{others[0]} is none" if others else "there is no spec.s3",
            fix="give spec.s3, with its bucket"
            + (": this image backs up to S3-compatible stores only" if others else ""),
            reason=Reason.STORAGE_TYPE,
        )

    def check_source(self) -> None:
        """Raise UsageError where it does not say what to back up."""
        if self.text("spec.from.host") is None:
            raise UsageError(
                f"{self} does not say what to back up",
                why="there is no spec.from.host",
                fix="give spec.from with host and secretName",
                reason=Reason.SPEC,
            )

    def check_password(self, environ: Mapping[str, str]) -> None:
        """Raise UsageError where the password's Secret has not become a variable.

        The operator passes each Secret that the object names on as variables.
        """
        secret = self.text("spec.from.secretName")
        name, given = PASSWORD_VARIABLE, ENCRYPTED_PASSWORD_VARIABLE in environ
        if self.boolean("spec.useKMS"):
            name, given = (
                ENCRYPTED_PASSWORD_VARIABLE,
                bool(environ.get(ENCRYPTED_PASSWORD_VARIABLE)),
            )
        # The password itself may be empty on purpose.
        if secret and not given and PASSWORD_VARIABLE not in environ:
            raise _absent(name, secret, "password")

    def check_store_secret(self, environ: Mapping[str, str]) -> None:
        """Raise UsageError where the keys of the store's Secret have not become variables."""
        if secret := self.text("spec.s3.secretName"):
            for name, key in (
                ("AWS_ACCESS_KEY_ID", "access_key"),
                ("AWS_SECRET_ACCESS_KEY", "secret_key"),
            ):
                if not environ.get(name):
                    raise _absent(name, secret, key)

    def operators_own(self, environ: Mapping[str, str], *, amazon: bool) -> set[str]:
        """Return the variables by which the operator says what nobody has asked for.

        The ACL ``private`` is what every object has anyway, and some stores refuse to be told so;
        STANDARD_IA is a class of Amazon's own store alone.
        """
        own = set()
        for name, (default, path) in _OPERATORS_OWN.items():
            asked = self.text(path) is not None or name in self.variables
            if environ.get(name) == default and not asked and not (amazon and name != "AWS_ACL"):
                own.add(name)
        return own


def _absent(variable: str, secret: str, key: str) -> UsageError:
    return UsageError(
        f"the variable {variable} is not set, or empty",
        why=f"it comes from the key {key} of the Secret {secret}",
        fix=f"see whether that key is there: kubectl describe secret {secret}",
    )


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "something else")
