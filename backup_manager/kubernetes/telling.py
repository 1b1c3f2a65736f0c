"""A run told in the status of its Backup object, as the operator's own manager would tell it."""

import time
from collections.abc import Callable

from backup_manager.durations import format_duration
from backup_manager.errors import ExitCode, KubernetesError
from backup_manager.kubernetes.api import BackupApi
from backup_manager.kubernetes.events import NORMAL, WARNING, Events
from backup_manager.kubernetes.status import Condition, Type, Wanted, moment, readable
from backup_manager.kubernetes.writing import Writer
from backup_manager.progress import size
from backup_manager.telling import Ended, Phase, Published, State
from backup_manager.texts import cut

# How long the end of a run waits for an API server that is away.
PATIENCE_SECONDS = 60.0
# A condition is read in a terminal; etcd holds it, and everybody who watches is sent it.
MESSAGE_BYTES = 4096
_NANOSECONDS = 1_000_000_000
# The object is not this run's to speak for: another one makes its backup, and tells of it.
_NOT_OURS = {ExitCode.HELD}
# It is to be run again, and goes on. With the condition Failed the operator would not do so.
_INTERRUPTED = {ExitCode.INTERRUPTED, ExitCode.TERMINATED}
_DUMPED = {Phase.UPLOADING, Phase.VERIFYING, Phase.PUBLISHING, Phase.CLEARING}
_ALL = 100.0
# Until it is certain that nothing more comes.
_NOT_ALL = 99.9


class StatusSink:
    """The status of one Backup object; a sink of the run's telling."""

    patience_seconds = PATIENCE_SECONDS

    def __init__(
        self,
        api: BackupApi,
        writer: Writer,
        events: Events,
        left: Callable[[float], float],
    ) -> None:
        """``left`` says how much of so many seconds there is still, if the run is to end."""
        self.name = f"the status of {api}"
        self._writer = writer
        self._events = events
        self._left = left
        self._wanted = Wanted()
        self._dumped = 0.0
        self._uploaded = 0.0

    def tell(self, state: State) -> None:
        """Write what is new. Raises KubernetesError."""
        if state.ended and state.ended.exit_code in _NOT_OURS:
            return
        self._take(state)
        if not state.ended:
            try:
                self._writer.write(self._wanted)
            finally:
                self._events.send()
            return
        try:
            self._writer.insist(self._wanted, self.patience_seconds, self._left)
        except KubernetesError:
            self._events.send()
            raise
        self._events.insist(self._left)

    def _take(self, state: State) -> None:
        wanted = self._wanted
        wanted.at = time.time()
        # A run whose settings were wrong has never begun.
        begun = state.phase or any(state.seconds.values())
        if begun and self._reach(Type.PREPARE):
            wanted.fields["timeStarted"] = moment(state.started)
            self._events.add(NORMAL, "Started", "the backup has begun")
        if state.backup and self._reach(Type.RUNNING):
            wanted.fields["backupPath"] = state.backup
        if state.backup:
            wanted.progress = self._progress(state)
        if state.published and self._reach(Type.COMPLETE):
            self._complete(state, state.published)
        if state.ended:
            self._end(state.ended)

    def _reach(self, kind: Type, reason: str = "", message: str = "") -> bool:
        """Take a condition as true from now on; tell whether that is new."""
        conditions = self._wanted.conditions
        if any(condition.type is kind for condition in conditions):
            return False
        conditions.append(Condition(kind, self._wanted.at, reason, message))
        return True

    def _progress(self, state: State) -> dict[str, float]:
        figures = state.figures
        complete = state.published is not None
        if complete or state.resumed or state.phase in _DUMPED:
            self._dumped = _ALL
        elif figures.rows_estimated:
            self._dumped = max(self._dumped, _percent(figures.rows, figures.rows_estimated))
        if complete:
            self._uploaded = _ALL
        elif figures.known_bytes:
            # What is known by now is as much of all as has been dumped.
            sent = _percent(figures.sent_bytes, figures.known_bytes) * self._dumped / _ALL
            self._uploaded = max(self._uploaded, min(_NOT_ALL, round(sent, 1)))
        return {"Dump": self._dumped, "Upload": self._uploaded}

    def _complete(self, state: State, published: Published) -> None:
        taken = max(0, int(self._wanted.at) - int(state.started))
        self._wanted.fields |= {
            "timeCompleted": moment(self._wanted.at),
            "timeTaken": format_duration(taken * _NANOSECONDS),
            "backupSize": published.stored_bytes,
            "backupSizeReadable": readable(published.stored_bytes),
            "commitTs": published.snapshot,
        }
        # Else the operator's cleanPolicy OnFailure would remove it.
        self._wanted.over = (Type.FAILED,)
        message = f"{state.backup} is complete: {published.files} files, {size(published.bytes)}"
        self._events.add(NORMAL, "Complete", message)

    def _end(self, ended: Ended) -> None:
        message = cut(ended.message, MESSAGE_BYTES)
        if ended.exit_code == ExitCode.COMPLETE:
            return
        if ended.exit_code in _INTERRUPTED:
            last = self._wanted.conditions[-1]
            self._wanted.conditions[-1] = Condition(last.type, last.at, ended.reason, message)
        else:
            self._reach(Type.FAILED, ended.reason, message)
        self._events.add(WARNING, ended.reason, message)


def _percent(part: int, whole: int) -> float:
    return min(_NOT_ALL, round(part / whole * _ALL, 1))
