"""``backup-manager list``."""

from typing import Any

import click

from backup_manager.commandline import GroupedCommand, settings_options
from backup_manager.context import Context

EPILOG = """\b
Examples:
  backup-manager list --bucket=backups --prefix=demo1 --endpoint=http://rgw:7480
  backup-manager list --bucket=backups --prefix=demo1 --json | jq -r .backup
"""


@click.command("list", epilog=EPILOG, cls=GroupedCommand)
@settings_options("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@click.pass_obj
def list_command(context: Context, /, as_json: bool, **flags: Any) -> None:
    """Show the backups under the prefix, newest first.

    complete: it has a commit record that fits. incomplete: it has none, it is being made or was
    given up. damaged: its record does not fit. later-format: a later version made it. unreadable:
    the store refuses it. operator: an archive of TiDB Operator's own manager, without a record.
    """
    from backup_manager.catalog.listing import show  # noqa: PLC0415 - see ``context``

    with context.catalog("list", flags) as (_, catalog):
        show(catalog, as_json=as_json)
    context.used = False
