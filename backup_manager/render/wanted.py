"""What an object asks for, the same for a Backup and for a BackupSchedule's template."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from backup_manager.definitions import DEFINITIONS, Definition
from backup_manager.kubernetes.spec import BackupSpec
from backup_manager.render.document import Document
from backup_manager.settings import Field

_TEMPLATE = "spec.backupTemplate"
# Settings that come from the Job.
_OF_THE_JOB = {"name", "owner_uid"}
_RETENTION = {"maxBackups": "max_backups", "maxReservedTime": "max_reserved_time"}
# What the operator takes from the schedule where the template has none.
_SHARED = ("storageClassName", "storageSize", "imagePullSecrets")


@dataclass(frozen=True)
class Wanted:
    """A document whose form is right, and the namespace that was asked for in place of its own."""

    document: Document
    namespace_flag: str | None = None

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def scheduled(self) -> bool:
        return self.document.kind == "BackupSchedule"

    @property
    def namespace(self) -> str | None:
        own: str | None = self.document.get("metadata.namespace")
        return self.namespace_flag or own

    @cached_property
    def spec(self) -> Mapping[str, Any]:
        """What a Backup would have as ``spec``."""
        if not self.scheduled:
            return self.document.get("spec") or {}
        shared = {name: self.document.get(f"spec.{name}") for name in _SHARED}
        return shared | _given(self.document.get(_TEMPLATE) or {})

    @cached_property
    def backup(self) -> BackupSpec:
        """The same as the Backup that the operator would make of it."""
        body = {"metadata": self.document.get("metadata") or {}, "spec": self.spec}
        return BackupSpec(body)

    def path(self, path: str) -> str:
        """Return where this document has what a Backup has at that path."""
        if not self.scheduled:
            return path
        name = path.removeprefix("spec.").partition(".")[0]
        if name in _SHARED and self.document.get(f"{_TEMPLATE}.{name}") is None:
            return path
        return path.replace("spec", _TEMPLATE, 1)

    @cached_property
    def literals(self) -> dict[str, str]:
        """The variables of ``spec.env`` that have a value there, and are no reference."""
        entries = self.spec.get("env") or []
        return {str(entry["name"]): str(entry["value"]) for entry in entries if "value" in entry}

    def sets(self, setting: str) -> bool:
        """Tell whether ``spec.env`` has the setting's own variable."""
        return f"BACKUP_MANAGER_{setting.upper()}" in self.backup.variables

    @cached_property
    def settings(self) -> dict[str, tuple[Definition, Field]]:
        """The settings that become flags: ``spec.env`` comes before what the spec says."""
        fields = {
            name: Field(field.value, self.path(field.origin))
            for name, field in self.backup.fields().items()
            if name not in _OF_THE_JOB
        }
        if self.scheduled:
            fields["schedule"] = Field(self.name, "metadata.name")
        for name, setting in _RETENTION.items():
            value = self.document.get(f"spec.{name}") if self.scheduled else None
            if value is not None:
                fields[setting] = Field(str(value), f"spec.{name}")
        variables = self.backup.variables
        return {
            each.name: (each, fields[each.name])
            for each in DEFINITIONS
            if each.name in fields and not variables & {each.own_variable, each.variable}
        }


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value not in (None, "", [])}
