"""``backup-manager doctor``."""

from typing import Any

import click

from backup_manager.commandline import GroupedCommand, settings_options
from backup_manager.context import Context
from backup_manager.errors import BackupError, KubernetesError, UsageError

EPILOG = """\b
Examples:
  # Before the first backup: the command line of export, with the word changed
  backup-manager doctor --host=tidb --password-file=/secrets/password \\
      --provider=ceph --endpoint=http://rgw:7480 --bucket=backups --prefix=demo1

\b
  # What failed, for a program
  backup-manager doctor --bucket=backups --json | jq -r 'select(.verdict == "failed")'

Each line is a check: ok, warning, failed, or skipped where something else has to be right first;
below it what to do. The exit code is that of the first check that failed.
"""


@click.command("doctor", epilog=EPILOG, cls=GroupedCommand)
@settings_options("doctor")
@click.option(
    "--mend",
    is_flag=True,
    help="Remove what dead runs have left on the GC life time; else nothing is changed at all.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@click.argument(
    "dumpling_args", nargs=-1, type=click.UNPROCESSED, metavar="[-- DUMPLING OPTION...]"
)
@click.pass_obj
def doctor_command(
    context: Context, /, mend: bool, as_json: bool, dumpling_args: tuple[str, ...], **flags: Any
) -> None:
    """Try everything that export needs, and tell what to do about what fails.

    Settings, Dumpling, database, privileges, GC, volume and store are tried for real: what is
    written for it is removed again, and a backup that is at work is left alone. A server that is
    away is not waited for.
    """
    from backup_manager.doctor import checks_of, examine  # noqa: PLC0415 - see ``context``
    from backup_manager.doctor.case import Case  # noqa: PLC0415 - the same
    from backup_manager.doctor.findings import CheckList  # noqa: PLC0415 - the same

    report = context.report
    report.publishes = False
    wrong: dict[str, BackupError] = {}
    backup, trouble = None, None
    with report.overheard() as said:
        try:
            backup = context.backup_object(flags, patient=False)
            settings = context.settings("doctor", flags, backup=backup, wrong=wrong)
        except (KubernetesError, UsageError) as error:
            # The rest is tried without what the object says.
            trouble, backup = error, None
            settings = context.settings("doctor", flags, wrong=wrong)
    if settings.resolved["log_level"].origin == "default":
        # The list says it all.
        report.set_level("warning", quiet=settings["quiet"])
    report.summary.name = settings["name"]
    case = Case(settings, dumpling_args, wrong, said, mend, report, context.stop)
    case.backup, case.object_trouble = backup, trouble
    examine(case, CheckList(report, [check.title for check in checks_of(case)], as_json=as_json))
