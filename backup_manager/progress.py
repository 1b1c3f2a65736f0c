"""How far a run is: a live bar on a terminal, a line every 30 s elsewhere."""

import time
from dataclasses import dataclass
from typing import Any, Protocol

from backup_manager.report import Report

LINE_SECONDS = 30.0
_REFRESH_SECONDS = 0.25


@dataclass
class Figures:
    """A moment of a run. Rows and ``dumped_bytes`` are Dumpling's own count, before compression."""

    rows: int = 0
    rows_estimated: int = 0
    dumped_bytes: int = 0
    files_sent: int = 0
    files_waiting: int = 0
    sent_bytes: int = 0


class Progress(Protocol):
    """Shows figures; it may be told of them as often as one likes."""

    def show(self, phase: str, figures: Figures) -> None: ...

    def close(self) -> None: ...


def open_progress(report: Report) -> Progress:
    """Choose how progress is shown."""
    return _Bar() if report.terminal else _Lines(report)


def size(count: float) -> str:
    """Print bytes for a person: 1.5 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - bytes in a KiB, and so on
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


class _Lines:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._last = time.monotonic()
        self._last_bytes = 0

    def show(self, phase: str, figures: Figures) -> None:
        now = time.monotonic()
        if now - self._last < LINE_SECONDS:
            return
        rate = max(0, figures.sent_bytes - self._last_bytes) / (now - self._last)
        self._last, self._last_bytes = now, figures.sent_bytes
        self._report.info(
            "progress", phase=phase, **vars(figures), bytes_per_second_sent=round(rate)
        )

    def close(self) -> None:
        pass


class _Bar:
    """One line that stays at the foot of the terminal; log lines scroll above it."""

    def __init__(self) -> None:
        # Imported here: a Job has no terminal and need not pay for it.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, SpinnerColumn, TextColumn  # noqa: PLC0415
        from rich.progress import Progress as RichProgress  # noqa: PLC0415

        self._rich: Any = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[text]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: Any = None
        self._last = 0.0
        self._phase = ""
        self._started = time.monotonic()

    def show(self, phase: str, figures: Figures) -> None:
        now = time.monotonic()
        if self._task is None:
            self._rich.start()
            self._task = self._rich.add_task(phase, total=None, text="")
        elif phase == self._phase and now - self._last < _REFRESH_SECONDS:
            return
        self._phase = phase
        self._last = now
        rate = figures.sent_bytes / max(now - self._started, 0.1)
        rows = f"{figures.rows:,}/~{figures.rows_estimated:,} rows, "
        self._rich.update(
            self._task,
            description=phase,
            # Dumpling's estimate may be too low; a bar does not go beyond its end.
            total=max(figures.rows, figures.rows_estimated) or None,
            completed=figures.rows,
            text=(rows if figures.rows_estimated else "")
            + f"{size(figures.sent_bytes)} at {size(rate)}/s, {figures.files_sent} files sent, "
            f"{figures.files_waiting} to go",
        )

    def close(self) -> None:
        if self._task is not None:
            self._rich.stop()
