"""``backup-manager export``."""

import shlex
from typing import TYPE_CHECKING, Any

import click

from backup_manager.commandline import GroupedCommand, settings_options
from backup_manager.context import Context
from backup_manager.definitions import DEFINITIONS
from backup_manager.errors import Reason

# What is imported below, when the command runs: see ``context``.
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


@click.command("export", epilog=EPILOG, cls=GroupedCommand)
@settings_options("export")
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
    context: Context, /, dry_run: bool, dumpling_args: tuple[str, ...], **flags: Any
) -> None:
    """Take one full backup.

    GC is held off, Dumpling dumps into the volume, and each file goes up as soon as it is written.
    The backup is published once the store holds all of it; then the volume is cleared. Only
    --bucket must be given.
    """
    from backup_manager.export import export  # noqa: PLC0415 - see the top

    job = context.job("export", flags, dumpling_args, told=not dry_run)
    if dry_run:
        click.echo(describe(job))
        job.report.succeed("nothing was done: this is what would be", Reason.DRY_RUN)
    else:
        export(job)


def describe(job: "Job") -> str:
    """Tell every setting with its origin, and Dumpling's argv, without secrets."""
    from backup_manager.dumpling.command import command, public_argv  # noqa: PLC0415 - see the top

    lines = ["Settings:"]
    for definition in DEFINITIONS:
        setting = job.settings.resolved[definition.name]
        shown, origin = setting.text or "(none)", setting.origin
        if definition.name == "dumpling_option" and job.dumpling_args:
            shown = shlex.join(job.dumpling_args)
            if len(job.dumpling_args) > len(setting.value):
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
