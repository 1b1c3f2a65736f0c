"""One lock for each identity: two runs of one backup cannot be on one volume at once.

A network file system may lose a lock whose holder was silent, and give it to another. So the holder
signs the file, and looks again and again whether it is still its own signature that stands there.
"""

import errno
import fcntl
import json
import os
import stat
import time
import uuid
from pathlib import Path

from backup_manager.errors import HeldError, VolumeError
from backup_manager.signals import Stop
from backup_manager.volume.anchor import Anchor
from backup_manager.volume.directory import volume_error, volume_errors

_POLL_SECONDS = 0.5
_HELD = {errno.EWOULDBLOCK, errno.EACCES}
_CANNOT_LOCK = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_HOLDER_BYTES = 4096
_SIGNATURE = "signature"
_LOOK_SECONDS = 1.0


def holder_of(path: Path) -> str | None:
    """Say who holds the lock at this path, without touching it; None where nobody does.

    Raises VolumeError.
    """
    with volume_errors(f"the lock {path} cannot be looked at"):
        try:
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            return None
        try:
            # Shared, and only for this moment: who wants it meanwhile asks again.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                return IdentityLock(path).holder()
            raise
        finally:
            os.close(descriptor)
    return None


class IdentityLock:
    """A lock file with its holder written inside, held by ``flock`` and unlinked last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1
        self._written = b""
        self._volume: Anchor | None = None
        self._looked_at = 0.0

    def acquire(self, holder: dict[str, str], *, timeout: float, stop: Stop) -> None:
        """Take the lock, waiting for up to ``timeout`` seconds.

        Raises HeldError with the holder's own words, VolumeError where the volume cannot lock.
        """
        give_up = time.monotonic() + timeout
        while not self.try_acquire(holder):
            if time.monotonic() >= give_up:
                raise HeldError(
                    "another run of this backup holds the volume",
                    why=f"the lock {self.path.name} is held by {self.holder()}",
                    fix="let it end, or stop it; --lock-timeout says how long to wait",
                )
            stop.wait(min(_POLL_SECONDS, max(0.0, give_up - time.monotonic())))

    def try_acquire(self, holder: dict[str, str]) -> bool:
        """Take the lock if nobody holds it."""
        with volume_errors(f"the lock {self.path} cannot be opened"):
            # No link is followed, and no pipe is waited for.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(self.path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise VolumeError(
                f"the lock {self.path} cannot be used",
                why="it is no regular file",
                fix="find out who put it there, and remove it",
            )
        if not self._flock(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        # The holder before us unlinks the file while it still holds it: a lock on a file that is
        # no longer at this path protects nothing.
        if not self._in_place():
            self._close()
            return self.try_acquire(holder)
        self._written = json.dumps({**holder, _SIGNATURE: uuid.uuid4().hex}).encode()
        try:
            self._volume = Anchor(self.path.parent)
            with volume_errors(f"the lock {self.path} cannot be written"):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, self._written, 0)
        except VolumeError:
            self.release()
            raise
        return True

    def _flock(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
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
        """Tell whether the lock is still ours. Raises VolumeError where that cannot be told."""
        if self._descriptor < 0:
            return False
        with volume_errors(f"the lock {self.path} cannot be read"):
            return self._in_place() and self._signature() == self._written

    def check(self) -> None:
        """Raise HeldError if the lock was lost, VolumeError where that cannot be told."""
        self._looked_at = time.monotonic()
        if self._volume:
            self._volume.check()
        if self.held():
            return
        what = "the lock on the volume was lost"
        if not self._signature():
            raise HeldError(
                what,
                why=f"{self.path.name} was removed from the volume, or emptied",
                fix="find out who deletes files there, then run the same command again",
            )
        raise HeldError(
            what,
            why=f"{self.path.name} is now held by {self.holder()}",
            fix="let the other run end; run this one again if it does not publish the backup",
        )

    def tick(self) -> None:
        """Check at most once a second; to be called all the time."""
        if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
            self.check()

    def _in_place(self) -> bool:
        """Tell whether the file that we hold is still the one at its path."""
        try:
            there = self.path.lstat()
        except FileNotFoundError:
            return False
        ours = os.fstat(self._descriptor)
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def _signature(self) -> bytes:
        # Opened anew: with an open file a network file system may answer from its cache.
        try:
            with self.path.open("rb") as file:
                return file.read(_HOLDER_BYTES)
        except FileNotFoundError:
            return b""

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
        if self._volume:
            self._volume.close()

    def holder(self) -> str:
        """Say who holds the lock, in the holder's own words."""
        try:
            holder = json.loads(self._signature())
            holder.pop(_SIGNATURE, None)
            return ", ".join(f"{key} {value}" for key, value in holder.items())
        except (OSError, ValueError, RecursionError, AttributeError, TypeError):
            return "a run that left no name"
