"""The watcher: tells which files of the dump were closed after writing.

inotify where it is to be had, else a look every 2 s. A close is a candidate only: Dumpling writes a
failed chunk again under the same name.
"""

import os
import stat as modes
import threading
import time
from collections.abc import Callable
from pathlib import Path

from inotify_simple import INotify, flags

from backup_manager.report import Report
from backup_manager.volume.anchor import Anchor
from backup_manager.volume.directory import FileState, scan, volume_errors

POLL_SECONDS = 2.0
_READ_MILLISECONDS = 50
_ANCHOR_SECONDS = 1.0
_MASK = flags.CLOSE_WRITE | flags.MOVED_TO | flags.CREATE | flags.ONLYDIR


class Watcher:
    """Calls ``offer`` with the names of closed files and ``rescan`` after a gap.

    Both are called from the watcher's own thread. ``exact`` says that every close was told of; it
    is False without inotify and after its queue overflowed (16,384 events as Linux comes). A
    directory that goes away under it (VolumeError) and whatever else goes wrong is carried to the
    main thread.
    """

    def __init__(
        self,
        root: Path,
        *,
        offer: Callable[[list[str]], None],
        rescan: Callable[[], None],
        report: Report,
    ) -> None:
        self._root = root
        self._offer = offer
        self._rescan = rescan
        self._report = report
        self._ending = threading.Event()
        self._error: Exception | None = None
        self._directories: dict[int, str] = {}
        self._unsettled: dict[str, FileState] = {}
        self._quiet_since = 0
        self._anchor = Anchor(root)
        self._anchored_at = 0.0
        self._inotify = self._open()
        self.exact = self._inotify is not None
        run = self._follow if self._inotify else self._poll
        self._thread = threading.Thread(target=self._guarded, args=(run,), name="watcher")
        self._thread.daemon = True

    def _open(self) -> INotify | None:
        try:
            inotify = INotify()
        except OSError as error:
            self._report.info(
                "inotify is not to be had here: looking every 2 s instead", why=error.strerror
            )
            return None
        try:
            self._directories[inotify.add_watch(self._root, _MASK)] = ""
        except OSError as error:
            inotify.close()
            self._report.info(
                "inotify is not to be had here: looking every 2 s instead", why=error.strerror
            )
            return None
        return inotify

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """Raise what ended the watcher's thread, if anything did."""
        if self._error:
            raise self._error

    def finish(self) -> None:
        """Take in all that has happened until now, then end; raises like ``check``."""
        self.stop()
        self._thread.join()
        self.check()

    def stop(self) -> None:
        """Let the watcher's thread end."""
        self._ending.set()

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
            # All that was told of lies where the dump is looked for.
            self._anchor.check()
        except Exception as error:  # noqa: BLE001 - carried to the main thread, which raises it
            self._error = error
        finally:
            self._anchor.close()
            if self._inotify:
                self._inotify.close()

    def _check_anchor(self) -> None:
        now = time.monotonic()
        if now - self._anchored_at >= _ANCHOR_SECONDS:
            self._anchored_at = now
            self._anchor.check()

    # With inotify --------------------------------------------------------------------------

    def _follow(self) -> None:
        assert self._inotify  # noqa: S101 - for the type checker: _follow runs only with it
        while True:
            # Asked before reading: all that was closed before the end was asked for is then read.
            ending = self._ending.is_set()
            self._check_anchor()
            events = self._inotify.read(timeout=0 if ending else _READ_MILLISECONDS)
            names: list[str] = []
            for event in events:
                self._take(event.wd, event.mask, event.name, names)
            if names:
                self._offer(names)
            if ending and not events:
                return

    def _take(self, watch: int, mask: int, name: str, names: list[str]) -> None:
        if mask & flags.Q_OVERFLOW:
            self.exact = False
            self._report.info("inotify's queue overflowed: looking through the whole dump")
            self._rescan()
            return
        inside = self._directories.get(watch)
        if inside is None or not name:
            return
        relative = f"{inside}/{name}" if inside else name
        if mask & flags.ISDIR:
            if mask & (flags.CREATE | flags.MOVED_TO):
                self._enter(relative)
        elif mask & (flags.CLOSE_WRITE | flags.MOVED_TO):
            names.append(relative)

    def _enter(self, directory: str) -> None:
        """Watch a new subdirectory, and all that came into it before it was watched."""
        assert self._inotify  # noqa: S101 - as above
        try:
            watch = self._inotify.add_watch(self._root / directory, _MASK)
        except OSError as error:
            # No watch left, or the directory is gone again: the last look finds what is in it.
            self.exact = False
            self._report.debug("a subdirectory cannot be watched", why=error.strerror)
            return
        self._directories[watch] = directory
        for name, is_directory in self._entries(directory):
            if is_directory:
                self._enter(name)
            else:
                self._offer([name])

    def _entries(self, directory: str) -> list[tuple[str, bool]]:
        """List a subdirectory: names, and whether each is a directory itself."""
        path = self._root / directory
        with volume_errors(f"{path} cannot be listed"):
            try:
                with os.scandir(path) as entries:
                    return [
                        (f"{directory}/{entry.name}", entry.is_dir(follow_symlinks=False))
                        for entry in entries
                        # Links, pipes and devices are no files of a dump: its end tells of them.
                        if entry.is_file(follow_symlinks=False)
                        or entry.is_dir(follow_symlinks=False)
                    ]
            except FileNotFoundError:
                return []  # it is gone again, and all that was in it

    # Without -------------------------------------------------------------------------------

    def _poll(self) -> None:
        while not self._ending.wait(POLL_SECONDS):
            self._check_anchor()
            self.look()

    def look(self) -> None:
        """Offer the files that have not changed since the last look."""
        quiet_since = time.time_ns() - int(POLL_SECONDS * 1e9)
        unsettled: dict[str, FileState] = {}
        for name, stat in scan(self._root):
            if not modes.S_ISREG(stat.st_mode):
                continue
            state = FileState.of(stat)
            if self._unsettled.get(name) == state and stat.st_mtime_ns <= quiet_since:
                self._offer([name])
            elif stat.st_mtime_ns > self._quiet_since or name in self._unsettled:
                unsettled[name] = state
        self._unsettled = unsettled
        # What changes behind this look's back is newer than this, and so found by the next.
        self._quiet_since = quiet_since
