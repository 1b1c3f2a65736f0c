"""What a person sees on a terminal, and what a Job's log holds."""

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from tests.export.conftest import Make

# Colours are SGR sequences with a parameter of 30 or more; a bar moves the cursor all the same.
_COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38;\S+?)m")


def _on_a_terminal(argv: list[str], environment: dict[str, str]) -> tuple[bytes, bytes]:
    """Run with stderr on a terminal of its own; return what it showed, and stdout."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        shown += block
    os.close(ours)
    assert process.stdout
    stdout = process.stdout.read()
    assert 0 == process.wait()
    return shown, stdout


@pytest.mark.parametrize("no_color", [False, True])
def test_a_line_a_step_and_a_live_bar(double: Make, no_color: bool) -> None:
    export = double({"pace": 400_000})
    environment = export.environment() | {"TERM": "xterm-256color"}
    if no_color:
        environment["NO_COLOR"] = "1"

    shown, stdout = _on_a_terminal(export.argv(), environment)

    for step in ("connecting to the database", "GC is held off", "dumping", "GC is as it was"):
        assert step.encode() in shown
    for part in (b" rows, ", b"/s, ", b" files sent, ", b" to go"):
        assert part in shown
    assert no_color == (not _COLOUR.search(shown))
    assert "complete" == json.loads(stdout.splitlines()[-1])["status"]


def test_a_closed_stdout_does_not_change_the_exit_code(double: Make, volume: Path) -> None:
    export = double()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        export.argv(),
        env=export.environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(writer)
    assert 0 == done.returncode
    assert b"Traceback" not in done.stderr
