"""A run's hub: its main thread tells it what happens, and a thread for each place tells it on."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any, Protocol

from backup_manager.errors import ExitCode
from backup_manager.progress import Figures
from backup_manager.report import Report, Summary
from backup_manager.telling.state import Ended, Phase, Published, State, Traffic
from backup_manager.texts import printable

EVERY_SECONDS = 15.0
# What there is of it in any case, also where the run is asked to end and has no time left.
LAST_WORDS_SECONDS = 1.0
# How often it is looked whether there is still time.
_LOOK_SECONDS = 0.2
# A run that ended so without a phase has only waited for another one, which goes on telling.
_NOTHING_TO_TELL = {ExitCode.HELD, ExitCode.INTERRUPTED, ExitCode.TERMINATED}


class Sink(Protocol):
    """One place where a run is told of; ``name`` is for messages.

    ``patience_seconds``: how long the end of a run waits until it has been told here.
    """

    name: str
    patience_seconds: float

    def tell(self, state: State) -> None:
        """Tell it. Whatever goes wrong may be raised."""


class Telling:
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
        self._tellers: list[_Teller] = []
        self._report = report
        self.add(sinks)

    def add(self, sinks: Iterable[Sink]) -> None:
        """Tell it here too, from the next news on."""
        if self._report:
            self._tellers += [_Teller(self, sink, self._report) for sink in sinks]

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

    def begin(self, backup: str | None, *, resumed: bool) -> None:
        """Take the address of the backup that is made, and whether an earlier run's dump is."""
        with self._news:
            self._state.backup, self._state.resumed = backup, resumed

    def hold_gc_off(self, held: bool) -> None:
        """Tell whether the GC life time is raised by this run."""
        with self._news:
            self._state.gc_held_off = held

    def publish(self, record: Mapping[str, Any]) -> None:
        """Tell that the backup of this record is in the store; this run may have found it there."""
        archive = record.get("archive")
        with self._news:
            self._state.published = Published(
                at=datetime.fromisoformat(record["finished"]).timestamp(),
                files=record["files"],
                bytes=record["bytes"],
                stored_bytes=archive["bytes"] if archive else record["bytes"],
                snapshot=record["snapshot"]["tso"],
            )

    def finish(
        self, summary: Summary, left: Callable[[float], float] = lambda at_most: at_most
    ) -> None:
        """Tell how the run ended; each place that does not hear of it in time is a warning.

        ``left`` says how many of so many seconds are still there. May be called again, by the last
        resort of a signal: then it only waits.
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
                    reason=str(summary.reason),
                    message=str(printable(self._report.redact(summary.message))),
                )
        self._tell()
        begun = time.monotonic()
        for teller in self._tellers:
            if why := teller.wait(begun, left):
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

    def __init__(self, telling: Telling, sink: Sink, report: Report) -> None:
        self.sink = sink
        self._telling = telling
        self._report = report
        self._failure = ""
        self._starting = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telling", daemon=True)

    def start(self) -> None:
        with self._starting:
            if self._thread.ident is None and not self._failure:
                try:
                    self._thread.start()
                except RuntimeError as error:  # no more threads are to be had
                    self._failure = str(error)

    def wait(self, begun: float, left: Callable[[float], float]) -> str:
        """Wait for the end; return why it could not be told, nothing if it was."""
        patience = self.sink.patience_seconds
        while self._thread.ident and not self._over.is_set():
            # A signal that comes meanwhile shortens it.
            waited = time.monotonic() - begun
            least = min(patience, LAST_WORDS_SECONDS) - waited
            rest = max(least, left(max(0.0, patience - waited)))
            if rest <= 0:
                break
            self._over.wait(min(_LOOK_SECONDS, rest))
        return self._failure if self._over.is_set() or self._failure else "it takes too long"

    def _run(self) -> None:
        version, ended = 0, False
        while not ended:
            version, state = self._telling.after(version)
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
