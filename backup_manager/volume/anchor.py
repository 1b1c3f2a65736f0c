"""A directory that must stay the one at its path: a volume can be unmounted under a run."""

import os
from pathlib import Path

from backup_manager.errors import VolumeError
from backup_manager.volume.directory import volume_errors
from backup_manager.volume.fixes import GONE


class Anchor:
    """Holds a directory open; what is written after it has gone would lie somewhere else.

    Raises VolumeError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with volume_errors(f"{path} cannot be opened"):
            # Held open: its inode's number is not another's meanwhile.
            self._descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            self._is = _identity(os.fstat(self._descriptor))

    def check(self) -> None:
        """Raise VolumeError if another directory, or none, is at the path now."""
        what = f"{self._path} is no longer what it was"
        with volume_errors(what):
            now = _identity(self._path.stat())
        if now != self._is:
            raise VolumeError(
                what,
                why="the volume was unmounted, or a directory on it was moved, while it was in use",
                fix=GONE,
            )

    def close(self) -> None:
        """Let go; closing twice is nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
