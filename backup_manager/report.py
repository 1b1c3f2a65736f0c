"""What a person and a program see: logs on stderr, one JSON object as the last line of stdout.

Everything that leaves the process passes the redactor here.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO, cast

from backup_manager.errors import BackupError, ExitCode, Reason
from backup_manager.lean import structlog
from backup_manager.redaction import Redactor
from backup_manager.texts import encode, printable, shorten, visible

if TYPE_CHECKING:
    from backup_manager.progress import Figures  # it imports this module

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
TERMINATION_LOG = Path("/dev/termination-log")


@dataclass
class Summary:
    """The result of one command; its fields are the contract's."""

    status: str = "failed"
    reason: str = Reason.DEFECT
    message: str = ""
    exit_code: int = ExitCode.DEFECT
    backup: str | None = None
    name: str | None = None
    snapshot: dict[str, str | None] | None = None
    files: int = 0
    bytes: int = 0
    seconds: dict[str, float] = field(
        default_factory=lambda: {"total": 0.0, "dump": 0.0, "upload_after_dump": 0.0}
    )
    resumed: bool = False
    warnings: list[str] = field(default_factory=list)


class Display(Protocol):
    """Something live at the foot of the terminal; log lines are printed above it."""

    def above(self, text: str, /) -> bool: ...

    def close(self) -> None: ...


class _Stderr:
    """Whatever sys.stderr is at the moment, or above the live display where one is open.

    A log that nobody takes any more ends no backup: what cannot be written is dropped.
    """

    display: Display | None = None

    def write(self, text: str) -> None:
        if self.display and self.display.above(text):
            return
        with suppress(OSError, ValueError):
            if sys.stderr:
                sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            if sys.stderr:
                sys.stderr.flush()


