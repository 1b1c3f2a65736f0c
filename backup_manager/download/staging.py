"""The staging directory of a download: files under way, held by one process at a time."""

import errno
import fcntl
import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backup_manager.errors import HeldError, Reason, UsageError, VolumeError
from backup_manager.volume.directory import FULL_ERRORS, volume_error

# Never through a symbolic link, which may lead out of the directory.
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
READ, _WRITE = os.O_RDONLY | _FILE, os.O_RDWR | os.O_CREAT | _FILE
_NO_DIRECTORY = {errno.ENOTDIR, errno.ELOOP}
_LOCK = "lock"
_BLOCK_BYTES = 256 << 10


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn an OSError of the target's file system into a VolumeError."""
    try:
        yield
    except OSError as error:
        raise _refused(doing, error) from error


def _refused(doing: str, error: OSError) -> VolumeError:
    if error.errno in FULL_ERRORS:
        return VolumeError(
            doing,
            why=f"the file system is full ({error.strerror})",
            fix="make room there, then run the same command again: it goes on where it was",
            reason=Reason.VOLUME_FULL,
        )
    return volume_error(doing, error)


def no_directory(error: OSError) -> bool:
    """Tell whether it says that something is a file, or a symbolic link, and no directory."""
    return error.errno in _NO_DIRECTORY


def hashed(descriptor: int, seen: Callable[[int], None]) -> "hashlib._Hash":
    """Hash a file from where it stands to its end; ``seen`` is told of each block's size."""
    digest = hashlib.sha256()
    while block := os.read(descriptor, _BLOCK_BYTES):
        digest.update(block)
        seen(len(block))
    return digest


class Staging:
    """A directory for the files under way, in the one where they are to be in the end.

    ``name``: its own. It lies flat: a file has the hash of its name in the backup. Its lock goes
    with the process at the latest: after a failure threads may still be at work in it. Raises
    VolumeError.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._path = directory / name
        self._name = name
        self._directory = self._lock = -1
        self._placing = threading.Lock()

    @property
    def held(self) -> bool:
        return self._lock >= 0

    def hold(self, root: int) -> None:
        """Make it, if it is not there, and take its lock; ``root`` is the directory it lies in.

        Raises HeldError where another process has it, UsageError where it is no directory.
        """
        with disk_errors(f"{self._path} cannot be used"):
            while not self._try(root):
                pass  # another process has ended just now, and has removed it

    def _try(self, root: int) -> bool:
        with suppress(FileExistsError):
            os.mkdir(self._name, 0o700, dir_fd=root)
        try:
            directory = os.open(self._name, DIRECTORY, dir_fd=root)
        except FileNotFoundError:
            return False
        except OSError as error:
            if no_directory(error):
                raise self._stranger(self._path) from error
            raise
        try:
            lock = os.open(_LOCK, _WRITE, 0o600, dir_fd=directory)
        except FileNotFoundError:
            os.close(directory)
            return False
        self._flock(lock)
        if _same(lock, _LOCK, directory) and _same(directory, self._name, root):
            self._directory, self._lock = directory, lock
            return True
        os.close(lock)
        os.close(directory)
        return False

    def _flock(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HeldError(
                f"{self._path.parent} is held by another download",
                why=f"it has the lock of {self._path.name}",
                fix="let it end, or stop it; or give another directory",
            ) from error

    def _stranger(self, path: Path) -> UsageError:
        return UsageError(
            f"{path} is not of this program",
            why="it is a link, or of another kind than it has to be",
            fix="remove it, or give another directory",
        )

    def begun_bytes(self, name: str) -> int | None:
        """How many bytes of a file are here, None where it is not; ``name`` is the backup's."""
        if not self.held:
            return None
        try:
            return os.stat(_staged(name), dir_fd=self._directory, follow_symlinks=False).st_size
        except FileNotFoundError:
            return None

    @contextmanager
    def part(self, name: str) -> Iterator["Part"]:
        """Open what is here of a file; it stays, unless it is placed or dropped."""
        with disk_errors(f"{self._path / _staged(name)} cannot be opened"):
            descriptor = os.open(_staged(name), _WRITE, 0o600, dir_fd=self._directory)
        part = Part(descriptor, f"{self._path.parent / name}")
        try:
            state = os.fstat(descriptor)
            # A second name of it would be written to as well.
            if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
                raise self._stranger(self._path / _staged(name))
            yield part
        finally:
            part.close()

    def place(self, name: str, where: int, last: bytes) -> bool:
        """Give a file its place: the name ``last`` in the directory ``where``.

        Return False where something is there, which is not touched. One at a time: two names may
        be one to a file system that knows no case.
        """
        with self._placing:
            try:
                os.stat(last, dir_fd=where, follow_symlinks=False)
            except FileNotFoundError:
                os.rename(_staged(name), last, src_dir_fd=self._directory, dst_dir_fd=where)
                return True
            return False

    def drop(self, name: str) -> None:
        with disk_errors(f"{self._path / _staged(name)} cannot be removed"):
            os.unlink(_staged(name), dir_fd=self._directory)

    def remove(self, root: int) -> None:
        """Remove it with all that is left in it, and let go of its lock."""
        with disk_errors(f"{self._path} cannot be removed"):
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if entry.name != _LOCK:
                        os.unlink(entry.name, dir_fd=self._directory)
            os.unlink(_LOCK, dir_fd=self._directory)
            # Whoever took it up in this moment has a lock of its own in it.
            try:
                os.rmdir(self._name, dir_fd=root)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
        self.close()

    def close(self) -> None:
        """Let go of its lock; no thread may be at work in it any more."""
        if self.held:
            os.close(self._lock)
            os.close(self._directory)
            self._lock = self._directory = -1


def _staged(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _same(descriptor: int, name: str, directory: int) -> bool:
    """Tell whether an open file is still the one of that name."""
    try:
        there = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)


class Part:
    """A file under way: written and hashed from its beginning to its end. Raises VolumeError."""

    def __init__(self, descriptor: int, shown: str) -> None:
        self._descriptor = descriptor
        self._doing = f"{shown} cannot be written"
        self._digest = hashlib.sha256()
        self.bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def take_up(self, most: int, seen: Callable[[int], None]) -> None:
        """Keep what is there, up to ``most`` bytes, and hash it; ``seen`` is told of each block."""
        with disk_errors(self._doing):
            if os.fstat(self._descriptor).st_size > most:
                os.ftruncate(self._descriptor, 0)

            def count(read: int) -> None:
                self.bytes += read
                seen(read)

            self._digest = hashed(self._descriptor, count)

    def restart(self) -> None:
        """Begin at the first byte again."""
        with disk_errors(self._doing):
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._digest, self.bytes = hashlib.sha256(), 0

    def write(self, block: bytes) -> None:
        self._digest.update(block)
        self.bytes += len(block)
        rest = memoryview(block)
        with disk_errors(self._doing):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        """Close it; over NFS this may be where a full file system is first told."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with disk_errors(self._doing):
                os.close(descriptor)
