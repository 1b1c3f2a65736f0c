"""The volume itself: is it there, can it be written, has it room, what lies on it."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from backup_manager.errors import Reason, VolumeError
from backup_manager.volume.fixes import FIXES

FULL_ERRORS = {errno.ENOSPC, errno.EDQUOT}
# Dumpling writes blocks of about 1 MB: with less room than that, one may have failed.
FULL_BYTES = 1 << 20
_PAGE = 1000
# A read-only or broken volume refuses every file of a dump: then it is no use to go on.
_MAX_FAILED = 20
PROBE = ".backup-manager-probe"


class FileState(NamedTuple):
    """What tells one content of a file from another without reading it; times in nanoseconds."""

    inode: int
    bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, stat: os.stat_result) -> "FileState":
        return cls(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)

    def same_content(self, other: "FileState") -> bool:
        """Tell whether only the ctime differs, if anything: owner or mode were set meanwhile."""
        return self._replace(ctime_ns=0) == other._replace(ctime_ns=0)


@contextmanager
def volume_errors(doing: str) -> Iterator[None]:
    """Turn an OSError into a VolumeError that names a full volume as such."""
    try:
        yield
    except OSError as error:
        raise volume_error(doing, error) from error


def volume_error(doing: str, error: OSError) -> VolumeError:
    """Say what the volume refused: full, read-only, forbidden, broken, or gone."""
    if error.errno in FULL_ERRORS:
        return full(doing, error.strerror)
    fix = FIXES.get(error.errno or 0, "check the mount of the volume")
    return VolumeError(doing, why=error.strerror or str(error), fix=fix)


def full(doing: str, why: str | None = None, *, where: Path | None = None) -> VolumeError:
    """Name a full volume; ``where`` it is asked whether inodes are what it lacks."""
    if where is not None and _lacks_inodes(where):
        return VolumeError(
            doing,
            why=f"the volume is full: no inode is left ({why or 'no space left on device'})",
            fix="use a volume with more inodes, make fewer and larger files (Dumpling options "
            "--rows and --filesize), or remove what else lies on it",
            reason=Reason.VOLUME_FULL,
        )
    return VolumeError(
        doing,
        why=f"the volume is full ({why or 'no space left on device'})",
        fix="give the PVC more storage (the whole dump must fit; the Dumpling option --compress "
        "makes it smaller), or remove what else lies on it",
        reason=Reason.VOLUME_FULL,
    )


def ailing(doing: str, why: str, where: Path) -> VolumeError:
    """Say what ails the volume, for a failure whose own words ``why`` do not tell it.

    A small file is written in the directory ``where``: its error is the volume's own word.
    """
    try:
        _prove_writable(where)
    except OSError as error:
        if error.errno in FULL_ERRORS:
            return full(doing, why, where=where)
        told = volume_error(doing, error)
        return VolumeError(doing, why=f"{told.why} ({why})", fix=told.fix, reason=told.reason)
    if is_full(where):
        return full(doing, why, where=where)
    return VolumeError(
        doing, why=why, fix="check that the volume is mounted for writing and its device is sound"
    )


def check(volume: Path) -> None:
    """Prove that the volume is a directory in which a file can be written and made durable.

    Raises VolumeError: missing, no directory, read-only, full.
    """
    what = f"the volume {volume} cannot be used"
    with volume_errors(what):
        exists = volume.exists()
        is_directory = volume.is_dir()
    if not exists:
        raise VolumeError(
            what,
            why="there is no such directory",
            fix="mount the PVC there, or name its mount by --volume",
        )
    if not is_directory:
        raise VolumeError(
            what,
            why="it is not a directory",
            fix="name the directory at which the PVC is mounted by --volume",
        )
    try:
        _prove_writable(volume)
    except OSError as error:
        if error.errno in FULL_ERRORS:
            raise full(what, error.strerror, where=volume) from error
        raise volume_error(what, error) from error
    remove_old_probes(volume)


def _prove_writable(where: Path) -> None:
    probe = where / f"{PROBE}-{os.getpid()}"
    try:
        probe.unlink(missing_ok=True)
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"\0" * 4096)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        # What was refused first is the cause.
        with suppress(OSError):
            probe.unlink(missing_ok=True)
        raise
    probe.unlink(missing_ok=True)


def remove_old_probes(volume: Path) -> None:
    """Remove what runs left that were killed at that moment; one at work misses nothing."""
    for left in volume.glob(f"{PROBE}-*"):
        with suppress(OSError):
            left.unlink()


def room(volume: Path) -> tuple[int, int | None]:
    """Return the bytes and the inodes that an ordinary user may still take; None is no bound."""
    with volume_errors(f"the room on the volume {volume} cannot be asked for"):
        state = os.statvfs(volume)
    return state.f_bavail * state.f_frsize, state.f_favail if state.f_files else None


def is_full(volume: Path) -> bool:
    """Tell whether less than 1 MiB, or no inode, is free; False where it cannot be told."""
    state = _room(volume)
    return state is not None and (_no_inode(state) or state.f_bavail * state.f_frsize < FULL_BYTES)


def _lacks_inodes(volume: Path) -> bool:
    state = _room(volume)
    return state is not None and _no_inode(state)


def _room(volume: Path) -> os.statvfs_result | None:
    try:
        return os.statvfs(volume)
    except OSError:
        return None


def _no_inode(state: os.statvfs_result) -> bool:
    # Where inodes are made as they are needed there are 0 in all.
    return bool(state.f_files) and not state.f_favail


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

    What cannot be removed is left out, up to a bound, and the first such is named. A page of
    entries at a time: shutil.rmtree would hold all the names of a dump in memory.
    """
    failed: list[OSError] = []
    try:
        if path.is_symlink():
            path.unlink()  # what it leads to is not ours
        else:
            _empty(path, failed)
    except OSError as error:
        failed.append(error)
    if failed:
        first = failed[0]
        raise volume_error(f"{first.filename or path} cannot be removed", first) from first


def _empty(path: Path, failed: list[OSError]) -> bool:
    """Remove a directory's entries, then itself; tell whether it is gone."""
    stays: set[str] = set()
    while page := _page(path, stays):
        for entry in page:
            try:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)  # noqa: PTH108 - a Path a file would cost more
                elif not _empty(Path(entry.path), failed):
                    stays.add(entry.name)
            except FileNotFoundError:
                continue
            except OSError as error:
                stays.add(entry.name)
                failed.append(error)
                if len(failed) >= _MAX_FAILED:
                    raise failed[0] from None
    if not stays:
        with suppress(FileNotFoundError):
            path.rmdir()
    return not stays


def _page(path: Path, stays: set[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(islice((entry for entry in entries if entry.name not in stays), _PAGE))
    except FileNotFoundError:
        return []


def directories(root: Path) -> Iterator[Path]:
    """Walk the directories under ``root``, itself included. Raises VolumeError."""
    pending = [root]
    while pending:
        here = pending.pop()
        yield here
        with volume_errors(f"{here} cannot be listed"), os.scandir(here) as entries:
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
