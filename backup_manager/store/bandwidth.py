"""A limit of bytes per second for all that is sent, which may change with the time of the week."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime

_WEEK_MINUTES = 7 * 24 * 60
# What may be sent at once after a pause: short bursts are no faster in the long run.
_BURST_SECONDS = 0.25


@dataclass(frozen=True)
class Timetable:
    """Bytes per second from each minute of the week on (0 is Sunday, 00:00, local time).

    None stands for no limit. The slots are sorted; before the first one the last one holds.
    """

    slots: tuple[tuple[int, float | None], ...]

    def at(self, moment: datetime) -> float | None:
        """Return the limit at a local time."""
        day = moment.isoweekday() % 7
        minute = (day * 24 + moment.hour) * 60 + moment.minute
        limit = self.slots[-1][1]
        for begin, rate in self.slots:
            if begin > minute % _WEEK_MINUTES:
                break
            limit = rate
        return limit


class Limiter:
    """Makes senders wait, so that all of them together keep within the limit."""

    def __init__(self, timetable: Timetable) -> None:
        self._timetable = timetable
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._free_at = 0.0  # when all that was let through has had its time

    def end(self) -> None:
        """Let everybody go at once."""
        self._ending.set()

    def take(self, count: int) -> None:
        """Wait until so many bytes may be sent."""
        self._ending.wait(max(0.0, self._reserve(count) - time.monotonic()))

    def _reserve(self, count: int) -> float:
        """Return when these bytes may go (time.monotonic)."""
        rate = self._timetable.at(datetime.now().astimezone())
        with self._lock:
            due = max(self._free_at, time.monotonic() - _BURST_SECONDS)
            if not rate:
                return 0.0
            self._free_at = due + count / rate
            return due
