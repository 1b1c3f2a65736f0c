"""``backup-manager download``."""

from pathlib import Path
from typing import Any

import click

from backup_manager.commandline import GroupedCommand, settings_options
from backup_manager.context import Context
from backup_manager.errors import UsageError

EPILOG = """\b
Examples:
  backup-manager download latest /restore --bucket=backups --prefix=demo1
  backup-manager download 1a2b3c4d /restore --bucket=backups --prefix=demo1 --tables='shop.*'
"""


@click.command("download", epilog=EPILOG, cls=GroupedCommand)
@settings_options("download")
@click.argument("backup")
@click.argument("directory", metavar="DIR")
@click.pass_obj
def download_command(context: Context, /, backup: str, directory: str, **flags: Any) -> None:
    """Bring one backup back as files in DIR, each hashed on its way.

    BACKUP is its name or address, the beginning of its name or id, the name that export was given,
    or latest. DIR is empty or not there yet; then it is what TiDB Lightning imports. The same
    command goes on where one that was interrupted ended, and proves what is there already.
    """
    from backup_manager.download import download  # noqa: PLC0415 - see ``context``

    if not directory:
        raise UsageError("DIR is empty", why="a variable may be unset", fix="name a directory")
    with context.catalog("download", flags, backup) as (settings, catalog):
        found = catalog.find(backup)
        context.tell(found)
        download(catalog, found, Path(directory), settings["tables"])
