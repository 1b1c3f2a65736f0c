"""One run's lease on the GC life time: taken, kept alive by a heartbeat, and given back."""

import threading
import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

from backup_manager.database import lease_document as rules
from backup_manager.database import lease_words
from backup_manager.database.connection import Database
from backup_manager.database.lease_document import Change, Document, Original, Row
from backup_manager.database.lease_row import RowGoneError, compare_and_set
from backup_manager.database.snapshot import check_not_collected
from backup_manager.errors import BackupError, DatabaseError, ProtectionError, Reason
from backup_manager.report import Report
from backup_manager.signals import Stop

ACQUIRE_SECONDS = 60.0
RELEASE_SECONDS = 10.0
_LEAST_RELEASE_SECONDS = 2.0
# While the heartbeat fails, it tries again this soon.
_RETRY_SECONDS = 5.0
# How long one heartbeat goes on before it counts, and is told, as failed.
BEAT_SECONDS = 30.0
# GC's worker reads the life time first and writes its safe point a little later: one look may
# come in between, so a doubt is cleared by the second.
_LOOKS = 2


class _EndedError(Exception):
    """The lease is being given back while a heartbeat is under way."""


class Lease:
    """Holds GC off for one run, and lets other runs see it.

    ``need`` is in nanoseconds; ``dead_ids`` are leases of runs that nobody holds any more, and
    ``known`` is what the journal of the latest of them remembers, unless its lease was given
    back. ``remember`` gets what the journal must hold before the row is changed; it is called
    from `acquire` and `check` only, so in their thread.
    """

    def __init__(
        self,
        database: Database,
        lease_id: str,
        *,
        need: int,
        stop: Stop,
        report: Report,
        remember: Callable[[Original], None],
        dead_ids: Collection[str] = (),
        known: Original | None = None,
        heartbeat_seconds: float = rules.HEARTBEAT_SECONDS,
        beat_seconds: float = BEAT_SECONDS,
        lease_seconds: int = rules.LEASE_SECONDS,
    ) -> None:
        self._root = database
        self._line = database.fresh()
        self._id = lease_id
        self._need = need
        self._stop = stop
        self._report = report
        self._remember = remember
        self._dead_ids = frozenset(dead_ids) - {lease_id}
        self._known = Document(known, {}) if known else None
        self._heartbeat_seconds = heartbeat_seconds
        self._beat_seconds = beat_seconds
        self._lease_seconds = lease_seconds
        self._snapshot: str | None = None
        self._end = 0  # of the lease, in the database's unix seconds
        self._doubts = 0  # looks at the safe point that are still to come
        self._given_back = True
        self._remembered: Original | None = None
        self._fatal: BackupError | None = None
        self._failing = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Record the lease, raise the life time where it is lower, and start the heartbeat.

        Raises ProtectionError (GC_READ, GC_PARSE_OLD, GC_SET), DatabaseError where the database
        stays away for a minute, InterruptedBySignalError. What was begun is undone first.
        """
        try:
            change = compare_and_set(
                self._line,
                self._first,
                until=time.monotonic() + min(ACQUIRE_SECONDS, self._root.patience),
                wait=self._stop.wait,
                before_write=self._before_first,
            )
            self._note(change)
            thread = threading.Thread(target=self._beat_on, name="gc-lease", daemon=True)
            thread.start()
            self._thread = thread
        except BaseException:
            self.release()
            raise
        self._report.info(
            "GC is held off",
            life_time=change.row.value,
            before=self._before,
            leases=len(change.document.leases) if change.document else 0,
        )

    def watch(self, snapshot: str, *, given: bool = False) -> None:
        """Tell which snapshot the dump reads at; one that the user gave is checked at once.

        Raises ProtectionError (GC_PASSED_SNAPSHOT), DatabaseError.
        """
        self._snapshot = snapshot
        if given:
            self._doubts = _LOOKS
            check_not_collected(self._root, snapshot)

    def check(self) -> None:
        """Raise what the heartbeat found to be fatal; cheap, to be called often."""
        # In this order: a heartbeat that ends on purpose leaves its reason first.
        dead = self._thread is not None and not self._thread.is_alive()
        if self._fatal:
            raise self._fatal
        if dead and not self._ended.is_set():
            raise RuntimeError("the heartbeat of the GC lease has died")
        if self._known:
            self._tell_journal(self._known.original)

    @property
    def given_back(self) -> bool:
        """Whether the row holds nothing of this lease: the journal's memory of it is of no use."""
        return self._given_back

    @property
    def _before(self) -> str | None:
        """The value before all leases, as far as it is known."""
        return self._remembered.value if self._remembered else None

    def release(self) -> None:
        """Give the lease back, in 10 s at most; a failure is a warning. Calls again do nothing."""
        if self._ended.is_set():
            return
        self._ended.set()
        patience = min(RELEASE_SECONDS, max(_LEAST_RELEASE_SECONDS, self._root.patience))
        until = time.monotonic() + self._stop.seconds_left(patience)
        self._end_heartbeat()
        if self._given_back:
            return
        try:
            with self._root.fresh(until=until) as line:
                change = compare_and_set(
                    line,
                    self._last,
                    until=until - 1,
                    wait=lambda seconds: time.sleep(max(0, min(seconds, until - time.monotonic()))),
                )
        except (DatabaseError, ProtectionError) as error:
            self._given_back = isinstance(error, RowGoneError)
            self._report.warn(lease_words.left_behind(error, self._before, self._lease_seconds))
            return
        self._given_back = True
        if change.document:
            left = len(change.document.leases)
            self._report.info("the lease on GC has ended, others go on", leases=left)
        else:
            self._report.info("GC is as it was", life_time=change.row.value)

    def _first(self, row: Row, now: int) -> Change:
        self._stop.check()
        rules.refuse_unreadable(row)
        return self._renewed(row, now)

    def _again(self, row: Row, now: int) -> Change:
        if self._ended.is_set():
            raise _EndedError
        change = self._renewed(row, now)
        # Noted before the write: after a lost answer the next look finds all well again.
        if change.lowered or change.missing or now >= self._end:
            self._doubts = _LOOKS
        if warning := lease_words.foreign(change, self._need):
            self._report.warn(warning)
        return change

    def _renewed(self, row: Row, now: int) -> Change:
        return rules.renew(
            row,
            self._id,
            need=self._need,
            now=now,
            known=self._known,
            dead_ids=self._dead_ids,
            lease_seconds=self._lease_seconds,
        )

    def _last(self, row: Row, now: int) -> Change:
        return rules.release(row, self._id, now=now, known=self._known, dead_ids=self._dead_ids)

    def _before_first(self, change: Change) -> None:
        if change.document:
            self._tell_journal(change.document.original)
            # From here on the row may hold the lease, whatever answer comes.
            self._given_back = False

    def _tell_journal(self, original: Original) -> None:
        if original != self._remembered:
            self._remember(original)
            self._remembered = original

    def _note(self, change: Change) -> None:
        if change.document:
            self._known = change.document
            self._end = change.document.leases[self._id]

    def _beat_on(self) -> None:
        pause = self._heartbeat_seconds
        while not self._ended.wait(pause):
            pause = self._heartbeat_seconds
            try:
                self._beat()
            except _EndedError:
                return
            except (DatabaseError, ProtectionError) as error:
                if error.reason == Reason.GC_PASSED_SNAPSHOT:
                    self._fatal = error
                    return
                if self._ended.is_set():
                    return  # the release has cut the line
                self._tell_failing(error)
                pause = min(pause, _RETRY_SECONDS)

    def _beat(self) -> None:
        change = compare_and_set(
            self._line,
            self._again,
            until=time.monotonic() + self._beat_seconds,
            wait=self._wait_or_end,
        )
        self._note(change)
        if self._doubts and self._snapshot:
            # Not for long: the next heartbeat looks again.
            check_not_collected(self._line, self._snapshot, seconds=0)
            self._doubts -= 1
        if self._failing:
            self._failing = False
            self._report.info("the heartbeat of the GC lease goes on again")

    def _wait_or_end(self, seconds: float) -> None:
        if self._ended.wait(seconds):
            raise _EndedError

    def _tell_failing(self, error: BackupError) -> None:
        if not self._failing:
            self._failing = True
            self._report.warn(lease_words.failing(error, self._before))

    def _end_heartbeat(self) -> None:
        thread = self._thread
        if thread and thread.is_alive():
            thread.join(1)
            if thread.is_alive():
                self._line.cut()
                thread.join(1)
        if not (thread and thread.is_alive()):
            self._line.close()
