"""The directory that a backup is downloaded into: what lies there, and how a file gets its place.

What is there already is never written to, replaced or removed. Names are those of the manifest,
and every directory on their way is opened without following a symbolic link.
"""

import ctypes
import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import islice
from pathlib import Path

from backup_manager.download.staging import (
    DIRECTORY,
    READ,
    Part,
    Staging,
    disk_errors,
    hashed,
    no_directory,
)
from backup_manager.errors import UsageError, VolumeError

_BATCH = 100_000
_STAGING = re.compile(r"\.(backup-.*)\.part")
_FIX = (
    "give a directory that is empty, or not there yet: what lies in one is neither replaced nor "
    "removed"
)


def staging_name(backup: str) -> str:
    """Return the name of a backup's staging directory; file systems of Windows take no colon."""
    return f".{backup.replace(':', '')}.part"


class Target:
    """A directory, there or not yet, that gets the files of one backup.

    ``backup`` is that one's name. Raises VolumeError, and UsageError where something is in the way.
    """

    def __init__(self, path: Path, backup: str) -> None:
        self.path = path
        self._own = staging_name(backup)
        self._staging = Staging(path, self._own)
        self._root = -1
        if os.path.lexists(path):
            self._open()

    def _open(self) -> None:
        with disk_errors(f"{self.path} cannot be used"):
            try:
                # The user may name it by a link; nothing below it may be one.
                self._root = os.open(self.path, DIRECTORY & ~os.O_NOFOLLOW)
            except NotADirectoryError as error:
                raise UsageError(f"{self.path} is no directory", fix=_FIX) from error

    def resume(self) -> bool:
        """Hold what an earlier run has left; return False where there is nothing. See ``hold``."""
        if self._root < 0 or self.state(self._own) is None:
            return False
        self._staging.hold(self._root)
        return True

    def hold(self) -> None:
        """Make the directory, and have it for this process alone. Raises HeldError."""
        if self._staging.held:
            return
        if self._root < 0:
            with disk_errors(f"{self.path} cannot be made"):
                self.path.mkdir(parents=True, exist_ok=True)
            self._open()
        self._staging.hold(self._root)

    # What is there --------------------------------------------------------------------------

    def state(self, name: str) -> os.stat_result | None:
        """Look at a file or directory; None where it is not there."""
        if self._root < 0:
            return None
        with disk_errors(f"{self.path / name} cannot be looked at"):
            try:
                with self._inside(name, make=False) as (where, last):
                    return os.stat(last, dir_fd=where, follow_symlinks=False)
            except OSError as error:
                # There is no file with a name that is too long; ``Room`` says so.
                if error.errno in {errno.ENOENT, errno.ENAMETOOLONG}:
                    return None
                raise

    def has(self, name: str, count: int) -> bool:
        """Tell whether a file of ``count`` bytes is there; anything else in its place raises."""
        found = self.state(name)
        if found is None:
            return False
        if not stat.S_ISREG(found.st_mode):
            raise self.stranger(name, "it is no regular file")
        if found.st_size != count:
            raise self.stranger(name, f"it has {found.st_size} bytes instead of {count}")
        return True

    def has_directory(self, name: str) -> bool:
        """Tell whether a directory is there; anything else in its place raises."""
        found = self.state(name)
        if found is not None and not stat.S_ISDIR(found.st_mode):
            raise self.stranger(name, "it is no directory")
        return found is not None

    def sha256(self, name: str, seen: Callable[[int], None]) -> str:
        """Hash a file; ``seen`` is told of the size of each block, and may raise to end it."""
        with disk_errors(f"{self.path / name} cannot be read"):
            with self._inside(name, make=False) as (where, last):
                descriptor = os.open(last, READ, dir_fd=where)
            try:
                return hashed(descriptor, seen).hexdigest()
            finally:
                os.close(descriptor)

    def stranger(self, name: str, why: str) -> UsageError:
        """Say that something in the directory is not this backup's."""
        return UsageError(f"{self.path / name} is not of this download", why=why, fix=_FIX)

    def is_own(self, name: str) -> bool:
        """Tell whether a file of this name would lie in the staging directory."""
        return name.partition("/")[0] == self._own

    def expect(self, entries: int, meant: Callable[[], Iterable[str]]) -> None:
        """Raise where it holds another number of files and directories than that.

        ``meant`` tells the names of all that may be there: the first that is none of them is named.
        """
        there = sum(1 for _ in self._walk())
        if there == entries:
            return
        if found := self._first_stranger(meant):
            begun = _STAGING.fullmatch(found)
            other = f"a download of {begun[1]} was begun there" if begun else ""
            raise self.stranger(found, other or "no file of it is called so")
        if there < entries:
            raise VolumeError(
                f"{self.path} has {there} files and directories instead of {entries}",
                why="others remove them, or two names that differ only in case are one there",
                fix="use a file system that tells upper case from lower, as ext4 and XFS do",
            )

    def _first_stranger(self, meant: Callable[[], Iterable[str]]) -> str | None:
        there = self._walk()
        # In batches: of a million files not all names are to be in memory.
        while batch := set(islice(there, _BATCH)):
            for name in meant():
                batch.discard(os.fsdecode(name.encode()))
            if batch:
                return min(batch)
        return None

    def _walk(self) -> Iterator[str]:
        """Walk all files and directories but the staging directory, as the file system has them."""
        pending = [""] if self._root >= 0 else []
        while pending:
            inside = pending.pop()
            here = self.path / inside
            with disk_errors(f"{here} cannot be listed"), os.scandir(here) as entries:
                for entry in entries:
                    name = f"{inside}{entry.name}"
                    if name == self._own:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{name}/")
                    yield name

    # Files on their way -----------------------------------------------------------------------

    def begun_bytes(self, name: str) -> int | None:
        """How many bytes of a file an earlier run has left; None where it has not begun it."""
        return self._staging.begun_bytes(name)

    def part(self, name: str) -> AbstractContextManager[Part]:
        """Open a file under way, with what an earlier run has left of it."""
        return self._staging.part(name)

    def drop(self, name: str) -> None:
        """Remove what there is of a file under way."""
        self._staging.drop(name)

    def place(self, name: str, part: Part) -> None:
        """Give a file that is whole its name. Raises UsageError where something is there by now."""
        part.close()
        with (
            disk_errors(f"{self.path / name} cannot be put in its place"),
            self._inside(name, make=True) as (where, last),
        ):
            if not self._staging.place(name, where, last):
                raise self.stranger(name, "it was not there before; or only its case differs")

    def end(self) -> None:
        """Remove the staging directory, and make durable what is in its place."""
        if self._staging.held:
            self._staging.remove(self._root)
        with disk_errors(f"{self.path} cannot be made durable"):
            _sync(self._root)

    def close(self) -> None:
        """Let go of it; no thread may be at work in it any more."""
        self._staging.close()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    @contextmanager
    def _inside(self, name: str, *, make: bool) -> Iterator[tuple[int, bytes]]:
        """Open the directory that a file is in; ``make`` it where it is not there."""
        *parents, last = name.encode().split(b"/")
        here, opened = self._root, []
        try:
            for part in parents:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o777, dir_fd=here)
                try:
                    here = os.open(part, DIRECTORY, dir_fd=here)
                except OSError as error:
                    if no_directory(error):
                        raise self.stranger(name, "what it lies in is no directory") from error
                    raise
                opened.append(here)
            yield here, last
        finally:
            for descriptor in opened:
                os.close(descriptor)


def _sync(descriptor: int) -> None:
    """Write out what its file system holds in memory: one call for any number of files."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):
        os.sync()
    elif libc.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
