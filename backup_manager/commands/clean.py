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

\b
  # As TiDB Operator's clean Job does it: status.backupPath says what goes; nobody is asked
  backup-manager clean --namespace=test1 --backupName=demo1-backup-s3
"""


@click.command("clean", epilog=EPILOG, cls=GroupedCommand)
@settings_options("clean")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.argument("backup", required=False)
@click.pass_obj
def clean_command(context: Context, /, backup: str | None, yes: bool, **flags: Any) -> None:
    """Remove one backup from the store: its record first, then all the rest.

    BACKUP is its whole name or address, or the name that export was given. What is incomplete or
    damaged is removed too, and an archive of TiDB Operator's own manager. If it is killed, the same
    command again ends it, and so does prune. With --backupName it is the backup of that object.
    """
    of = context.backup_object(flags)
    if of and backup is not None:
        raise UsageError(
            f"{backup} and --backupName are both given",
            why="the object's status says which backup is meant",
            fix="give one of them",
        )
    if of:
        from backup_manager.kubernetes.cleaning import clean_object  # noqa: PLC0415 - see `context`

        clean_object(context, of, flags)
        context.report.info(context.report.summary.message)
    elif backup is not None:
        _clean(context, backup, flags, yes=yes)
    else:
        raise UsageError(
            "which backup is to be removed is not given",
            fix="name it; backup-manager list shows what is there",
        )


def _clean(context: Context, backup: str, flags: dict[str, Any], *, yes: bool) -> None:
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
