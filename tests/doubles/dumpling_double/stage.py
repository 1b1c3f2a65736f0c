"""Where misdeeds strike: every worker passes here before it writes and when it closes a file."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from .controls import Controls, Entry

Act = Callable[[Entry], None]


def wait_for_path(path: str) -> None:
    while not os.path.lexists(path):
        time.sleep(0.005)


def wait_as_told(entry: Entry) -> None:
    """Tell by the file `reached` that we are here; go on with `path`, or after `ms`."""
    if "reached" in entry:
        Path(entry["reached"]).touch()
    time.sleep(entry.get("ms", 0) / 1000)
    if "path" in entry:
        wait_for_path(entry["path"])


class Stage:
    """Counts finished data files and bytes, and lets what waits for a count happen, in order.

    While one act runs, nobody else writes or closes anything: what a test then sees on disk
    stays as it is until it opens the gate.
    """

    def __init__(self, controls: Controls, act: Act) -> None:
        self.controls = controls
        self.files = 0
        self.bytes = 0
        self.disk_full = False
        self.discards = controls.has("enospc-at-close")
        self._act = act
        self._pending = controls.timed()
        self._lock = threading.RLock()
        self._open = threading.Event()
        self._open.set()
        self._actor: int | None = None
        self.rate: float | None = controls.settings.get("pace")
        self._due = 0.0
        retry = controls.find("retry-chunk")
        self.retry: Entry = retry or {}
        self._retries_left = 0 if retry is None else retry.get("count", 1)

    def checkpoint(self) -> None:
        """Pass, or wait until the act that runs is over."""
        if self._actor != threading.get_ident():
            self._open.wait()

    def begin(self) -> None:
        """Before the first data file is opened."""
        self._fire(at_end=False)

    def end(self) -> None:
        """After the last file but `metadata`: what still waits happens now."""
        self._fire(at_end=True)

    def wrote(self, size: int) -> None:
        self._keep_pace(size)
        with self._lock:
            self.bytes += size
            self._fire(at_end=False)

    def close(self, fd: int) -> None:
        """Close a data file and count it, unless an act holds everything up."""
        with self._lock:
            os.close(fd)
            self.files += 1
            self._fire(at_end=False)

    def _fire(self, *, at_end: bool) -> None:
        with self._lock:
            due = [entry for entry in self._pending if at_end or self._is_due(entry)]
            self._pending = [entry for entry in self._pending if entry not in due]
            for entry in due:
                self._open.clear()
                self._actor = threading.get_ident()
                try:
                    self._act(entry)
                finally:
                    self._actor = None
                    self._open.set()

    def _is_due(self, entry: Entry) -> bool:
        if "after_bytes" in entry:
            return self.bytes >= int(entry["after_bytes"])
        return self.files >= int(entry.get("after_files", 1))

    def _keep_pace(self, size: int) -> None:
        if not self.rate:
            return
        with self._lock:
            self._due = max(self._due, time.monotonic()) + size / self.rate
            due = self._due
        with suppress(ValueError):
            time.sleep(due - time.monotonic())

    def takes_retry(self, name: str) -> bool:
        """Whether the data file `name`, about to be closed, is one to be written again."""
        if self.retry.get("whole_chunk"):
            return False
        with self._lock:
            skipped = self.files < self.retry.get("after_files", 0)
            if not self._retries_left or skipped:
                return False
            if not fnmatchcase(name, self.retry.get("file", "*")):
                return False
            self._retries_left -= 1
            return True

    def takes_chunk_retry(self) -> bool:
        """Whether all files of the chunk just done are written again."""
        with self._lock:
            if not self.retry.get("whole_chunk") or not self._retries_left:
                return False
            self._retries_left -= 1
            return True

    def gates(self, place: str) -> None:
        """Wait at each gate that stands at `place`: start, metadata, exit."""
        for gate in self.controls.gates:
            if gate.get("at") == place:
                wait_as_told(gate)
