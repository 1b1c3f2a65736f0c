"""The command as a user gives it, with the store of the demo."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.command import ROOT
from tests.servers import Ceph

from .screen import Screen

BUCKET, PREFIX = "demo-backups", "nightly/demo"
_MOST_SECONDS = 300


class NotShownError(Exception):
    """Something that the demo promises to show was not so."""


def start(screen: Screen, stack: ExitStack, store: Ceph, *words: str) -> "subprocess.Popen[str]":
    """Show and start `backup-manager` with these words, and with where its backups lie."""
    argv = [
        str(Path(sys.executable).with_name("backup-manager")),
        *words,
        "--provider=ceph",
        f"--endpoint={store.http}",
        f"--bucket={BUCKET}",
        f"--prefix={PREFIX}",
    ]
    screen.say(f"{_shown(argv)}\n   with the store's two keys in its environment\n")
    process = subprocess.Popen(
        argv, cwd=ROOT, env=_environment(store), stdout=subprocess.PIPE, encoding="utf-8"
    )
    stack.callback(_stop, process)
    return process


def finish(screen: Screen, process: "subprocess.Popen[str]") -> dict[str, object]:
    """What its last line tells, once it has ended well."""
    try:
        output, _ = process.communicate(timeout=_MOST_SECONDS)
    except subprocess.TimeoutExpired:
        raise NotShownError(f"it takes more than {_MOST_SECONDS} s") from None
    line = output.splitlines()[-1] if output else "{}"
    code = process.returncode
    screen.say(f"\n   exit code {code}; the last line of its stdout:\n   {line}")
    if code != 0:
        raise NotShownError("the command failed")
    summary: dict[str, object] = json.loads(line)
    return summary


def _environment(store: Ceph) -> dict[str, str]:
    """The store's two keys, and nothing of the user's settings for other backups and stores."""
    foreign = ("AWS_", "BACKUP_MANAGER_", "S3_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    keys = {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}
    return kept | keys


def _shown(argv: Sequence[str]) -> str:
    """The command as it could be typed, an option a line."""
    words = [shlex.quote(word.replace(f"{ROOT}/", "")) for word in argv]
    plain = sum(not word.startswith("-") for word in argv)  # they come first
    return "   " + " \\\n       ".join([" ".join(words[:plain]), *words[plain:]])


def _stop(process: "subprocess.Popen[str]") -> None:
    """It ends by itself; this is for a demo that was interrupted."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(25)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
