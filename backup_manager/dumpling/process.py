"""Dumpling as a child: started so that it dies with us, its pipes always drained, stopped."""

import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from backup_manager.dumpling import launcher, logs
from backup_manager.dumpling.binary import exec_failure
from backup_manager.dumpling.findings import Findings
from backup_manager.dumpling.lines import LINE_BYTES, MARGIN_BYTES, Line, LineSplitter
from backup_manager.dumpling.outcome import judge
from backup_manager.errors import DumplingError, Reason
from backup_manager.report import Report

# From fork to exec; on a busy node it may take seconds to load Python.
START_SECONDS = 15.0
# After its end: the rest in the pipes, unless a grandchild holds them open.
DRAIN_SECONDS = 5.0
KILL_SECONDS = 5.0
_BLOCK = 64 * 1024

_WARNINGS = frozenset({"warn", "warning"})
_ERRORS = frozenset({"error", "dpanic", "panic", "fatal"})
# Lines that come once a table, every two minutes, or in pages.
_CHATTY = (
    "progress", "begin to run Dump", "get estimated rows count", "didn't build tidb concat sqls",
    "skip concurrent dump", "fallback to ", "no data written in table chunk", "Welcome to dumpling",
    "session variable is not supported by db", "no data to dump", "colLen varies",
    # GC is the manager's own affair, and the advice is long.
    "If the amount of data to dump is large", "generate dumpling gc safePoint id",
)  # fmt: skip
# Names that the report's functions or structlog use themselves.
_RESERVED = frozenset(
    {"self", "event", "level", "time", "exc_info", "stack_info", "source", "severity"}
)


