"""Whether a file system has room for the files that are to come."""

import os
from pathlib import Path

from backup_manager.download.staging import disk_errors
from backup_manager.errors import Reason, VolumeError
from backup_manager.progress import size


class Room:
    """The room that files need in a directory, there or not yet. Raises VolumeError."""

    def __init__(self, directory: Path) -> None:
        """Ask its file system, or that of the nearest directory above it that is there."""
        self._directory = directory
        there = directory.absolute()
        with disk_errors(f"the room for {directory} cannot be asked for"):
            while not there.exists():
                there = there.parent
            self._state = os.statvfs(there)
            self._name_bytes = os.pathconf(there, "PC_NAME_MAX")
        self.bytes = self.inodes = 0

    def file(self, name: str, count: int, begun: int | None = None) -> None:
        """Count a file of so many bytes, of which ``begun`` lie there, or None if it does not."""
        if any(len(part.encode()) > self._name_bytes for part in name.split("/")):
            raise VolumeError(
                f"{self._directory / name} cannot be written",
                why=f"its file system takes names of {self._name_bytes} bytes",
                fix="give a directory on another file system: ext4 and XFS take 255 bytes",
            )
        block = self._state.f_frsize
        self.bytes += max(0, -(-count // block) - (begun or 0) // block) * block
        self.inodes += begun is None

    def directory(self) -> None:
        self.bytes += self._state.f_frsize
        self.inodes += 1

    def check(self) -> None:
        """Raise VolumeError where that is more than there is."""
        state = self._state
        free = state.f_bavail * state.f_frsize
        if self.bytes > free:
            raise VolumeError(
                f"{self._directory} has too little room",
                why=f"{size(self.bytes)} more are needed ({self.bytes} bytes), and {size(free)} "
                f"({free}) are free",
                fix="give a directory on a larger file system; or take a part only, by --tables",
                reason=Reason.VOLUME_FULL,
            )
        # Where inodes are made as they are needed there are 0 in all.
        if state.f_files and self.inodes > state.f_favail:
            raise VolumeError(
                f"{self._directory} has too few inodes",
                why=f"{self.inodes} more files and directories are to lie there, and its file "
                f"system takes {state.f_favail}",
                fix="give a directory on a file system with more inodes; or take a part only, by "
                "--tables",
                reason=Reason.VOLUME_FULL,
            )
