"""A run's metrics: kept by its main thread, told by a thread for each place."""

import threading
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any, Protocol

from backup_manager.errors import ExitCode
from backup_manager.metrics.state import Ended, Phase, Published, State, Traffic
from backup_manager.progress import Figures
from backup_manager.report import Report, Summary

EVERY_SECONDS = 15.0
# How long the end of a run waits until it has been told everywhere, all in all.
FINISH_SECONDS = 5.0
# The same where the run is asked to end and has no time left.
LAST_WORDS_SECONDS = 1.0
# A run that ended so without a phase has only waited for another one, which goes on telling.
_NOTHING_TO_TELL = {ExitCode.HELD, ExitCode.INTERRUPTED, ExitCode.TERMINATED}


class Sink(Protocol):
    """One place where metrics are told; ``name`` is for messages."""

    name: str

    def tell(self, state: State) -> None:
        """Tell it. Raises OSError, ValueError, http.client.HTTPException."""


class Metrics:
    """What one run tells of itself. Where there is no sink, all of this does nothing much.

    Nothing here raises, and only ``finish`` waits.
    """

    def __init__(self, sinks: Sequence[Sink] = (), report: Report | None = None) -> None:
        now = time.time()
        self._state = State(started=now, updated=now)
        self._news = threading.Condition()
        self._version = 0
        self._began = self._entered = time.monotonic()
        self._rate = Rate(self._began)
        self._tellers = [_Teller(self, sink, report) for sink in sinks if report]
        self._report = report

    # What the run does ---------------------------------------------------------------------

    def enter(self, phase: Phase) -> None:
        """Tell that the run is in this phase from now on; the first call makes it known at all."""
        with self._news:
            self._leave_phase()
            self._state.phase = phase
        self._tell()

    def show(self, figures: Figures, traffic: Traffic) -> None:
        """Take how far the run is; to be told with the next news."""
        with self._news:
            self._state.figures, self._state.traffic = figures, traffic
            self._rate.count(traffic.sent_bytes, time.monotonic())

    def resume(self, resumed: bool) -> None:
        """Tell whether the run goes on with the finished dump of an earlier one."""
        with self._news:
            self._state.resumed = resumed

    def hold_gc_off(self, held: bool) -> None:
        """Tell whether the GC life time is raised by this run."""
        with self._news:
            self._state.gc_held_off = held

    def publish(self, record: Mapping[str, Any]) -> None:
        """Tell that the backup of this record is in the store; this run may have found it there."""
        finished = datetime.fromisoformat(record["finished"]).timestamp()
        with self._news:
            self._state.published = Published(finished, record["files"], record["bytes"])

    def finish(self, summary: Summary, seconds: float = FINISH_SECONDS) -> None:
        """Tell how the run ended; give up after so many seconds, with a warning.

        May be called again, by the last resort of a signal: then it only waits.
        """
        with self._news:
            known = self._state.phase is not None
            if self._report is None or (not known and summary.exit_code in _NOTHING_TO_TELL):
                return
            if self._state.ended is None:
                self._leave_phase()
                self._state.phase = None
                self._state.ended = Ended(
                    at=time.time(),
                    exit_code=int(summary.exit_code),
                    seconds=time.monotonic() - self._began,
                    warnings=len(summary.warnings),
                )
        self._tell()
        deadline = time.monotonic() + seconds
        for teller in self._tellers:
            if why := teller.wait(max(0.0, deadline - time.monotonic())):
                self._report.warn(f"{teller.sink.name} does not tell how this run ended: {why}")

    def _leave_phase(self) -> None:
        now = time.monotonic()
        if self._state.phase:
            self._state.seconds[self._state.phase] += now - self._entered
        self._entered = now

    def _tell(self) -> None:
        with self._news:
            self._version += 1
            self._news.notify_all()
        for teller in self._tellers:
            teller.start()

    # What the tellers ask ------------------------------------------------------------------

    def after(self, version: int) -> tuple[int, State]:
        """Return the state once there are news since ``version``, or when it is time."""
        with self._news:
            self._news.wait_for(lambda: self._version != version, EVERY_SECONDS)
            if self._state.ended is None:
                now = time.monotonic()
                self._leave_phase()
                self._state.bytes_per_second = self._rate.at(now)
            self._state.updated = time.time()
            return self._version, deepcopy(self._state)


class Rate:
    """Bytes a second over one to two spans of time; times are those of time.monotonic."""

    def __init__(self, now: float, span: float = EVERY_SECONDS) -> None:
        self._span = span
        self._marks = [(now, 0)]
        self._bytes = 0

    def count(self, total: int, now: float) -> None:
        """Take how many bytes there are by now, in all."""
        self._bytes = total
        if now - self._marks[-1][0] >= self._span:
            self._marks = [self._marks[-1], (now, total)]

    def at(self, now: float) -> float:
        then, before = self._marks[0]
        return (self._bytes - before) / (now - then) if now > then else 0.0


class _Teller:
    """Tells one sink, in a thread of its own, until the end of the run has been told."""

    def __init__(self, metrics: Metrics, sink: Sink, report: Report) -> None:
        self.sink = sink
        self._metrics = metrics
        self._report = report
        self._failure = ""
        self._starting = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        with self._starting:
            if self._thread.ident is None and not self._failure:
                try:
                    self._thread.start()
                except RuntimeError as error:  # no more threads are to be had
                    self._failure = str(error)

    def wait(self, seconds: float) -> str:
        """Wait for the end; return why it could not be told, nothing if it was."""
        self._over.wait(seconds if self._thread.ident else 0)
        return self._failure if self._over.is_set() or self._failure else "it takes too long"

    def _run(self) -> None:
        version, ended = 0, False
        while not ended:
            version, state = self._metrics.after(version)
            ended = state.ended is not None
            self._try(state)
        self._over.set()

    def _try(self, state: State) -> None:
        try:
            self.sink.tell(state)
        except Exception as error:  # noqa: BLE001 - whatever it is, the backup has nothing to do with it
            why = (error.strerror if isinstance(error, OSError) else "") or str(error)
            why = why or type(error).__name__
            if not self._failure and not state.ended:
                # No warning yet: that would stand in the backup's record.
                self._report.caution(f"{self.sink.name} could not be told of this run", why=why)
            self._failure = why
        else:
            if self._failure:
                self._report.info(f"{self.sink.name} is told of this run again")
            self._failure = ""