class Process:
    """One run of Dumpling; make it with ``start``."""

    def __init__(
        self, child: subprocess.Popen[bytes], report: Report, output: Path | None = None
    ) -> None:
        self.findings = Findings(str(output) if output else "")
        self._output = output
        self._child = child
        self._report = report
        self._lock = threading.Lock()
        self._drains = [
            threading.Thread(target=self._drain, args=(name, pipe), name=f"dumpling-{name}")
            for name, pipe in (("stdout", child.stdout), ("stderr", child.stderr))
        ]
        for drain in self._drains:
            drain.daemon = True
            drain.start()

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        env: Mapping[str, str],
        report: Report,
        output: Path | None = None,
    ) -> "Process":
        """Start Dumpling in a process group of its own; call it from the main thread.

        ``output``: where it writes, by which failures of the volume are told from others.
        Raises DumplingError (DUMPLING_UNUSABLE) where it cannot be executed.
        """
        if threading.current_thread() is not threading.main_thread():
            # PR_SET_PDEATHSIG goes by the thread that forked: its end would kill Dumpling.
            raise RuntimeError("Dumpling has to be started from the main thread")
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb", buffering=0) as status:
            try:
                child = _spawn(argv, env, writer)
            finally:
                os.close(writer)
            process = cls(child, report, output)
            if failure := _exec_error(argv[0], status):
                process.stop(0)
                raise failure
        return process

    @property
    def pid(self) -> int:
        return self._child.pid

    def poll(self) -> int | None:
        """Return the exit code once it has ended: negative is the signal that killed it."""
        with self._lock:
            return self._child.poll()

    def stop(self, grace: float) -> None:
        """End it and its group: SIGTERM, after ``grace`` seconds SIGKILL; takes at most 10 s more.

        What is left in the pipes is read. Nothing happens to one that has ended.
        """
        if grace > 0 and self._signal(signal.SIGTERM):
            self._wait(grace)
        if self._signal(signal.SIGKILL):
            self._wait(KILL_SECONDS)
        self._join()

    def outcome(self) -> None:
        """Raise the error that tells why it failed; return where it ended with 0.

        Call it when ``poll`` has returned the code. That a dump is whole it does not say: Dumpling
        ends with 0 after failures too (see metadata.py, content.py).
        """
        code = self.poll()
        if code is None:
            raise RuntimeError("Dumpling still runs")
        self._join()
        if error := judge(code, self.findings, self._output):
            raise error

    def _signal(self, number: int) -> bool:
        """Send a signal to the group; False where the process has ended."""
        with self._lock:
            # Not yet reaped, so its number is still its own.
            if self._child.poll() is not None:
                return False
            os.killpg(self._child.pid, number)
            return True

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)

    def _join(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        for drain in self._drains:
            drain.join(max(0.0, deadline - time.monotonic()))

    def _drain(self, stream: str, pipe: IO[bytes]) -> None:
        splitter, words = LineSplitter(), _Words(stream, self._report, self.findings)
        with pipe:
            try:
                while block := os.read(pipe.fileno(), _BLOCK):
                    for line in splitter.feed(block):
                        words.line(line)
                for line in splitter.close():
                    words.line(line)
            finally:
                # After a defect of ours too: an undrained pipe would hang Dumpling.
                while os.read(pipe.fileno(), _BLOCK):
                    pass


class _Words:
    """Passes one stream's lines on to the report and to the findings."""

    def __init__(self, stream: str, report: Report, findings: Findings) -> None:
        self._stream = stream
        self._report = report
        self._findings = findings
        # Lines that go on what was said before: a stack trace, or rows that were hidden.
        self._continues = False
        self._hides = False

    def line(self, line: Line) -> None:
        text = line.text
        if line.cut:
            # A secret on the cut is whole in the margin, is masked, and goes with the margin.
            text = logs.hide_cut(self._report.redact(text)[:-MARGIN_BYTES])[:LINE_BYTES]
        entry = None if line.cut else logs.parse(text)
        try:
            if entry:
                self._continues = self._hides = False
                self._log(entry)
            elif text.strip():
                self._plain(text)
        except (OSError, ValueError):
            # Our own stderr is gone: Dumpling must not hang for that.
            return

    def _log(self, entry: logs.Entry) -> None:
        redact = self._report.redact
        is_error = entry.level in _ERRORS
        error = entry.fields.get("error", "")
        self._findings.log(redact(entry.message), redact(str(error)), is_error=is_error)
        facts = {_fact_name(redact(name)): value for name, value in entry.fields.items()}
        if is_error:
            self._report.error(entry.message, source="dumpling", severity=entry.level, **facts)
        elif entry.level == "debug" or entry.message.startswith(_CHATTY):
            self._report.debug(entry.message, source="dumpling", severity=entry.level, **facts)
        elif entry.level in _WARNINGS:
            self._report.caution(entry.message, source="dumpling", severity=entry.level, **facts)
        else:
            self._report.info(entry.message, source="dumpling", severity=entry.level, **facts)

    def _plain(self, text: str) -> None:
        shown = logs.hide_rows(text)
        if self._findings.plain(self._report.redact(shown)):
            self._continues, self._hides = True, logs.HIDDEN in shown
            self._report.error(shown, source="dumpling", stream=self._stream)
            return
        if self._hides:
            return  # rows that hold line breaks go on here
        self._hides = logs.HIDDEN in shown
        # Its help after an unknown option, its banner, stack traces: for who looks for them.
        quiet = self._continues or self._stream == "stderr"
        (self._report.debug if quiet else self._report.info)(
            shown, source="dumpling", stream=self._stream
        )


def _fact_name(name: str) -> str:
    name = re.sub(r"\W+", "_", name).strip("_") or "field"
    return f"dumpling_{name}" if name in _RESERVED else name


def _spawn(argv: Sequence[str], env: Mapping[str, str], status: int) -> subprocess.Popen[bytes]:
    start = [sys.executable, "-I", "-S", str(Path(launcher.__file__).resolve())]
    try:
        return subprocess.Popen(
            [*start, str(os.getpid()), str(status), *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            pass_fds=(status,),
            process_group=0,
            bufsize=0,
        )
    except OSError as error:
        raise _not_started(error.strerror or "") from error


def _exec_error(program: str, status: IO[bytes]) -> DumplingError | None:
    """Wait until the launcher has become Dumpling; return why it has not."""
    said = b""
    deadline = time.monotonic() + START_SECONDS
    ready = select.poll()  # select() itself takes no descriptor beyond 1023
    ready.register(status, select.POLLIN)
    while ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
        block = status.read(64)
        if not block:
            break
        said += block
    else:
        return _not_started(f"no exec within {START_SECONDS:g} s")
    if number := said.removeprefix(launcher.EXECS):
        return exec_failure(program, int(number))
    if not said:
        return _not_started("its launcher failed: see the lines above")
    return None


def _not_started(why: str) -> DumplingError:
    return DumplingError("Dumpling did not start", why=why, reason=Reason.DUMPLING_UNUSABLE)
