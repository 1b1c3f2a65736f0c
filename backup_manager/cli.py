"""The command line: its commands, and the one boundary where errors become exit codes."""

import os
from collections.abc import Sequence

import click

from backup_manager import __version__
from backup_manager.commandline import usage_error
from backup_manager.commands.clean import clean_command
from backup_manager.commands.doctor import doctor_command
from backup_manager.commands.download import download_command
from backup_manager.commands.export import export_command
from backup_manager.commands.list import list_command
from backup_manager.commands.prune import prune_command
from backup_manager.commands.render import render_command
from backup_manager.commands.verify import verify_command
from backup_manager.context import Context
from backup_manager.errors import BackupError, ExitCode, InterruptedBySignalError
from backup_manager.report import Report
from backup_manager.signals import Stop


class _InOrder(click.Group):
    """Tells of its commands in the order in which a user comes to need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
)
@click.version_option(__version__, prog_name="backup-manager")
def cli() -> None:
    """Full logical backups of a TiDB cluster to S3-compatible storage, with Dumpling."""


for command in (
    export_command,
    list_command,
    verify_command,
    prune_command,
    clean_command,
    download_command,
    doctor_command,
    render_command,
):
    cli.add_command(command)


# What is on stdout is their result, for other programs to read.
_RESULTS = ([list_command.name], [render_command.name])


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
        return context.finish(lambda _: 0.0)

    report.sums_up = list(argv[:1]) not in _RESULTS
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
    return context.finish(stop.seconds_left)
