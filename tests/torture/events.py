"""What happens to the files of a volume, told as it happens."""

import os
import threading
from contextlib import suppress
from pathlib import Path

from inotify_simple import Event, INotify, flags

from tests.scoped import Scoped
from tests.torture.points import FILE
from tests.torture.striker import Striker

_EVENTS = (
    flags.CREATE
    | flags.MODIFY
    | flags.CLOSE_WRITE
    | flags.DELETE
    | flags.MOVED_FROM
    | flags.MOVED_TO
)
_READ_MILLISECONDS = 50


class VolumeEvents(Scoped):
    """Tells the striker of every file event below a volume.

    It hears of them a moment later than they happen: what it strikes at is near the event.
    """

    def __init__(self, volume: Path, striker: Striker) -> None:
        self._volume = volume
        self._striker = striker
        self._inotify = INotify()
        self._paths: dict[int, Path] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def start(self) -> None:
        self._watch(self._volume)
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()
        self._inotify.close()

    def _watch(self, path: Path) -> None:
        # It may be gone again.
        with suppress(FileNotFoundError, NotADirectoryError):
            watch = self._inotify.add_watch(path, _EVENTS | flags.ONLYDIR)
            self._paths[watch] = path
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        self._watch(Path(entry.path))

    def _follow(self) -> None:
        while not self._ending.is_set():
            for event in self._inotify.read(timeout=_READ_MILLISECONDS):
                self._take(event)

    def _take(self, event: Event) -> None:
        if event.mask & flags.IGNORED:
            return
        # First of all: this is the moment.
        where = self._paths.get(event.wd, self._volume) / event.name
        name = where.relative_to(self._volume)
        kinds = "|".join(str(flag.name) for flag in flags.from_mask(event.mask & ~flags.ISDIR))
        if self._striker.meets(FILE, f"{kinds} {name}"):
            self._striker.strike()
        if event.mask & flags.ISDIR and event.mask & (flags.CREATE | flags.MOVED_TO):
            self._watch(where)
