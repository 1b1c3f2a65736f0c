"""One lock for each identity: two runs of one backup cannot be on one volume at once."""

import errno
import fcntl
import json
import os
import time
from pathlib import Path

from backup_manager.errors import HeldError, VolumeError
from backup_manager.signals import Stop
from backup_manager.volume.directory import volume_error, volume_errors

_POLL_SECONDS = 0.5
_CANNOT_LOCK = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_HOLDER_BYTES = 4096


class IdentityLock:
    """A lock file with its holder written inside, held by ``flock`` and unlinked last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def acquire(self, holder: dict[str, str], *, timeout: float, stop: Stop) -> None:
        """Take the lock, waiting for up to ``timeout`` seconds.

        Raises HeldError with the holder's own words, VolumeError where the volume cannot lock.
        """
        give_up = time.monotonic() + timeout
        while not self.try_acquire(holder):
            if time.monotonic() >= give_up:
                raise HeldError(
                    "another run of this backup holds the volume",
                    why=f"the lock {self.path.name} is held by {self._holder()}",
                    fix="let it end, or stop it; --lock-timeout says how long to wait",
                )
            stop.wait(min(_POLL_SECONDS, max(0.0, give_up - time.monotonic())))

    def try_acquire(self, holder: dict[str, str]) -> bool:
        """Take the lock if nobody holds it."""
        with volume_errors(f"the lock {self.path} cannot be opened"):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not self._flock(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        # The holder before us unlinks the file while it still holds it: a lock on a file that is
        # no longer at this path protects nothing.
        if not self.held():
            self._close()
            return self.try_acquire(holder)
        try:
            with volume_errors(f"the lock {self.path} cannot be written"):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        except VolumeError:
            self.release()
            raise
        return True

    def _flock(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                return False
            os.close(descriptor)
            if error.errno in _CANNOT_LOCK:
                raise VolumeError(
                    f"the volume {self.path.parent} cannot lock",
                    why=error.strerror or str(error),
                    fix="use a volume whose file system supports flock (NFS: version 4, or without "
                    "the option nolock)",
                ) from error
            raise volume_error(f"{self.path} cannot be locked", error) from error
        return True

    def held(self) -> bool:
        """Tell whether the file that we hold is still the one at its path."""
        if self._descriptor < 0:
            return False
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        ours = os.fstat(self._descriptor)
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def release(self) -> None:
        """Unlink the file while it is held, then let go."""
        if self._descriptor < 0:
            return
        try:
            with volume_errors(f"the lock {self.path} cannot be removed"):
                if self.held():
                    self.path.unlink()
        finally:
            self._close()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    def _holder(self) -> str:
        try:
            text = self.path.read_bytes()[:_HOLDER_BYTES]
            holder = json.loads(text)
            return ", ".join(f"{key} {value}" for key, value in holder.items())
        except (OSError, ValueError, AttributeError):
            return "a run that left no name"