class Report:
    """The one way out for words: steps, events, warnings and the summary.

    Safe to use from every thread.
    """

    def __init__(self, *, level: str = "info", stream: TextIO | None = None) -> None:
        self.redact = Redactor()
        self.summary = Summary()
        self._stderr = _Stderr()
        self._stream = stream or self._stderr
        # Python has no sys.stderr where it was closed.
        shown = stream or sys.stderr
        self.terminal = shown is not None and shown.isatty()
        # Without TERM too: there is no telling what such a terminal understands.
        self._dumb = os.environ.get("TERM", "") in {"", "dumb", "unknown"}
        self._quiet = False
        self._error: BackupError | None = None
        self.figures: Figures | None = None  # the last that were shown
        # Whether stdout ends with the summary: for all but a command whose lines are its result.
        self.sums_up = True
        # Whether it is a backup that is made: on a terminal a table closes that.
        self.publishes = True
        self._overheard: list[str] | None = None
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._finished = False
        self._log = self._logger(level)

    def set_level(self, level: str, *, quiet: bool = False) -> None:
        """Log from this level on: debug, info, warning or error; quietly, at least warnings."""
        self._quiet = quiet
        self._log = self._logger(max(level, "warning", key=LEVELS.__getitem__) if quiet else level)

    @property
    def live(self) -> bool:
        """Whether a live display has a place: on a terminal that can, unless quiet is wanted."""
        return self.terminal and not self._dumb and not self._quiet

    def attach(self, display: Display) -> None:
        """Print log lines above this display from now on; it is closed before the last words."""
        self._stderr.display = display

    def _logger(self, level: str) -> Any:
        renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
        if self.terminal:
            colors = not os.environ.get("NO_COLOR") and not self._dumb
            renderer = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0)
        return structlog.wrap_logger(
            structlog.PrintLogger(cast(TextIO, self._stream)),
            processors=[
                structlog.processors.add_log_level,
                # The console renderer puts what is called so at the beginning of the line.
                structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="timestamp")
                if self.terminal
                else structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
                structlog.processors.format_exc_info,
                self._redacted,
                renderer,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        )

    def _redacted(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        # A file name may hold bytes that are no UTF-8; a log line may not. Nor may a name that
        # others chose move the cursor of a terminal; JSON escapes that by itself.
        clean = visible if self.terminal else printable
        return {
            key: clean(self.redact.deep(value))
            if key not in {"level", "time", "timestamp"}
            else value
            for key, value in event.items()
        }

    def debug(self, event: str, **facts: Any) -> None:
        self._log.debug(event, **facts)

    def info(self, event: str, **facts: Any) -> None:
        self._log.info(event, **facts)

    @contextmanager
    def overheard(self) -> Iterator[list[str]]:
        """Collect warnings and cautions in place of logging and keeping them."""
        said: list[str] = []
        self._overheard = said
        try:
            yield said
        finally:
            self._overheard = None

    def caution(self, event: str, **facts: Any) -> None:
        """Log at the level of warnings what is no warning about the backup."""
        if self._overheard is not None:
            self._overheard.append(event)
            return
        self._log.warning(event, **facts)

    def step(self, event: str, **facts: Any) -> None:
        """Say that a step of the story has been reached; one line."""
        self._log.info(event, **facts)

    def error(self, event: str, **facts: Any) -> None:
        self._log.error(event, **facts)

    def warn(self, message: str) -> None:
        """Log a warning and keep it for the summary, once."""
        message = str(printable(self.redact(message)))
        if self._overheard is not None:
            self._overheard.append(message)
            return
        with self._lock:
            if message in self.summary.warnings:
                return
            self.summary.warnings.append(message)
        self._log.warning(message)

    def defect(self, error: BaseException) -> None:
        """Log an error of this program's own, with its stack trace."""
        self._log.error("this is a defect of backup-manager", exc_info=error)

    def print(self, line: str, *, redacted: bool = True) -> bool:
        """Write a line of the command's result to stdout; return False once nobody reads it.

        ``redacted``: not for what is the user's own text, and would be another one then.
        """
        return _write_stdout(self.redact(line) if redacted else line)

    def succeed(self, message: str, reason: Reason = Reason.COMPLETE) -> None:
        self.summary.status = "complete"
        self.summary.reason = reason
        self.summary.exit_code = ExitCode.COMPLETE
        self.summary.message = message

    def fail(self, error: BackupError) -> None:
        """Tell of a failure; after a success it is but a warning: what is published stays so."""
        if self.summary.status == "complete":
            self.warn(error.message)
            return
        self.summary.status = "failed"
        self.summary.reason = error.reason
        self.summary.exit_code = error.exit_code
        self.summary.message = error.message
        self._error = error

    def finish(self) -> int:
        """Write the summary to stdout and to the termination log; return the exit code.

        Only the first call writes: the last resort of a signal may come while the orderly end is
        on its way.
        """
        with self._lock:
            if self._finished:
                return self.summary.exit_code
            self._finished = True
        if self._stderr.display:
            self._stderr.display.close()
        self.summary.seconds["total"] = round(time.monotonic() - self._started, 3)
        facts = asdict(self.summary)
        facts["message"] = str(printable(self.redact(self.summary.message)))
        # Again: a secret may have been learnt after the warning.
        facts["warnings"] = self.redact.deep(self.summary.warnings)
        self._close(facts)
        if self.sums_up:
            _write_stdout(encode(facts))
        _write_termination_log(facts)
        return self.summary.exit_code

    def _close(self, facts: dict[str, Any]) -> None:
        """Say on stderr how it ended: a table on a terminal, else a line where it failed."""
        if self.terminal and self.publishes and not self._quiet:
            if facts["reason"] != Reason.DRY_RUN:
                from backup_manager.terminal import closing  # noqa: PLC0415 - it imports rich

                # Before it is folded into lines: a secret in two pieces would not be found.
                clean = {name: self.redact.deep(value) for name, value in facts.items()}
                said = [self.redact(text) for text in self._said()]
                self._stream.write(closing(clean, said, self.figures, styled=not self._dumb))
        elif facts["status"] == "failed":
            self._log.error(
                facts["message"], reason=str(facts["reason"]), exit_code=int(facts["exit_code"])
            )
        elif self.terminal:
            self._log.info(facts["message"])

    def _said(self) -> tuple[str, str, str]:
        error = self._error
        return (error.what, error.why, error.fix) if error else (self.summary.message, "", "")


def _write_stdout(line: str) -> bool:
    if sys.stdout is None:
        return False  # it was closed from the beginning; the exit code still tells
    try:
        try:
            sys.stdout.write(line + "\n")
        except UnicodeEncodeError:  # the locale is not UTF-8
            sys.stdout.write(_ascii(line) + "\n")
        sys.stdout.flush()
    except OSError:
        # Nobody reads any more. Python must not flush again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return False
    return True


def _ascii(line: str) -> str:
    try:
        return json.dumps(json.loads(line), separators=(",", ":"))
    except ValueError:
        return line.encode("ascii", "backslashreplace").decode()


def _write_termination_log(facts: dict[str, Any]) -> None:
    if not TERMINATION_LOG.exists():
        return
    try:
        TERMINATION_LOG.write_text(shorten(facts), encoding="utf-8")
    except OSError as error:
        _Stderr().write(f"cannot write {TERMINATION_LOG}: {error.strerror}\n")
