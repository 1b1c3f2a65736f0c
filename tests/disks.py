"""File systems of a test's own that can be filled, broken and pulled out; else the test skips.

with tmpfs(tmp_path / "volume", "size=4m") as volume: ...
with Ext4(tmp_path / "disk", volume) as disk:
    disk.pull_the_plug()
"""

import fcntl
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.scoped import Scoped

from .servers import missing
from .servers.process import program

# From the kernel's ext4.h: EXT4_IOC_SHUTDOWN, and not to write its journal first.
_SHUTDOWN = 0x8004587D
_NO_FLUSH = 2


def _run(name: str, *arguments: str | Path, worst: int = 0) -> str:
    argv = [program(name), *arguments]
    done = subprocess.run(argv, check=False, capture_output=True, encoding="utf-8")
    assert done.returncode <= worst, f"{argv}: {done.stderr}"
    return done.stdout


def _mount(*arguments: str | Path) -> None:
    """Mount, or skip the test where that is refused."""
    need("mount", "umount")
    argv = [program("mount"), *arguments]
    done = subprocess.run(argv, check=False, capture_output=True, encoding="utf-8")
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")


def need(*programs: str) -> None:
    """Skip the test where one of these is not installed."""
    if absent := missing(*programs):
        pytest.skip(f"not installed: {', '.join(absent)}")


def _unmount(where: Path) -> None:
    """Take away all that is mounted there; what a killed process holds goes when it has died."""
    while where.is_mount():
        _run("umount", "--lazy", where)


@contextmanager
def tmpfs(where: Path, options: str) -> Iterator[Path]:
    where.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", options, "tmpfs", where)
    try:
        yield where
    finally:
        _unmount(where)


def remount(where: Path, options: str) -> None:
    _run("mount", "-o", f"remount,{options}", where)


def fill(where: Path) -> Path:
    """Write until not a byte more goes in; return the file, which makes room when it is removed."""
    ballast = where / "ballast"
    for block in (1 << 20, 1 << 12, 1):
        with ballast.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(b"\1" * block) == block:
                pass
    return ballast


class Ext4(Scoped):
    """An ext4 in a file, mounted at ``where`` by a loop device; ``image`` is what the device has.

    Nothing is written to it before it is synced (but under pressure): ``commit`` is ten minutes,
    and no heuristic of ext4 writes a file that was renamed or truncated. Syncing a file makes its
    entries in the directories above it durable too, as XFS does: that it would be lost without
    syncing them cannot be shown here.
    """

    _OPTIONS = "loop,commit=600,noauto_da_alloc,errors=remount-ro"

    def __init__(self, image: Path, where: Path, *, mebibytes: int = 48) -> None:
        self.image = image
        self.where = where
        with image.open("wb") as file:
            file.truncate(mebibytes << 20)
        need("mke2fs", "e2fsck", "findmnt")
        # No lazy threads, which would write to the device of their own accord.
        extended = "lazy_itable_init=0,lazy_journal_init=0"
        _run("mke2fs", "-q", "-F", "-t", "ext4", "-E", extended, image)

    def start(self) -> None:
        self.mount()

    def stop(self) -> None:
        _unmount(self.where)

    def mount(self) -> None:
        self.where.mkdir(exist_ok=True)
        _mount("-t", "ext4", "-o", self._OPTIONS, self.image, self.where)
        # What a check found without a name is nobody's.
        shutil.rmtree(self.where / "lost+found", ignore_errors=True)

    def mend(self) -> None:
        """Check the file system and mount it again, as after a boot of the node."""
        _unmount(self.where)
        _run("e2fsck", "-fy", self.image, worst=3)  # up to 3: errors were corrected
        self.mount()

    def cut_the_power(self) -> None:
        """Go on with what the device had got by now: the page cache is lost."""
        after = self.image.with_name(f"{self.image.name}-after")
        _run("cp", "--sparse=always", self.image, after)
        _unmount(self.where)
        after.replace(self.image)
        self.mend()

    def turn_read_only(self) -> None:
        """Let the file system find an error in itself."""
        source = _run("findmnt", "--noheadings", "--output=SOURCE", self.where).strip()
        trigger = Path("/sys/fs/ext4") / Path(source).name / "trigger_fs_error"
        try:
            trigger.write_text("a test")
        except OSError as error:
            pytest.skip(f"{trigger}: {error.strerror}")

    def forbid(self, file: Path, *, forbidden: bool = True) -> None:
        """Let nobody change or remove a file, root included."""
        need("chattr")
        _run("chattr", "+i" if forbidden else "-i", file)

    def pull_out(self) -> None:
        """Unmount it under whoever uses it."""
        _run("umount", "--lazy", self.where)

    def shut_down(self) -> None:
        """Let every call fail with EIO from now on."""
        with (self.where / "shut-down").open("wb") as file:
            fcntl.ioctl(file, _SHUTDOWN, struct.pack("I", _NO_FLUSH))
