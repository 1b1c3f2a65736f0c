"""What a person sees on a terminal, and what a Job's log holds."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.command import assert_no_secret
from tests.export.conftest import Make
from tests.terminals import Terminal

# Colours are SGR sequences with a parameter of 30 or more; a display moves the cursor all the same.
_COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38;\S+?)m")
_DUMP = re.compile(r"  dump +[█░]* +[\d,.k]+( of ~[\d,.k]+)? rows")
_UPLOAD = re.compile(r"  upload +[█░]* +[\d.]+( \w+)? of [\d.]+ [KMGT]?i?B\b")


def _held(volume: Path) -> tuple[Path, dict[str, Any]]:
    """A file, and the gate at which the dump stands still until it is there."""
    go = volume.parent / "go"
    return go, {"gate": {"after_files": 4, "path": str(go)}}


def _shows_a_held_dump(shown: str) -> bool:
    """Whether dump and upload stand side by side, and all that was dumped yet has been sent."""
    return bool(_DUMP.search(shown)) and bool(re.search(r"([1-9]\d*) of \1 files", shown))


def test_dump_and_upload_side_by_side_through_a_change_of_size(double: Make, volume: Path) -> None:
    go, gate = _held(volume)
    export = double(gate, after=["--threads=1", "--rows=100"])
    environment = export.environment() | {"TERM": "xterm-256color"}
    with Terminal(export.argv(), environment, columns=100) as terminal:
        terminal.wait_until(_shows_a_held_dump)
        terminal.resize(40)
        # Drawn anew for that width, over what was there.
        narrow = terminal.wait_until(
            lambda shown: shown.count("  upload  ") == 1 and "░" not in shown
        )
        # SIGKILL now would leave no terminal without one.
        assert terminal.screen.cursor_visible
        go.touch()
        assert 0 == terminal.end()
    foot = [line for line in narrow.splitlines() if line][-3:]
    assert re.fullmatch(r"\S dumping  \d:\d\d", foot[0])
    assert _DUMP.match(foot[1])
    assert _UPLOAD.match(foot[2])

    shown = terminal.screen.text
    assert terminal.screen.cursor_visible
    assert _COLOUR.search(terminal.raw)
    # Nothing of the display stays.
    assert not re.search(
        r"(?m)^(  upload|  dump|\S dumping)|░| left$", shown.split("\nComplete")[0]
    )
    # What stood there when it was made narrower has been cut.
    for step in ("connecting to the", "dumping", "GC is as it was", "published"):
        assert 1 == len(re.findall(rf"\] {step}", shown))
    summary = json.loads(terminal.stdout)
    closing = shown.split("\nComplete")[1].replace("\n            ", "")
    for fact in (summary["backup"], summary["snapshot"]["tso"], f"{summary['files']} files"):
        assert fact in closing
    for label in ("dump", "upload", "total", "warnings"):
        assert f"\n  {label}" in closing
    assert_no_secret(export.secrets, "the terminal", terminal.raw)


def test_without_colours_and_with_stdout_on_the_same_terminal(double: Make) -> None:
    export = double({"pace": 400_000})
    environment = export.environment() | {"TERM": "xterm", "NO_COLOR": "1"}
    with Terminal(export.argv(), environment, columns=2000, shared=True) as terminal:
        assert 0 == terminal.end()
    assert not _COLOUR.search(terminal.raw)
    assert any(_UPLOAD.match(line) for line in terminal.seen())
    *_, closing, line = terminal.screen.text.splitlines()
    assert "complete" == json.loads(line)["status"]
    assert closing.startswith(" ")


def test_a_dumb_terminal_gets_no_control_sequence(double: Make) -> None:
    export = double(name="plain")
    environment = export.environment() | {"TERM": "dumb"}
    with Terminal(export.argv(), environment, columns=72) as terminal:
        assert 0 == terminal.end()
    assert not re.search(rb"[^\n\r -~\x80-\xff]", terminal.raw)
    assert b"\r" not in terminal.raw.replace(b"\r\n", b"")
    assert "\n  name      plain\n" in terminal.screen.text
    closing = terminal.raw.decode().split("\nComplete")[1]
    assert 72 >= max(len(line) for line in closing.split("\r\n"))


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "Stopped by SIGINT"),
        (signal.SIGTERM, 143, "Stopped by SIGTERM"),
    ],
)
def test_stopped(double: Make, volume: Path, number: signal.Signals, code: int, said: str) -> None:
    _, gate = _held(volume)
    export = double(gate, after=["--threads=1", "--rows=100"])
    environment = export.environment() | {"TERM": "xterm"}
    with Terminal(export.argv(), environment) as terminal:
        terminal.wait_until(_shows_a_held_dump)
        terminal.signal(number)
        assert code == terminal.end()
    shown = terminal.screen.text
    assert terminal.screen.cursor_visible
    assert not _UPLOAD.search(shown)
    heading, *closing = shown[shown.index(said) :].splitlines()
    assert said == heading
    assert (
        "  to do      run the same command again: it takes up or clears what this run left"
        in closing
    )
    assert closing[-1].startswith("  total")
    assert code == json.loads(terminal.stdout)["exit_code"]


def test_a_failure_says_what_why_and_what_to_do(double: Make, volume: Path) -> None:
    export = double({"misdeed": "exit-1-at-end"})
    environment = export.environment() | {"TERM": "xterm"}
    with Terminal(export.argv(), environment, columns=200) as terminal:
        assert 5 == terminal.end()
    summary = json.loads(terminal.stdout)
    closing = terminal.screen.text[terminal.screen.text.index("Failed: ") :]
    lines = dict(re.findall(r"(?m)^  (\w[\w ]*?)  +(.*)$", closing))
    what = closing.splitlines()[0].removeprefix("Failed: ")
    assert summary["message"] == f"{what}: {lines['why']}. To do: {lines['to do']}"
    assert f"5 ({summary['reason']})" == lines["exit code"]
    # Once, and not as a line of the log too.
    assert 1 == terminal.screen.text.count(what)


@pytest.mark.parametrize("double_does", [{"pace": 4_000_000}, {"misdeed": "exit-1-at-end"}])
def test_quiet(double: Make, double_does: dict[str, Any]) -> None:
    export = double(double_does, quiet=True, log_level="debug")
    environment = export.environment() | {"TERM": "xterm", "NO_COLOR": "1"}
    with Terminal(export.argv(), environment, columns=2000) as terminal:
        code = terminal.end()
    summary = json.loads(terminal.stdout)
    assert code == summary["exit_code"]
    said = re.findall(r"(?m)^\d\d:\d\d:\d\d \[(\w+) *\] (.*)$", terminal.screen.text)
    assert len(terminal.screen.text.splitlines()) == len(said)
    assert {level for level, _ in said} <= {"warning", "error"}
    assert set(summary["warnings"]) <= {text for _, text in said}
    if code:
        level, text = said[-1]
        assert ("error", True) == (level, text.startswith(summary["message"]))
        assert f"reason={summary['reason']}" in text


def test_a_terminal_that_goes_away_ends_no_backup(double: Make, volume: Path) -> None:
    go, gate = _held(volume)
    export = double(gate, after=["--threads=1", "--rows=100"])
    # It is not the controlling terminal: the signal of a hang-up would end any program.
    with Terminal(export.argv(), export.environment() | {"TERM": "xterm"}) as terminal:
        terminal.wait_until(_shows_a_held_dump)
        terminal.hang_up()
        go.touch()
        assert 0 == terminal.process.wait(60)
        terminal.end()
    assert "complete" == json.loads(terminal.stdout)["status"]


def test_a_job_has_json_lines_with_the_same_facts_and_no_rich(double: Make, volume: Path) -> None:
    export = double({"pace": 400_000})
    argv = export.argv()
    argv[1:1] = ["-X", "importtime"]
    done = subprocess.run(
        argv,
        env=export.environment() | {"TERM": "xterm"},
        capture_output=True,
        check=False,
        timeout=60,
        encoding="utf-8",
    )
    assert 0 == done.returncode
    lines = done.stderr.splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time")}
    assert {"boto3", "structlog"} <= imported
    # The attempt that structlog makes is among them.
    assert {"rich"} == {name for name in imported if re.match(r"(rich|pygments)\b", name)}

    events = [json.loads(line) for line in lines if line.startswith("{")]
    told = [event for event in events if event["event"] == "progress"]
    assert ["checking the dump", "sending the rest", "asking the store"] == [
        event["phase"] for event in told
    ]
    last, summary = told[-1], json.loads(done.stdout)
    assert (summary["files"] - 1, 0) == (last["files_sent"], last["files_waiting"])
    assert last["known_bytes"] == last["sent_bytes"] > 0
    assert {"rows", "rows_estimated", "dumped_bytes", "bytes_per_second_sent"} <= last.keys()
    assert "complete" not in last


def test_stdout_alone_is_a_terminal(double: Make) -> None:
    export = double(bucket=None)
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "wb") as stdout:
        done = subprocess.run(
            export.argv(),
            env=export.environment() | {"TERM": "xterm"},
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    shown = os.read(ours, 65536)
    os.close(ours)
    assert 2 == done.returncode == json.loads(shown)["exit_code"]
    assert ["error"] == [json.loads(line)["level"] for line in done.stderr.splitlines()]


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
