"""``backup-manager verify``."""

from typing import Any

import click

from backup_manager.commandline import GroupedCommand, settings_options
from backup_manager.context import Context

EPILOG = """\b
Examples:
  backup-manager verify latest --bucket=backups --prefix=demo1
  backup-manager verify s3://backups/demo1/backup-2026-11-22T10:00:00Z-1a2b3c4d --deep
"""


@click.command("verify", epilog=EPILOG, cls=GroupedCommand)
@settings_options("verify")
@click.option("--deep", is_flag=True, help="Read and hash every byte too.")
@click.argument("backup")
@click.pass_obj
def verify_command(context: Context, /, backup: str, deep: bool, **flags: Any) -> None:
    """Compare one backup in the store with its manifest: names, sizes, ETags.

    BACKUP is its name or address, the beginning of its name or id, the name that export was given,
    or latest. Each file that is damaged or missing is an error in the log; then the exit code is 8.
    """
    from backup_manager.catalog.verify import verify  # noqa: PLC0415 - see ``context``

    with context.catalog("verify", flags, backup) as (_, catalog):
        found = catalog.find(backup)
        context.tell(found)
        verify(catalog, found, deep=deep)
