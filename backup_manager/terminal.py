"""What a person sees on a terminal: the live display while a run goes on, and how it closed.

This module imports rich, and is imported only where stderr is a terminal.
"""

import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from backup_manager.errors import ExitCode
from backup_manager.progress import Figures, Rate, seconds_left, size
from backup_manager.report import Report
from backup_manager.texts import visible

_REFRESH_PER_SECOND = 4
_SPINNER = ("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\")
_BAR = (("█", "░"), ("#", "-"))
_BAR_COLUMNS = 16
_LABEL_COLUMNS = 10
# Wider lines are no easier to read, and break when the window is made narrower.
_MOST_COLUMNS = 100
_NARROW = 64
_SHOWN_WARNINGS = 5
_SIGNALLED = {ExitCode.INTERRUPTED, ExitCode.TERMINATED}


class _Screen:
    """The real stderr: what it does not take, as it was hung up, is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        return True


class Bar:
    """Dump and upload side by side at the foot of the terminal; log lines scroll above them."""

    def __init__(self, report: Report) -> None:
        self._report = report
        screen = cast(TextIO, _Screen(sys.stderr))
        self._console = Console(file=screen, force_terminal=True, markup=False, highlight=False)
        self._live = Live(
            self,
            console=self._console,
            refresh_per_second=_REFRESH_PER_SECOND,
            transient=True,
            # What others print there, a library's warning, must not tear the display.
            redirect_stderr=True,
            # It may be a file: the summary goes there.
            redirect_stdout=False,
            vertical_overflow="crop",
        )
        self._phase = ""
        self._figures = Figures()
        self._dumped, self._moved = Rate(), Rate()
        self._began = time.monotonic()
        self._open = False
        self._begun = ""  # of a line that has not ended yet

    def show(self, phase: str, figures: Figures) -> None:
        self._phase, self._figures = phase, figures
        self._report.figures = figures
        self._dumped.count(figures.dumped_bytes)
        self._moved.count(figures.moved_bytes)
        if not self._open:
            self._open = True
            self._live.start()
            # It is hidden then, and would stay so after SIGKILL.
            self._console.show_cursor()

    def above(self, text: str) -> bool:
        """Print lines of the log above the display; return False where it is not open."""
        if not self._open:
            return False
        # structlog's logger, under its lock, writes the end of a line by itself.
        lines, end, self._begun = (self._begun + text).rpartition("\n")
        if end:
            # A long line is the terminal's to wrap: so it can be copied whole.
            self._console.print(Text.from_ansi(lines), soft_wrap=True)
        return True

    def close(self) -> None:
        """Take the display away, and show the cursor again."""
        if self._open:
            self._open = False
            self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, _MOST_COLUMNS) - 1
        for line in self._lines(width, plain=options.ascii_only):
            line.truncate(max(width, 1))
            yield line

    def _lines(self, width: int, *, plain: bool) -> Iterator[Text]:
        figures, narrow = self._figures, width < _NARROW
        elapsed = time.monotonic() - self._began
        frames = _SPINNER[1] if plain else _SPINNER[0]
        frame = frames[int(elapsed * _REFRESH_PER_SECOND) % len(frames)]
        left = seconds_left(figures, self._moved)
        head = Text.assemble((f"{frame} ", "green"), (self._phase, "bold"), f"  {clock(elapsed)}")
        yield head if left is None else head.append(f"  {clock(left)} left", "cyan")
        dumping = self._phase == "dumping"
        if dumping or figures.rows or figures.dumped_bytes:
            rows = of(figures.rows, figures.rows_estimated, about="~", short=narrow)
            yield _row(
                "dump",
                (figures.rows, figures.rows_estimated),
                [f"{rows} rows", *_pace(figures.dumped_bytes, self._dumped if dumping else None)],
                width,
                plain=plain,
            )
        yield _row(
            figures.verb,
            (figures.sent_bytes, figures.known_bytes),
            [
                of_size(figures.sent_bytes, figures.known_bytes),
                f"{size(self._moved.per_second)}/s",
                f"{of(figures.files_sent, figures.files_known, short=narrow)} files",
            ],
            width,
            plain=plain,
        )


def _pace(count: int, rate: Rate | None) -> list[str]:
    return [size(count), *([f"{size(rate.per_second)}/s"] if rate else [])] if count else []


def _row(
    label: str, share: tuple[int, int], parts: Sequence[str], width: int, *, plain: bool
) -> Text:
    """Return the label, the bar and as many of the parts as there is room for."""
    row = Text(f"  {label}".ljust(_LABEL_COLUMNS), "bold")
    done, whole = share
    if width >= _NARROW:
        # Dumpling's estimate may be too low; a bar does not go beyond its end.
        full = round(_BAR_COLUMNS * min(done, whole) / whole) if whole else 0
        on, off = _BAR[1] if plain else _BAR[0]
        row.append(on * full, "green").append(off * (_BAR_COLUMNS - full), "bright_black")
        row.append("  ")
    for number, part in enumerate(parts):
        between = "  " if number else ""
        if number and len(row) + len(between) + len(part) > width:
            break
        row.append(between + part, "not bold")
    return row


def clock(seconds: float) -> str:
    """Print a time for a person: 1:05, or 2:03:04 with hours."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def of(done: int, known: int, *, about: str = "", short: bool = False) -> str:
    """Print a count of what is known of: 35 of 39; the count alone where that is no more."""
    one, all_ = (_short(done), _short(known)) if short else (f"{done:,}", f"{known:,}")
    return f"{one} of {about}{all_}" if known > done or (known and not about) else one


def _short(count: float) -> str:
    if count < 100_000:  # noqa: PLR2004 - five digits are short enough
        return f"{count:,.0f}"
    for unit in ("k", "M", "G"):
        count /= 1000
        if count < 1000:  # noqa: PLR2004 - thousands
            return f"{count:.1f}{unit}"
    return f"{count / 1000:.1f}T"


def of_size(done: int, known: int) -> str:
    """Print bytes of what is known of, with one unit where it is the same: 98.1 of 107.3 MiB."""
    one, all_ = size(done), size(max(done, known))
    number, unit = one.split()
    return f"{number if unit == all_.split()[1] else one} of {all_}"


# How it closed ---------------------------------------------------------------------------------


def closing(
    facts: dict[str, Any], said: Sequence[str], figures: Figures | None, *, styled: bool
) -> str:
    """Return the table that closes a run.

    ``facts`` are the summary's, without secrets; ``said`` is what failed, why, and what to do.
    ``styled`` says whether the terminal takes control sequences; NO_COLOR is respected.
    """
    facts = cast(dict[str, Any], visible(facts))
    said = [str(visible(text)) for text in said]
    good = facts["status"] == "complete"
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim" if styled else "", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in _success(facts, figures) if good else _failure(facts, said):
        table.add_row(f"  {label}", Text(text))
    for number, warning in enumerate(facts["warnings"][:_SHOWN_WARNINGS]):
        table.add_row("" if number else "  warnings", Text(warning, "yellow"))
    if (more := len(facts["warnings"]) - _SHOWN_WARNINGS) > 0:
        table.add_row("", Text(f"and {more} more, in the log above"))
    file = io.StringIO()
    console = Console(
        file=file,
        force_terminal=styled,
        color_system="auto" if styled else None,
        width=min(_columns(), _MOST_COLUMNS),
        highlight=False,
        markup=False,
    )
    console.print(_heading(facts, said[0], good=good))
    console.print(table)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _heading(facts: dict[str, Any], what: str, *, good: bool) -> Text:
    if good:
        number = len(facts["warnings"])
        warned = f", with {number} warning{'s' if number > 1 else ''}" if number else ""
        return Text(f"Complete{warned}", "bold green")
    if facts["exit_code"] in _SIGNALLED:
        return Text(what[:1].upper() + what[1:], "bold red")
    return Text.assemble(("Failed: ", "bold red"), (what, "bold"))


def _success(facts: dict[str, Any], figures: Figures | None) -> Iterator[tuple[str, str]]:
    seconds = facts["seconds"]
    yield "backup", str(facts["backup"])
    if facts["name"]:
        yield "name", facts["name"]
    if facts["snapshot"]:
        snapshot = facts["snapshot"]
        yield "snapshot", f"{snapshot['tso']}" + (f" ({snapshot['time']})" * bool(snapshot["time"]))
    yield "holds", f"{facts['files']:,} files, {size(facts['bytes'])}"
    if seconds["dump"]:
        # Not the rows: what Dumpling was last asked for is less than it wrote, what it says at its
        # end may be more.
        yield "dump", f"{spell(seconds['dump'])}, {size(facts['bytes'] / seconds['dump'])}/s"
    sent = figures.sent_bytes if figures else 0
    span = seconds["dump"] + seconds["upload_after_dump"]
    after = f", {spell(seconds['upload_after_dump'])} of it after the dump" * bool(seconds["dump"])
    if span:
        yield "upload", f"{size(sent)} sent, {spell(span)}{after}, {size(sent / span)}/s"
    yield "total", spell(seconds["total"]) + (", taken up from an earlier run" * facts["resumed"])


def _failure(facts: dict[str, Any], said: Sequence[str]) -> Iterator[tuple[str, str]]:
    _, why, fix = said
    if why:
        yield "why", why
    if fix:
        yield "to do", fix
    if facts["backup"]:
        yield "backup", f"{facts['backup']} is not published"
    yield "exit code", f"{int(facts['exit_code'])} ({facts['reason']})"
    yield "total", spell(facts["seconds"]["total"])


def spell(seconds: float) -> str:
    """Print a span for a person: 0.9 s, or 1:05 from a minute on."""
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)  # noqa: PLR2004 - a minute


def _columns() -> int:
    with suppress(OSError, ValueError, AttributeError):
        if columns := os.get_terminal_size(sys.stderr.fileno()).columns:
            return columns
    return 80
