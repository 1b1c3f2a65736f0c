"""How far a run is: a live display on a terminal, a line of the log elsewhere."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from backup_manager.report import Report

LINE_SECONDS = 30.0
_NOT_LOGGED = {"complete", "moved_bytes", "under_way", "verb"}
UPLOAD = "upload"
# Over how long a rate is taken: at least so many seconds, and so many changes.
_RATE_SECONDS = 30.0
_RATE_CHANGES = 8
# A time left that rests on less than this is a guess.
_SURE_SECONDS = 2.0


@dataclass
class Figures:
    """A moment of a run.

    Rows and ``dumped_bytes`` are Dumpling's own count, before compression. Its estimate of the rows
    grows whenever it begins a table (dumpling/export/dump.go, dumpTableData), so it is no total.
    ``known_bytes`` are those of all files that were offered for sending; ``complete`` says that no
    more will come. ``sent_bytes`` the store has confirmed; ``moved_bytes`` is all that ever left,
    also in vain, and ``under_way`` what of it is on its way, as far as that is known. ``verb``:
    what is done with the files, if they are not uploaded.
    """

    rows: int = 0
    rows_estimated: int = 0
    dumped_bytes: int = 0
    files_sent: int = 0
    files_waiting: int = 0
    sent_bytes: int = 0
    known_bytes: int = 0
    complete: bool = False
    moved_bytes: int = 0
    under_way: int = 0
    verb: str = UPLOAD

    @property
    def files_known(self) -> int:
        return self.files_sent + self.files_waiting


class Progress(Protocol):
    """Shows figures; it may be told of them as often as one likes."""

    def show(self, phase: str, figures: Figures) -> None: ...

    def close(self) -> None: ...


def open_progress(report: Report) -> Progress:
    """Choose how progress is shown."""
    if not report.live:
        return Lines(report)
    # Imported here: a Job has no terminal and need not pay for it.
    from backup_manager.terminal import Bar  # noqa: PLC0415 - see above

    bar = Bar(report)
    report.attach(bar)
    return bar


def size(count: float) -> str:
    """Print bytes for a person: 1.5 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - bytes in a KiB, and so on
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


class Rate:
    """How fast a count grows at the moment; ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changes: deque[tuple[float, int]] = deque()

    def count(self, value: int) -> None:
        """Take the count as it is now; one that has fallen begins anew."""
        now = self._clock()
        if self._changes and value < self._changes[-1][1]:
            self._changes.clear()
        # One a second is enough.
        second = len(self._changes) > 1 and now - self._changes[-2][0] < 1
        if second and value != self._changes[-1][1]:
            self._changes[-1] = (now, value)
        elif not self._changes or value != self._changes[-1][1]:
            self._changes.append((now, value))
        while len(self._changes) > _RATE_CHANGES and now - self._changes[1][0] >= _RATE_SECONDS:
            self._changes.popleft()

    @property
    def per_second(self) -> float:
        """What came a second; it falls while nothing comes."""
        if not self._changes:
            return 0.0
        since, before = self._changes[0]
        return (self._changes[-1][1] - before) / max(self._clock() - since, 0.001)

    def seconds_for(self, rest: int) -> float | None:
        """How long the rest takes at this rate, or None while that is not known."""
        if not self._changes or self._clock() - self._changes[0][0] < _SURE_SECONDS:
            return None
        return rest / self.per_second if self.per_second else None


def seconds_left(figures: Figures, rate: Rate) -> float | None:
    """How long it will take to send the rest, or None where not all of it is known.

    ``rate`` is that of ``moved_bytes``: what is confirmed comes in bursts of 16 parts at a time.
    """
    rest = figures.known_bytes - figures.sent_bytes - figures.under_way
    if not figures.complete or not figures.files_waiting or rest <= 0:
        return None
    return rate.seconds_for(rest)


class Lines:
    """A line of the log every 30 s, and at each new phase but the first, which has no figures."""

    def __init__(self, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._said_at = clock()
        self._phase = ""
        self._moved = Rate(clock)

    def show(self, phase: str, figures: Figures) -> None:
        self._moved.count(figures.moved_bytes)
        self._report.figures = figures
        changed = self._phase not in {"", phase}
        self._phase = phase
        if not changed and self._clock() - self._said_at < LINE_SECONDS:
            return
        self._said_at = self._clock()
        self._report.info("progress", phase=phase, **self._facts(figures))

    def _facts(self, figures: Figures) -> dict[str, Any]:
        rate = round(self._moved.per_second)
        if figures.verb == UPLOAD:
            shown = {
                name: value for name, value in vars(figures).items() if name not in _NOT_LOGGED
            }
            facts = {**shown, "bytes_per_second_sent": rate}
        else:
            facts = {
                "files": figures.files_sent,
                "files_waiting": figures.files_waiting,
                "bytes": figures.sent_bytes,
                "bytes_per_second": rate,
            }
        left = seconds_left(figures, self._moved)
        return facts if left is None else facts | {"seconds_left": round(left)}

    def close(self) -> None:
        pass
