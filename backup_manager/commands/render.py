"""``backup-manager render``."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from backup_manager.commandline import GroupedCommand, settings_options
from backup_manager.context import Context
from backup_manager.errors import UsageError

EPILOG = """\b
Examples:
  backup-manager render --image=REGISTRY/backup-manager:0.1.0 backup-s3.yaml | kubectl apply -f -
  backup-manager render --image=... --with-rbac --namespace=test1 *.yaml > backups.yaml
  kubectl get bks -oyaml | backup-manager render --image=... | kubectl diff -f -
"""
_STDIN = "-"


@click.command("render", epilog=EPILOG, cls=GroupedCommand)
@settings_options("render")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.pass_obj
def render_command(context: Context, /, files: Sequence[str], **flags: Any) -> None:
    """Make Backup and BackupSchedule objects into what runs without TiDB Operator.

    A Backup becomes a PersistentVolumeClaim and a Job, a BackupSchedule a claim and a CronJob, on
    stdout. Each FILE has one or more of them, as YAML or JSON; without one, or for -, stdin is
    read. Nothing is asked of any cluster.
    """
    from backup_manager.render import Options, render  # noqa: PLC0415 - see ``context``
    from backup_manager.render.output import written  # noqa: PLC0415 - see ``context``

    context.report.publishes = False
    settings = context.settings("render", flags)
    if settings["image"] is None:
        raise UsageError(
            "there is no image for the Pods",
            fix="name it with --image (or BACKUP_MANAGER_IMAGE): docs/image.md tells how it is "
            "built",
        )
    options = Options(
        image=settings["image"],
        namespace=settings["namespace"],
        rbac=settings["with_rbac"],
        ttl_seconds=settings["ttl"],
    )
    objects = render(_contents(files or [_STDIN]), options, context.report)
    text = written(objects, settings["output"]).removesuffix("\n")
    context.report.print(text, redacted=False)
    context.used = False


def _contents(files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for name in files:
        if name == _STDIN:
            if sys.stdin is not None and sys.stdin.isatty():
                raise UsageError(
                    "no file is given",
                    fix="name the YAML of a Backup, or give it on stdin: see backup-manager render "
                    "--help",
                )
            # Python has none where it was closed.
            yield "stdin", sys.stdin.buffer.read() if sys.stdin is not None else b""
            continue
        try:
            yield name, Path(name).read_bytes()
        except OSError as error:
            raise UsageError(
                f"{name} cannot be read", why=str(error.strerror), fix="name a file with YAML"
            ) from error
