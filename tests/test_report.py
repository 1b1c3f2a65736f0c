"""What leaves the process: the log, the last line of stdout, and the termination message."""

import io
import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backup_manager import report as module
from backup_manager.errors import ExitCode, Reason, StoreError, UsageError
from backup_manager.report import Report
from backup_manager.texts import TERMINATION_BYTES, shorten

FIELDS = [
    "status",
    "reason",
    "message",
    "exit_code",
    "backup",
    "name",
    "snapshot",
    "files",
    "bytes",
    "seconds",
    "resumed",
    "warnings",
]
ANYTHING = st.text(st.characters(), max_size=6000)


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def report(log: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """A report whose termination log is `tmp_path / "termination-log"`, if that is there."""
    monkeypatch.setattr(module, "TERMINATION_LOG", tmp_path / "termination-log")
    return Report(stream=log, level="debug")


def last_line(text: str) -> Any:
    assert text.endswith("\n")
    return json.loads(text.splitlines()[-1])


def run_script(
    script: str,
    *,
    env: dict[str, str] | None = None,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """Run Python code that begins with a report."""
    lines = ["from backup_manager.report import Report", "report = Report()", script]
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        check=False,
        env=os.environ | (env or {}),
        stdout=stdout,
        stderr=stderr,
        encoding="utf-8",
    )


# The last line of stdout -------------------------------------------------------------------


def test_success(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    report.summary.files = 3
    report.succeed("s3://b/x is complete")
    assert 0 == report.finish()
    facts = last_line(capsys.readouterr().out)
    assert FIELDS == list(facts)
    assert ("complete", "Complete", 0, 3) == tuple(
        facts[key] for key in ("status", "reason", "exit_code", "files")
    )
    assert ["total", "dump", "upload_after_dump"] == list(facts["seconds"])


def test_failure(report: Report, log: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    report.fail(StoreError("it broke", why="it was old", fix="mend it", reason=Reason.UPLOAD))
    assert ExitCode.STORE == report.finish()
    facts = last_line(capsys.readouterr().out)
    assert ("failed", "BackupDataToRemoteFailed", "it broke: it was old. To do: mend it", 7) == (
        facts["status"],
        facts["reason"],
        facts["message"],
        facts["exit_code"],
    )
    logged = last_line(log.getvalue())
    assert ("error", facts["message"]) == (logged["level"], logged["event"])


def test_what_goes_wrong_after_a_success_is_a_warning(
    report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    report.succeed("published")
    report.fail(StoreError("the lock stays"))
    assert 0 == report.finish()
    facts = last_line(capsys.readouterr().out)
    assert ("complete", "published", ["the lock stays"]) == (
        facts["status"],
        facts["message"],
        facts["warnings"],
    )


def test_a_run_that_says_nothing_has_failed(
    report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ExitCode.DEFECT == report.finish()
    assert "failed" == last_line(capsys.readouterr().out)["status"]


def test_only_the_first_finish_writes(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "termination-log"
    file.touch()
    report.succeed("done")
    assert 0 == report.finish()
    written = file.read_text()
    report.fail(UsageError("too late"))
    report.finish()
    assert 1 == len(capsys.readouterr().out.splitlines())
    assert written == file.read_text()


def test_many_finish_at_once(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    report.succeed("done")
    together = threading.Barrier(16)
    codes: list[int] = []

    def finish() -> None:
        together.wait()
        codes.append(report.finish())

    threads = [threading.Thread(target=finish) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [0] * 16 == codes
    assert 1 == len(capsys.readouterr().out.splitlines())


@given(message=st.text(st.characters()), warning=st.text(st.characters()))
@example(message="two\nlines\r\n\u2028", warning="\x00\x1b[31m")
@example(message="\udcff\ud800", warning="\udcff")
def test_whatever_is_said_the_last_line_is_one_object(message: str, warning: str) -> None:
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(module, "TERMINATION_LOG", Path("/nonexistent"))
        report = Report(stream=io.StringIO())
        report.redact.add("canary")
        report.warn(f"{warning} canary")
        report.fail(UsageError(f"canary {message}"))
        report.finish()
    text = out.getvalue()
    text.encode()
    assert "canary" not in text
    assert 1 == text.count("\n")
    facts = json.loads(text)
    assert 1 == len(facts["warnings"])
    if message.isprintable() and not message.strip().startswith("***"):
        assert message in facts["message"] or "=" in message or "@" in message


def test_a_secret_that_is_learnt_after_the_warning(
    report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    report.warn("the token is canary")
    report.redact.add("canary")
    report.finish()
    assert ["the token is ***"] == last_line(capsys.readouterr().out)["warnings"]


def test_a_warning_counts_once(report: Report, log: io.StringIO) -> None:
    report.warn("mind the gap")
    report.warn("mind the gap")
    assert ["mind the gap"] == report.summary.warnings
    assert 1 == log.getvalue().count("mind the gap")


def test_a_live_display_is_closed_before_the_last_words(
    report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    class Display:
        def above(self, _text: str) -> bool:
            return False

        def close(self) -> None:
            assert "" == capsys.readouterr().out
            closed.append("closed")

    closed: list[str] = []
    report.attach(Display())
    report.succeed("done")
    report.finish()
    assert ["closed"] == closed
    assert "complete" == last_line(capsys.readouterr().out)["status"]


# Streams that are not there ----------------------------------------------------------------

FINISH = "report.succeed('büro €'); raise SystemExit(report.finish())"


def test_stdout_that_was_closed_from_the_beginning() -> None:
    argv = [sys.executable, "-m", "backup_manager", "export", "--port=0"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *argv],
        check=False,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert ExitCode.USAGE == done.returncode
    assert "Traceback" not in done.stderr
    assert "--port is wrong" in done.stderr


def test_stderr_that_was_closed_from_the_beginning() -> None:
    argv = [sys.executable, "-m", "backup_manager", "export", "--port=0"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *argv],
        check=False,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert ExitCode.USAGE == done.returncode
    assert "InvalidSettings" == last_line(done.stdout)["reason"]


def test_nobody_reads_stdout() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = run_script(FINISH, stdout=closed)
    assert (0, "") == (done.returncode, done.stderr)


def test_nobody_reads_stderr() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = run_script(f"report.info('step'); report.warn('w'); {FINISH}", stderr=closed)
    assert 0 == done.returncode
    assert ["w"] == last_line(done.stdout)["warnings"]


def test_stderr_on_a_full_disk() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run_script(f"report.info('step'); {FINISH}", stderr=full)
    assert 0 == done.returncode
    assert "complete" == last_line(done.stdout)["status"]


def test_a_locale_that_is_not_utf8() -> None:
    done = run_script(FINISH, env={"PYTHONIOENCODING": "ascii"})
    assert (0, "") == (done.returncode, done.stderr)
    assert "büro €" == last_line(done.stdout)["message"]


# The termination message -------------------------------------------------------------------


def facts_with(**more: Any) -> dict[str, Any]:
    facts = vars(Report(stream=io.StringIO()).summary)
    return facts | {"name": None, "backup": None} | more


@given(
    message=ANYTHING,
    warnings=st.lists(ANYTHING, max_size=4),
    name=st.none() | ANYTHING,
    backup=st.none() | ANYTHING,
    tso=st.none() | ANYTHING,
)
@example(message="表" * 9000, warnings=[], name=None, backup=None, tso=None)
@example(message='"' * 9000, warnings=["w"], name="\x00" * 9000, backup="b" * 9000, tso="1" * 9000)
def test_the_termination_message_fits(
    message: str, warnings: list[str], name: str | None, backup: str | None, tso: str | None
) -> None:
    snapshot = {"tso": tso, "time": None} if tso else None
    facts = facts_with(
        message=message, warnings=warnings, name=name, backup=backup, snapshot=snapshot
    )
    before = json.dumps(facts)
    text = shorten(facts)
    assert len(text.encode()) <= TERMINATION_BYTES
    assert FIELDS == list(json.loads(text))
    assert before == json.dumps(facts)


@pytest.mark.parametrize("character", ["x", "ä", "表", "😀", '"', "\n", "\x01", "\udcff"])
def test_a_long_message_fills_what_there_is(character: str) -> None:
    text = shorten(facts_with(message=character * 9000, warnings=["gone"] * 3))
    facts = json.loads(text)
    assert facts["message"].endswith("...")
    assert TERMINATION_BYTES - 12 <= len(text.encode()) <= TERMINATION_BYTES
    assert [] == facts["warnings"]


def test_warnings_go_first_and_from_the_end() -> None:
    facts = json.loads(shorten(facts_with(message="m" * 1000, warnings=["w" * 500] * 9)))
    assert ("m" * 1000, ["w" * 500] * 5) == (facts["message"], facts["warnings"])


def test_what_fits_stays_whole() -> None:
    facts = facts_with(message="short", warnings=["one", "two"])
    assert json.loads(json.dumps(facts)) == json.loads(shorten(facts))


def test_ten_thousand_warnings() -> None:
    facts = facts_with(message="m", warnings=[f"warning {n:05}" for n in range(10_000)])
    assert "warning 00000" == json.loads(shorten(facts))["warnings"][0]


def test_the_termination_log_is_written_where_there_is_one(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "termination-log"
    report.redact.add("canary")
    file.touch()
    report.fail(UsageError("canary " + "x" * 9000))
    report.finish()
    short, whole = json.loads(file.read_text()), last_line(capsys.readouterr().out)
    assert len(file.read_bytes()) <= TERMINATION_BYTES
    assert "*** x" == short["message"][:5]
    assert whole | {"message": ""} == short | {"message": ""}


def test_no_termination_log_is_made(report: Report, tmp_path: Path) -> None:
    report.finish()
    assert [] == list(tmp_path.iterdir())


def test_a_termination_log_that_cannot_be_written(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "termination-log").mkdir()
    report.succeed("done")
    assert 0 == report.finish()
    captured = capsys.readouterr()
    assert "complete" == last_line(captured.out)["status"]
    assert "termination-log: Is a directory" in captured.err


# The log -----------------------------------------------------------------------------------


def test_a_line_is_one_json_object_with_utc(report: Report, log: io.StringIO) -> None:
    report.info("a step\nin two lines", files=3, name=b"\xff".decode("utf-8", "surrogateescape"))
    event = last_line(log.getvalue())
    assert 1 == log.getvalue().count("\n")
    assert ("info", "a step\nin two lines", 3, "\\udcff") == (
        event["level"],
        event["event"],
        event["files"],
        event["name"],
    )
    assert event["time"].endswith("Z")


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_levels(report: Report, log: io.StringIO, level: str) -> None:
    report.set_level(level)
    report.debug("debug")
    report.info("info")
    report.warn("warning")
    report.error("error")
    levels = ["debug", "info", "warning", "error"]
    assert levels[levels.index(level) :] == [
        json.loads(line)["event"] for line in log.getvalue().splitlines()
    ]
    assert ["warning"] == report.summary.warnings


def test_a_defect_is_logged_with_its_stack_and_without_secrets(
    report: Report, log: io.StringIO
) -> None:
    report.redact.add("canary")
    try:
        raise ValueError("the canary sang")  # noqa: TRY301 - to have a stack
    except ValueError as error:
        report.defect(error)
    event = last_line(log.getvalue())
    assert "Traceback" in event["exception"]
    assert "ValueError: the *** sang" in event["exception"]
    # The line of the source holds it too.
    assert "canary" not in log.getvalue()


def test_whatever_is_given_as_a_fact_is_redacted(report: Report, log: io.StringIO) -> None:
    report.redact.add("canary")
    facts: dict[str, Any] = {
        "path": Path("/canary"),
        "error": OSError("canary"),
        "deep": {"canary": ["canary"]},
        "set": {"canary"},
    }
    report.info("canary", **facts)
    assert "canary" not in log.getvalue()


# Terminals ---------------------------------------------------------------------------------


def on_a_terminal(script: str, **env: str) -> str:
    """Run a script with stderr on a terminal of its own; what came out there."""
    main, other = pty.openpty()
    with os.fdopen(other, "wb") as stderr:
        run_script(script, env=env, stderr=stderr)
    os.set_blocking(main, False)
    with os.fdopen(main, "rb", buffering=0) as terminal:
        return (terminal.read(65536) or b"").decode()


STEP = "report.info('a step', files=3); print(report.terminal)"


def test_a_terminal_gets_text_with_colours() -> None:
    shown = on_a_terminal(STEP, NO_COLOR="", TERM="xterm")
    assert "a step" in shown
    assert "{" not in shown
    assert "\x1b[" in shown


def test_a_terminal_without_colours() -> None:
    shown = on_a_terminal(STEP, NO_COLOR="1", TERM="xterm")
    assert "a step files=3" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_terminal_that_can_nothing(term: str) -> None:
    shown = on_a_terminal(f"{STEP}; print(report.live)", TERM=term)
    assert "a step files=3" in shown
    assert "\x1b" not in shown


def test_what_others_named_moves_no_cursor() -> None:
    script = "report.info('\\x1b[2J', file='a\\x9b\\r\\x07b'); report.fail(UsageError('\\x1b[2J'))"
    script = f"from backup_manager.errors import UsageError; {script}; report.finish()"
    shown = on_a_terminal(script, TERM="dumb")
    assert 2 == shown.count(r"\x1b[2J")
    assert not set("\x1b\x9b\x07") & set(shown)


def test_a_secret_is_masked_before_a_narrow_table_folds_it() -> None:
    secret = "canary" * 40
    script = (
        "from backup_manager.errors import UsageError; "
        f"report.redact.add({secret!r}); report.warn({secret!r}); "
        f"report.fail(UsageError({secret!r}, why={secret!r}, fix={secret!r})); report.finish()"
    )
    shown = on_a_terminal(script, TERM="xterm", NO_COLOR="1")
    assert "nary" not in shown
    assert 5 == shown.count("***")


def test_no_terminal_no_text() -> None:
    done = run_script(STEP)
    assert "False\n" == done.stdout
    assert "a step" == json.loads(done.stderr)["event"]
