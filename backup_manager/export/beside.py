"""What goes on beside the step that the main thread waits for."""

import time

from backup_manager.dumpling.metrics import Figures as Dumped
from backup_manager.dumpling.metrics import Meter
from backup_manager.errors import DumplingError, Reason, StoreError
from backup_manager.export.engine import Engine
from backup_manager.export.job import Job
from backup_manager.progress import Figures, Progress
from backup_manager.store.faults import explain
from backup_manager.telling import Traffic
from backup_manager.volume.directory import scan
from backup_manager.volume.lock import IdentityLock
from backup_manager.volume.runs import Run

_TICK_SECONDS = 0.1
_METER_SECONDS = 1.0
# How often the dump's directory is looked through for movement when nothing else moves.
_DEEP_LOOK_SECONDS = 30.0


class Beside:
    """What goes on beside the main step: checked, shown and watched for a stall at each tick."""

    def __init__(
        self, job: Job, run: Run, uploader: Engine, progress: Progress, lock: IdentityLock
    ) -> None:
        self._job = job
        self._lock = lock
        self._run = run
        self.uploader = uploader
        self._progress = progress
        self._limit: float = job.settings["stall_timeout"]
        self._dumped = Dumped(0, 0, 0, None)
        self._meter: Meter | None = None
        self._metered_at = 0.0
        self._seen: object = None
        self._moved_at = time.monotonic()
        self._looked_at = 0.0
        self._on_volume: int | None = None
        self._after_dump_since = time.monotonic()
        self._known_bytes = 0
        self._complete = False

    @property
    def seconds_after_dump(self) -> float:
        """How long ago Dumpling ended; the begin of this run counts where it did not run."""
        return time.monotonic() - self._after_dump_since

    def follow(self, pid: int) -> None:
        """Read the figures of this Dumpling from now on."""
        self._meter = Meter(pid)

    def unfollow(self) -> None:
        """Dumpling has ended: its last figures stay."""
        self._meter = None
        self._after_dump_since = time.monotonic()

    def offered(self, count: int) -> None:
        """Count the bytes of files that were offered for sending, also again."""
        self._known_bytes += count

    def complete(self) -> None:
        """Every file is as it stays: what is to be sent is known from now on."""
        self._complete = True
        self._known_bytes = self.uploader.bytes_done + self.uploader.bytes_waiting

    def show(self, phase: str) -> None:
        """Show how far it is, now."""
        figures = self._figures()
        self._progress.show(phase, figures)
        self._measure(figures)

    def tick(self, phase: str) -> None:
        """Wait a tick; raise what went wrong meanwhile.

        A stall is a DumplingError or a StoreError, a lock that was lost a HeldError.
        """
        self._job.stop.wait(_TICK_SECONDS)
        # First of all: who has the lock may be clearing away what the others fail on.
        self._lock.tick()
        self.uploader.check()
        self._run.journal.tick()
        now = time.monotonic()
        if self._meter and now - self._metered_at >= _METER_SECONDS:
            self._metered_at = now
            self._dumped = self._meter.read() or self._dumped
        figures = self._figures()
        self._progress.show(phase, figures)
        self._measure(figures)
        # What is on its way counts too: a part may take long over a slow line.
        if figures != self._seen:
            self._seen = figures
            self._moved_at = now
        self._check_stall(phase, now)

    def _figures(self) -> Figures:
        waiting, sent = self.uploader.files_waiting, self.uploader.bytes_done
        sender = self.uploader.sender
        moved = sender.wire.bytes_moved
        if not waiting:
            # A file that was closed twice before it was sent had been counted twice.
            self._known_bytes = sent
        return Figures(
            rows=self._dumped.rows_done,
            rows_estimated=self._dumped.rows_estimated,
            dumped_bytes=self._dumped.bytes_done,
            files_sent=self.uploader.files_sent,
            files_waiting=waiting,
            sent_bytes=sent,
            known_bytes=max(sent, self._known_bytes),
            complete=self._complete,
            moved_bytes=moved,
            # What was sent in vain cannot be told from what is on its way.
            under_way=0 if sender.retries else max(0, moved - sender.bytes_sent),
        )

    def _measure(self, figures: Figures) -> None:
        sender = self.uploader.sender
        traffic = Traffic(sender.bytes_sent, sender.retries, sender.throttles)
        self._job.telling.show(figures, traffic)

    def _check_stall(self, phase: str, now: float) -> None:
        silent = now - self._moved_at
        if silent < min(_DEEP_LOOK_SECONDS, self._limit / 2):
            return
        if self._meter and now - self._looked_at >= min(_DEEP_LOOK_SECONDS, self._limit / 2):
            # Only now, since it costs a look at every file: one big file grows without an event.
            self._looked_at = now
            on_volume = sum(stat.st_size for _, stat in scan(self._run.place.dump))
            before, self._on_volume = self._on_volume, on_volume
            if before is not None and on_volume != before:
                self._moved_at = now
                return
        if silent >= self._limit:
            raise self._stalled(phase)

    def _stalled(self, phase: str) -> DumplingError | StoreError:
        why = f"nothing has moved for {self._limit:.0f} s"
        if self._meter:
            return DumplingError(
                "Dumpling has stalled",
                why=why,
                fix="see whether the database answers; --stall-timeout says how long to wait",
                reason=Reason.STALLED,
            )
        fix = "see whether the store answers; --stall-timeout says how long to wait"
        if fault := self.uploader.sender.last_fault:
            said = explain(fault, "write", "", None)
            why, fix = f"{why}, and the last try ended so: {said.why}", said.fix
        return StoreError(
            f"the upload has stalled while {phase}", why=why, fix=fix, reason=Reason.STALLED
        )
