"""Counts what a run does, and strikes it at the point that was aimed at."""

import signal
import threading
import time
from collections import Counter

from tests.command import Running
from tests.torture.points import Point


class Striker:
    """Sends a signal to a run at the n-th event of a kind; the proxies and the watcher tell it.

    They ask ``meets`` of every event, and call ``strike`` at the moment that it names.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_target = threading.Event()
        self._running: Running | None = None
        self._point: Point | None = None
        self._signal = signal.SIGKILL
        self.counts: Counter[str] = Counter()
        self.met = ""  # what the event was
        self.struck = threading.Event()

    def aim(self, point: Point | None, number: signal.Signals = signal.SIGKILL) -> None:
        """Count anew, and strike at this point of the next run; at none without one."""
        with self._lock:
            self._running = None
            self._has_target.clear()
            self.struck.clear()
            self._point, self._signal = point, number
            self.counts.clear()
            self.met = ""

    def target(self, running: Running) -> None:
        """Say which run is meant; it has been started just now."""
        self._running = running
        self._has_target.set()

    def meets(self, source: str, what: str) -> str | None:
        """Count an event; if it is the one, return at which moment to strike."""
        with self._lock:
            self.counts[source] += 1
            point = self._point
            if not point or (source, self.counts[source]) != (point.source, point.number):
                return None
            self.met = what
            return point.moment

    def wait_for(self, event: str) -> None:
        """Wait until the run has said this, or is over."""
        self._has_target.wait(30)
        while running := self._running:
            if running.ended or any(event in line["event"] for line in running.log):
                return
            time.sleep(0.02)

    @property
    def kills(self) -> bool:
        return self._signal == signal.SIGKILL

    @property
    def has_killed(self) -> bool:
        return self.kills and self.struck.is_set()

    def strike(self) -> None:
        """Send the signal; the run has it when this returns."""
        self._has_target.wait(30)
        assert self._running
        self._running.signal(self._signal)
        self.struck.set()
