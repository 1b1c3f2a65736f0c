"""The commands: parse, call, and the one boundary where errors become exit codes."""

import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from backup_manager import __version__
from backup_manager.commandline import GroupedCommand, settings_options, usage_error
from backup_manager.definitions import DEFINITIONS
from backup_manager.errors import BackupError, ExitCode, InterruptedBySignalError, Reason
from backup_manager.metrics import Metrics, open_metrics
from backup_manager.metrics.telling import FINISH_SECONDS, LAST_WORDS_SECONDS
from backup_manager.report import Report
from backup_manager.settings import Settings, unknown_variables
from backup_manager.signals import Stop

# What a command does is imported when it runs: boto3 and the like take as long as all the rest, and
# --help, a slip and a shell's completion need not wait for them.
if TYPE_CHECKING:
    from backup_manager.export.job import Job

EPILOG = """\b
Examples:
  # Ceph, with the password in a file and the keys in AWS_ACCESS_KEY_ID and
  # AWS_SECRET_ACCESS_KEY
  backup-manager export --host=tidb --password-file=/secrets/password \\
      --provider=ceph --endpoint=http://rgw:7480 --bucket=backups --prefix=demo1

\b
  # Amazon S3, one schema only, with options for Dumpling after --
  backup-manager export --host=tidb --bucket=backups --region=eu-central-1 \\
      --table-filter='shop.*' -- --threads=8 --filesize=256MiB

\b
  # What would be done, and where each setting comes from
  backup-manager export --bucket=backups --dry-run

Every flag may be given as BACKUP_MANAGER_<FLAG> too, for example BACKUP_MANAGER_BUCKET. The
password comes from --password-file or BACKUP_MANAGER_PASSWORD, the keys of the store from where the
AWS tools have them. The last line of stdout is one JSON object that says how it ended; the exit
codes are in the manual page, backup-manager(1).
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
)
@click.version_option(__version__, prog_name="backup-manager")
def cli() -> None:
    """Full logical backups of a TiDB cluster to S3-compatible storage, with Dumpling."""


@cli.command("export", epilog=EPILOG, cls=GroupedCommand)
@settings_options
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show the settings and Dumpling's argv; ask neither database nor store.",
)
@click.argument(
    "dumpling_args", nargs=-1, type=click.UNPROCESSED, metavar="[-- DUMPLING OPTION...]"
)
@click.pass_obj
def export_command(
    context: "Context", /, dry_run: bool, dumpling_args: tuple[str, ...], **flags: Any
) -> None:
    """Take one full backup.

    GC is held off, Dumpling dumps into the volume, and each file goes up as soon as it is written.
    The backup is published once the store holds all of it; then the volume is cleared. Only
    --bucket must be given.
    """
    from backup_manager.export import export  # noqa: PLC0415 - see the top

    job = context.job(flags, dumpling_args, told=not dry_run)
    if dry_run:
        click.echo(describe(job))
        job.report.succeed("nothing was done: this is what would be", Reason.DRY_RUN)
    else:
        export(job)


class Context:
    """What a command gets: the report and the wish to stop."""

    def __init__(self, report: Report, stop: Stop) -> None:
        self.report = report
        self.stop = stop
        self.used = False
        self.metrics = Metrics()

    def job(
        self, flags: dict[str, Any], dumpling_args: Sequence[str], *, told: bool = True
    ) -> "Job":
        """Make the settings into a job; ``told`` says whether monitoring hears of it."""
        from backup_manager.export.job import prepare  # noqa: PLC0415 - see the top

        self.used = True
        self.stop.check()
        settings = Settings(flags, os.environ)
        self.report.set_level(settings["log_level"], quiet=settings["quiet"])
        for warning in unknown_variables(os.environ):
            self.report.caution(warning)
        self.report.redact.add(settings.password)
        self.report.summary.name = settings["name"]
        if told:
            self.metrics = open_metrics(settings, self.report)
        return prepare(settings, dumpling_args, self.report, self.stop, self.metrics)

    def finish(self, seconds: float) -> int:
        """Tell how it ended, the metrics for so many seconds at most; return the exit code."""
        self.metrics.finish(self.report.summary, seconds)
        return self.report.finish()


def describe(job: "Job") -> str:
    """Tell every setting with its origin, and Dumpling's argv, without secrets."""
    from backup_manager.dumpling.command import command, public_argv  # noqa: PLC0415 - see the top

    lines = ["Settings:"]
    for definition in DEFINITIONS:
        setting = job.settings.resolved[definition.name]
        shown, origin = setting.text or "(none)", setting.origin
        if definition.name == "dumpling_option" and job.dumpling_args:
            shown = shlex.join(job.dumpling_args)
            origin = "after --" if origin == "default" else f"{origin}, and after --"
        elif definition.switch:
            shown = str(setting.value).lower()
        lines.append(f"  --{definition.flag:<20} {shown:<40} {origin}")
    known = job.settings.password or job.settings.encrypted_password
    shown = "***" if known else "(none)"
    lines.append(f"  {'password':<22} {shown:<40} {job.settings.password_origin}")
    lines += [
        "",
        f"Backup:   {job.store.url(job.backup_key('backup-<start>-<id>'))}",
        f"Endpoint: {job.store.endpoint or 'that of Amazon S3'} (provider {job.store.provider})",
        f"Dumpling: {job.dumpling.path} ({job.dumpling.version})",
    ]
    pinned = "<TSO>" if job.options.pins_snapshot else None
    argv = command(job.dumpling, job.options, job.source, job.volume / "<run>" / "dump", pinned)
    lines.append(f"  {shlex.join(public_argv(argv))}")
    return job.report.redact("\n".join(lines))


def _clean_environment() -> None:
    """Drop empty AWS_* variables: botocore would take them for settings."""
    for name in [name for name, value in os.environ.items() if name.startswith("AWS_")]:
        if not os.environ[name]:
            del os.environ[name]


def _learn_secrets(report: Report) -> None:
    for name in (
        "BACKUP_MANAGER_PASSWORD",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    ):
        report.redact.add(os.environ.get(name))


def run(argv: Sequence[str], stop: Stop) -> int:
    """Run one command line; return its exit code. Everything that goes wrong ends here."""
    # What we write on the volume is nobody else's to read: it is the whole database.
    os.umask(0o077)
    report = Report()
    _clean_environment()
    _learn_secrets(report)

    def last_resort(error: InterruptedBySignalError) -> int:
        if report.summary.status != "complete":
            report.fail(error)
        return context.finish(LAST_WORDS_SECONDS)

    context = Context(report, stop)
    stop.last_resort = last_resort
    if "_BACKUP_MANAGER_COMPLETE" in os.environ:
        from backup_manager import completion  # noqa: PLC0415 - for a shell only

        completion.prepare()
    try:
        cli.main(list(argv), prog_name="backup-manager", standalone_mode=False, obj=context)
        if not context.used:
            return ExitCode.COMPLETE  # --help or --version: there is nothing to sum up
    except click.ClickException as error:
        meant = [word for word in argv[:1] if word in cli.commands]
        report.fail(usage_error(error, " ".join(["backup-manager", *meant])))
    except BackupError as error:
        # What breaks because the run was asked to end is no failure of its own.
        report.fail(stop.error if stop.requested else error)
    except Exception as error:  # noqa: BLE001 - the one boundary: a defect of our own
        report.defect(error)
        report.fail(
            BackupError(
                f"a defect of backup-manager: {type(error).__name__}: {error}",
                fix="report it with the log, which holds the stack trace",
            )
        )
    return context.finish(max(LAST_WORDS_SECONDS, stop.seconds_left(FINISH_SECONDS)))
