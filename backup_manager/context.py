"""What each command gets: the report, the wish to stop, and its settings made ready to use."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backup_manager import loading
from backup_manager.canonical import timestamp
from backup_manager.errors import BackupError
from backup_manager.metrics import Metrics, open_metrics
from backup_manager.report import Report
from backup_manager.settings import Settings, unknown_variables
from backup_manager.signals import Stop

# What a command does is imported when it runs: boto3 and the like take as long as all the rest, and
# --help, a slip and a shell's completion need not wait for them.
if TYPE_CHECKING:
    from backup_manager.catalog.backups import Backup
    from backup_manager.catalog.catalog import Catalog
    from backup_manager.export.job import Job


class Context:
    """What a command gets from the command line's boundary."""

    def __init__(self, report: Report, stop: Stop) -> None:
        self.report = report
        self.stop = stop
        self.used = False
        self.metrics = Metrics()

    def settings(
        self, command: str, flags: dict[str, Any], *, wrong: dict[str, BackupError] | None = None
    ) -> Settings:
        """Resolve a command's settings, and have the report keep to them.

        ``wrong`` takes what is wrong, as ``Settings`` has it.
        """
        self.used = True
        loading.end()  # what a command needs it has imported before it asks for its settings
        self.stop.check()
        settings = Settings(flags, os.environ, command, wrong=wrong)
        self.report.set_level(settings["log_level"], quiet=settings["quiet"])
        for warning in unknown_variables(os.environ):
            self.report.caution(warning)
        self.report.redact.add(settings.password)
        return settings

    def job(
        self,
        command: str,
        flags: dict[str, Any],
        dumpling_args: Sequence[str],
        *,
        told: bool = True,
    ) -> "Job":
        """Make the settings into a job; ``told`` says whether monitoring hears of it."""
        from backup_manager.export.job import prepare  # noqa: PLC0415 - see the top

        settings = self.settings(command, flags)
        self.report.summary.name = settings["name"]
        if told:
            self.metrics = open_metrics(settings, self.report)
        return prepare(settings, dumpling_args, self.report, self.stop, self.metrics)

    @contextmanager
    def catalog(
        self, command: str, flags: dict[str, Any], backup: str | None = None
    ) -> Iterator[tuple[Settings, "Catalog"]]:
        """Open the store for a command that works on what is there already.

        ``backup`` is its argument: an s3:// address says the bucket and the prefix by itself.
        """
        from backup_manager.catalog.catalog import open_catalog  # noqa: PLC0415 - see the top
        from backup_manager.catalog.naming import place_of  # noqa: PLC0415 - see the top

        self.report.publishes = False
        if backup is not None:
            flags = place_of(backup, flags)
        settings = self.settings(command, flags)
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

    def finish(self, seconds: float) -> int:
        """Tell how it ended, the metrics for so many seconds at most; return the exit code."""
        self.metrics.finish(self.report.summary, seconds)
        return self.report.finish()
