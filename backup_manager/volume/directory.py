"""The volume itself: is it there, can it be written, has it room, what lies on it."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from backup_manager.errors import Reason, VolumeError

_FULL = {errno.ENOSPC, errno.EDQUOT}
# Dumpling writes blocks of about 1 MB: with less room than that, one may have failed.
FULL_BYTES = 1 << 20
_PAGE = 1000
_PROBE = ".backup-manager-probe"


class FileState(NamedTuple):
    """What tells one content of a file from another without reading it; times in nanoseconds."""

    inode: int
    bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, stat: os.stat_result) -> "FileState":
        return cls(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@contextmanager
def volume_errors(doing: str) -> Iterator[None]:
    """Turn an OSError into a VolumeError that names a full volume as such."""
    try:
        yield
    except OSError as error:
        raise volume_error(doing, error) from error


def volume_error(doing: str, error: OSError) -> VolumeError:
    """Say what the volume refused: full, read-only, forbidden, or broken."""
    if error.errno in _FULL:
        return full(doing, error.strerror)
    fix = {
        errno.EROFS: "mount the volume for writing",
        errno.EACCES: "give the Pod's user the right to write, for example by fsGroup",
        errno.EPERM: "give the Pod's user the right to write, for example by fsGroup",
        errno.EIO: "the volume's device is failing: look at the node's kernel log",
    }.get(error.errno or 0, "check the mount of the volume")
    return VolumeError(doing, why=error.strerror or str(error), fix=fix)


def full(doing: str, why: str | None = None) -> VolumeError:
    """Name a full volume."""
    return VolumeError(
        doing,
        why=f"the volume is full ({why or 'no space left on device'})",
        fix="give the PVC more storage (the whole dump must fit), or remove what else lies on it",
        reason=Reason.VOLUME_FULL,
    )


def check(volume: Path) -> None:
    """Prove that the volume is a directory in which a file can be written and made durable.

    Raises VolumeError: missing, no directory, read-only, full.
    """
    what = f"the volume {volume} cannot be used"
    with volume_errors(what):
        exists = volume.exists()
    if not exists:
        raise VolumeError(
            what,
            why="there is no such directory",
            fix="mount the PVC there, or name its mount by --volume",
        )
    if not volume.is_dir():
        raise VolumeError(
            what,
            why="it is not a directory",
            fix="name the directory at which the PVC is mounted by --volume",
        )
    probe = volume / f"{_PROBE}-{os.getpid()}"
    try:
        with volume_errors(what):
            descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, b"\0" * 4096)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    finally:
        with volume_errors(what):
            probe.unlink(missing_ok=True)


def free_bytes(volume: Path) -> int:
    """Return the bytes that an ordinary user may still write."""
    with volume_errors(f"the room on the volume {volume} cannot be asked for"):
        state = os.statvfs(volume)
    return state.f_bavail * state.f_frsize


def is_full(volume: Path) -> bool:
    """Tell whether less than 1 MiB, or no inode, is free; False where it cannot be told."""
    try:
        state = os.statvfs(volume)
    except OSError:
        return False
    if state.f_files and not state.f_favail:
        return True
    return state.f_bavail * state.f_frsize < FULL_BYTES


def scan(root: Path, below: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Walk the regular files under ``root``: their names relative to it, and their state.

    Names come as the file system has them; bytes that are no UTF-8 as lone surrogates. What goes
    away meanwhile is left out. Raises VolumeError.
    """
    pending = [below]
    while pending:
        inside = pending.pop()
        with volume_errors(f"{root / inside} cannot be listed"), _entries(root, inside) as entries:
            for entry in entries:
                name = f"{inside}/{entry.name}" if inside else entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(name)
                    continue
                try:
                    state = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield name, state


@contextmanager
def _entries(root: Path, inside: str) -> Iterator[Iterable[os.DirEntry[str]]]:
    try:
        entries = os.scandir(root / inside)
    except FileNotFoundError:
        if not inside:
            raise
        yield ()
        return
    with entries:
        yield entries


def remove_tree(path: Path) -> None:
    """Remove a directory and all in it; one that is gone is success. Raises VolumeError.

    A page of entries at a time: shutil.rmtree would hold all the names of a dump in memory.
    """
    with volume_errors(f"{path} cannot be removed"):
        _empty(path)


def _empty(path: Path) -> None:
    while True:
        try:
            with os.scandir(path) as entries:
                page = list(islice(entries, _PAGE))
        except FileNotFoundError:
            return
        if not page:
            with suppress(FileNotFoundError):
                path.rmdir()
            return
        for entry in page:
            if entry.is_dir(follow_symlinks=False):
                _empty(Path(entry.path))
            else:
                with suppress(FileNotFoundError):
                    os.unlink(entry.path)  # noqa: PTH108 - a Path a file would cost more


def directories(root: Path) -> Iterator[Path]:
    """Walk the directories under ``root``, itself included."""
    pending = [root]
    while pending:
        here = pending.pop()
        yield here
        with os.scandir(here) as entries:
            pending += [
                Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)
            ]


def sync_directory(path: Path) -> None:
    """Make the entries of a directory durable."""
    with volume_errors(f"{path} cannot be made durable"):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
