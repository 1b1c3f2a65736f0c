"""``backup-manager clean``."""

from typing import Any

import click

from backup_manager.commandline import GroupedCommand, settings_options
from backup_manager.context import Context
from backup_manager.errors import UsageError

EPILOG = """\b
Examples:
  backup-manager clean s3://backups/demo1/backup-2026-11-22T10:00:00Z-1a2b3c4d
  backup-manager clean backup-2026-11-22T10:00:00Z.tgz --bucket=backups --prefix=demo1 --yes
"""


@click.command("clean", epilog=EPILOG, cls=GroupedCommand)
@settings_options("clean")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.argument("backup")
@click.pass_obj
def clean_command(context: Context, /, backup: str, yes: bool, **flags: Any) -> None:
    """Remove one backup from the store: its record first, then all the rest.

    BACKUP is its whole name or address, or the name that export was given. What is incomplete or
    damaged is removed too, and an archive of TiDB Operator's own manager. If it is killed, the same
    command again ends it, and so does prune.
    """
    from backup_manager.removal import clean  # noqa: PLC0415 - see ``context``

    report = context.report
    if not yes and not clean.may_ask():
        raise UsageError(
            "clean asks before it removes anything, and here is nobody to be asked",
            fix="add --yes",
        )
    with context.catalog("clean", flags, backup) as (_, catalog):
        found = clean.find_whole(catalog, backup)
        context.tell(found)
        clean.check_lock(catalog, found)
        caution = clean.caution_of(catalog, found)
        if not yes:
            clean.confirm(found, caution, report, context.stop)
        elif caution:
            report.warn(caution)
        clean.clean(catalog, found)
        report.info(report.summary.message)
