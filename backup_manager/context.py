"""What each command gets: the report, the wish to stop, and its settings made ready to use."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backup_manager import loading
from backup_manager.canonical import timestamp
from backup_manager.definitions import GROUPS
from backup_manager.definitions.kubernetes import OBJECT
from backup_manager.errors import BackupError
from backup_manager.metrics import metrics_sinks
from backup_manager.report import Report
from backup_manager.settings import Field, Settings, client_tls, noted, resolve, unknown_variables
from backup_manager.signals import Stop
from backup_manager.telling import Telling

# What a command does is imported when it runs: boto3 and the like take as long as all the rest, and
# --help, a slip and a shell's completion need not wait for them.
if TYPE_CHECKING:
    from backup_manager.catalog.backups import Backup
    from backup_manager.catalog.catalog import Catalog
    from backup_manager.export.job import Job
    from backup_manager.kubernetes.backup_object import BackupObject


class Context:
    """What a command gets from the command line's boundary."""

    def __init__(self, report: Report, stop: Stop) -> None:
        self.report = report
        self.stop = stop
        self.used = False
        self.telling = Telling()

    def backup_object(
        self, flags: dict[str, Any], *, patient: bool = True
    ) -> "BackupObject | None":
        """Read the Backup object that is named; None where none is. Raises KubernetesError.

        ``patient``: whether an API server that is away is waited for.
        """
        self._begin()
        namespace, name = (resolve(one, flags.get(one.name), os.environ).value for one in OBJECT)
        if name is None:
            return None
        # Imported here: it takes a third of a second, and most runs have no cluster.
        from backup_manager.kubernetes import backup_object  # noqa: PLC0415 - see above

        self.report.summary.name = name
        seconds = backup_object.READ_SECONDS if patient else 0.0
        return backup_object.read_object(name, namespace, self.report, self.stop, seconds)

    def _begin(self) -> None:
        self.used = True
        loading.end()  # what a command needs it has imported before it asks for its settings
        self.stop.check()

    def settings(
        self,
        command: str,
        flags: dict[str, Any],
        *,
        backup: "BackupObject | None" = None,
        wrong: dict[str, BackupError] | None = None,
    ) -> Settings:
        """Resolve a command's settings, and have the report keep to them.

        ``backup`` says what flags and variables do not; ``wrong`` takes what is wrong, as
        ``Settings`` has it.
        """
        self._begin()
        environ: Mapping[str, str] = os.environ
        fields: dict[str, Field] = {}
        database = "Database" in GROUPS[command]
        if backup:
            environ, fields = backup.given(environ, flags)
            with noted("backupName", wrong):
                backup.check(environ)
        if database:
            with noted("client_tls", wrong):
                fields |= client_tls(flags, environ)
        settings = Settings(flags, environ, command, fields=fields, wrong=wrong)
        self.report.set_level(settings["log_level"], quiet=settings["quiet"])
        for caution in unknown_variables(os.environ):
            self.report.caution(caution)
        self.report.redact.add(settings.password)
        if backup and database:
            with noted("backupName", wrong):
                backup.check_settings(settings, os.environ, self.report)
        return settings

    def job(
        self,
        command: str,
        flags: dict[str, Any],
        dumpling_args: Sequence[str],
        *,
        told: bool = True,
    ) -> "Job":
        """Make the settings into a job; ``told`` says whether anybody else hears of it."""
        from backup_manager.export.job import prepare  # noqa: PLC0415 - see the top

        backup = self.backup_object(flags)
        if told:
            # Before the settings are read: what is wrong with them is told too.
            self.telling = Telling([backup.sink(self.stop)] if backup else [], self.report)
        settings = self.settings(command, flags, backup=backup)
        self.report.summary.name = settings["name"]
        if told:
            self.telling.add(metrics_sinks(settings, self.report))
        job = prepare(settings, dumpling_args, self.report, self.stop, self.telling)
        return replace(job, check_new=backup.check_not_made) if backup else job

    @contextmanager
    def catalog(
        self,
        command: str,
        flags: dict[str, Any],
        backup: str | None = None,
        of: "BackupObject | None" = None,
    ) -> Iterator[tuple[Settings, "Catalog"]]:
        """Open the store for a command that works on what is there already.

        ``backup`` is its argument: an s3:// address says the bucket and the prefix by itself.
        ``of``: the object whose backup it is.
        """
        from backup_manager.catalog.catalog import open_catalog  # noqa: PLC0415 - see the top
        from backup_manager.catalog.naming import place_of  # noqa: PLC0415 - see the top

        self.report.publishes = False
        if backup is not None:
            flags = place_of(backup, flags)
        settings = self.settings(command, flags, backup=of)
        with open_catalog(settings, self.report, self.stop) as catalog:
            yield settings, catalog

    def tell(self, backup: "Backup") -> None:
        """Have the summary name this backup."""
        summary, record = self.report.summary, backup.record
        summary.backup = backup.url
        if record:
            taken = record.snapshot_time
            summary.name, summary.files, summary.bytes = record.name, record.files, record.bytes
            moment = timestamp(taken) if taken else None
            summary.snapshot = {"tso": record.snapshot, "time": moment}

    def finish(self, left: Callable[[float], float]) -> int:
        """Tell how it ended everywhere, and return the exit code.

        ``left`` says how many of so many seconds there are still for that.
        """
        self.telling.finish(self.report.summary, left)
        return self.report.finish()
