"""``backup-manager prune``."""

from typing import Any

import click

from backup_manager.commandline import GroupedCommand, settings_options
from backup_manager.context import Context
from backup_manager.errors import Reason

EPILOG = """\b
Examples:
  # What would go, and why
  backup-manager prune --bucket=backups --prefix=demo1 --max-backups=7 --dry-run

\b
  # What is older than three days, but never the newest two
  backup-manager prune --bucket=backups --prefix=demo1 --max-reserved-time=72h \\
      --max-backups=2

\b
  # The backups of one schedule
  backup-manager prune --bucket=backups --prefix=demo1 --schedule=nightly --max-backups=7
"""


@click.command("prune", epilog=EPILOG, cls=GroupedCommand)
@settings_options("prune")
@click.option("--dry-run", is_flag=True, help="Print the plan; remove nothing.")
@click.pass_obj
def prune_command(context: Context, /, dry_run: bool, **flags: Any) -> None:
    """Remove the backups that are no longer wanted, and what was never published.

    Only backups that are whole in the store count as kept, and the newest of them always stays. The
    plan is printed, a line for each backup, newest first; then just that is done. With neither
    --max-reserved-time nor --max-backups only what was never published is removed.
    """
    from backup_manager.removal import prune  # noqa: PLC0415 - see ``context``

    report = context.report
    with context.catalog("prune", flags) as (settings, catalog):
        rules = prune.rules_of(settings, everything=settings["schedule"] is None)
        prune.say_limits(settings, report)
        plan = prune.make_plan(catalog, rules)
        for decision in plan.decisions:
            report.print(prune.line_of(decision))
        if plan.caution:
            report.warn(plan.caution)
        if dry_run:
            report.succeed(prune.foretold(plan), Reason.DRY_RUN)
            return
        outcome = prune.Outcome()
        try:
            prune.carry_out(catalog, plan, outcome)
        finally:
            report.summary.files, report.summary.bytes = outcome.files, outcome.bytes
        if outcome.failed:
            raise outcome.error
        report.succeed(prune.summed_up(outcome))
