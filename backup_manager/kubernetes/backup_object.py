"""The Backup object that a command line names: read, checked, made into settings."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from backup_manager.bounded import bounded
from backup_manager.definitions.store import STORE
from backup_manager.errors import HeldError, KubernetesError, Reason
from backup_manager.kubernetes.api import BackupApi, passing
from backup_manager.kubernetes.events import Events
from backup_manager.kubernetes.spec import BackupSpec
from backup_manager.kubernetes.status import is_complete
from backup_manager.kubernetes.telling import StatusSink
from backup_manager.kubernetes.writing import Writer
from backup_manager.report import Report
from backup_manager.settings import Field, Settings, resolve
from backup_manager.signals import Stop

# How long an API server that is away is waited for: without it there are no settings.
READ_SECONDS = 300.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0


@dataclass(frozen=True)
class BackupObject:
    """A Backup object as it was read."""

    api: BackupApi
    body: dict[str, Any]

    def __str__(self) -> str:
        return str(self.api)

    @property
    def spec(self) -> BackupSpec:
        return BackupSpec(self.body)

    @property
    def path(self) -> str | None:
        """``status.backupPath``: where its backup lies."""
        return self.spec.text("status.backupPath")

    @property
    def complete(self) -> bool:
        """Whether its backup has been made."""
        return is_complete(self.body)

    def given(
        self, environ: Mapping[str, str], flags: Mapping[str, Any]
    ) -> tuple[Mapping[str, str], dict[str, Field]]:
        """Return what counts of the environment, and the settings that the object says.

        Raises UsageError where something has a wrong type.
        """
        spec = self.spec
        own = spec.operators_own(environ, amazon=_is_amazon(spec, environ, flags))
        return {name: text for name, text in environ.items() if name not in own}, spec.fields()

    def check(self, environ: Mapping[str, str]) -> None:
        """Raise UsageError where this program cannot do what the object asks for."""
        self.spec.check()
        self.spec.check_store_secret(environ)

    def check_settings(
        self, settings: Settings, environ: Mapping[str, str], report: Report
    ) -> None:
        """Hold the settings of a backup against the object. Raises UsageError."""
        if settings["password_file"] is None:
            self.spec.check_password(environ)
        if settings.resolved["host"].origin == "default":
            self.spec.check_source()
        for caution in self.spec.cautions():
            report.warn(caution)

    def check_not_made(self) -> None:
        """Raise HeldError where its backup has been made: another would take its place there."""
        if self.complete:
            raise HeldError(
                f"{self} is complete already",
                why=f"its backup is {self.path}",
                fix="make another Backup object for another backup",
                reason=Reason.SUPERSEDED,
            )

    def writer(self) -> Writer:
        return Writer(self.api, self.body)

    def events(self) -> Events:
        return Events(self.api, self.body)

    def sink(self, stop: Stop) -> StatusSink:
        """Return what tells a run in its status."""
        return StatusSink(self.api, self.writer(), self.events(), stop.seconds_left)


def _is_amazon(spec: BackupSpec, environ: Mapping[str, str], flags: Mapping[str, Any]) -> bool:
    (definition,) = (one for one in STORE if one.name == "endpoint")
    setting = resolve(definition, flags.get("endpoint"), environ, spec.fields())
    endpoint = setting.value or ""
    host = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").hostname or ""
    return not endpoint or host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def read_object(
    name: str, namespace: str | None, report: Report, stop: Stop, seconds: float = READ_SECONDS
) -> BackupObject:
    """Read the object; an API server that is away is waited for, up to ``seconds``.

    Raises KubernetesError.
    """
    api = BackupApi(name, namespace)
    pause, waited = _FIRST_PAUSE, 0.0
    while True:
        try:
            return BackupObject(api, bounded(stop, api.read))
        except KubernetesError as error:
            if not passing(error) or waited >= seconds:
                raise
            if not waited:
                report.caution(f"{error.what}; it is tried again", why=error.why)
        stop.wait(pause)
        waited += pause
        pause = min(_LONGEST_PAUSE, pause * random.uniform(1.5, 2.0))  # noqa: S311 - no secret
