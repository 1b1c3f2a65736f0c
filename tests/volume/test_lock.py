"""The lock: one holder at a time, whoever comes, goes, or takes the file away."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backup_manager.errors import (
    ExitCode,
    HeldError,
    InterruptedBySignalError,
    Reason,
    VolumeError,
)
from backup_manager.signals import Stop
from backup_manager.volume.lock import IdentityLock

HOLDER = {"host": "pod-1", "pid": "7"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "0123456789abcdef.lock"


@pytest.fixture
def held(path: Path) -> Iterator[IdentityLock]:
    lock = IdentityLock(path)
    assert lock.try_acquire(HOLDER)
    yield lock
    lock.release()


def acquire(path: Path, timeout: float = 0, stop: Stop | None = None) -> IdentityLock:
    lock = IdentityLock(path)
    lock.acquire({"host": "pod-2", "pid": "8"}, timeout=timeout, stop=stop or Stop())
    return lock


def test_taking_and_letting_go(path: Path) -> None:
    lock = IdentityLock(path)
    assert not lock.held()
    assert lock.try_acquire(HOLDER)
    assert lock.held()
    assert HOLDER == holder(path)
    lock.release()
    assert not lock.held()
    assert not path.exists()
    lock.release()


def test_a_second_one_is_told_who_holds_it(path: Path, held: IdentityLock) -> None:
    with pytest.raises(HeldError) as caught:
        acquire(path)
    error = caught.value
    assert (ExitCode.HELD, Reason.HELD) == (error.exit_code, error.reason)
    assert f"the lock {path.name} is held by host pod-1, pid 7" == error.why
    assert held.held()


def test_a_shorter_holder_leaves_nothing_of_the_longer_one(path: Path) -> None:
    path.write_text(json.dumps({"host": "x" * 1000, "pid": "1"}))
    lock = IdentityLock(path)
    assert lock.try_acquire(HOLDER)
    assert HOLDER == holder(path)
    lock.release()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"3"])
def test_a_holder_that_cannot_be_read(path: Path, held: IdentityLock, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(HeldError, match="held by a run that left no name"):
        acquire(path)


def holder(path: Path) -> dict[str, str]:
    """What a person needs of the file; the signature aside."""
    written = json.loads(path.read_text())
    assert written.pop("signature")
    return dict(written)


@pytest.mark.parametrize("kind", ["pipe", "link", "directory"])
def test_what_is_no_lock_file_is_neither_followed_nor_waited_for(
    path: Path, tmp_path: Path, kind: str
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("text")
    make: dict[str, Callable[[], object]] = {
        "pipe": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to(outside),
        "directory": path.mkdir,
    }
    make[kind]()
    with pytest.raises(VolumeError):
        IdentityLock(path).try_acquire(HOLDER)
    assert "text" == outside.read_text()


def test_a_lock_that_the_file_system_gave_to_another(path: Path, held: IdentityLock) -> None:
    """As with a network file system whose server lost the lock while its holder was silent."""
    held.check()
    path.write_text(json.dumps({"host": "pod-2", "pid": "8", "signature": "another"}))
    with pytest.raises(HeldError, match=r"lost: .* is now held by host pod-2, pid 8"):
        held.check()
    held.release()
    assert path.exists()


def test_a_lock_file_that_was_replaced_or_is_gone(path: Path, held: IdentityLock) -> None:
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(HeldError, match="was removed from the volume"):
        held.check()
    path.write_bytes(content)
    with pytest.raises(HeldError, match="the lock on the volume was lost"):
        held.check()
    held.release()
    assert path.exists()


class Patient(Stop):
    """Tells when somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Event()

    def wait(self, seconds: float) -> None:
        self.waiting.set()
        super().wait(min(seconds, 0.01))


def test_waiting_until_it_is_free(path: Path, held: IdentityLock) -> None:
    stop, got = Patient(), []
    waiting = threading.Thread(target=lambda: got.append(acquire(path, 60, stop)))
    waiting.start()
    assert stop.waiting.wait(60)
    assert [] == got
    held.release()
    waiting.join()
    assert got[0].held()
    got[0].release()


def test_a_signal_ends_the_wait(path: Path, held: IdentityLock) -> None:
    stop = Stop()
    stop.request(signal.SIGTERM)
    with pytest.raises(InterruptedBySignalError):
        acquire(path, 60, stop)
    assert held.held()


def test_it_is_let_go_by_kill_9(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from backup_manager.volume.lock import IdentityLock;"
        "lock = IdentityLock(Path(sys.argv[1])); print(lock.try_acquire({'host': 'dead'}));"
        "sys.stdout.flush(); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert b"True\n" == child.stdout.readline()
        with pytest.raises(HeldError, match="host dead"):
            acquire(path)
        child.kill()
        child.wait()
        lock = acquire(path)
        assert {"host": "pod-2", "pid": "8"} == holder(path)
        lock.release()


# Many at once ------------------------------------------------------------------------------

HAMMER = """
import os, sys
from pathlib import Path
from backup_manager.signals import Stop
from backup_manager.volume import lock as module
module._POLL_SECONDS = 0.0005
path, counter, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
for _ in range(rounds):
    lock = module.IdentityLock(path)
    lock.acquire({"pid": str(os.getpid())}, timeout=300, stop=Stop())
    count = int(counter.read_text())
    os.sched_yield()
    counter.write_text(str(count + 1))
    assert lock.held()
    lock.release()
"""


def test_no_two_hold_it_at_once(path: Path, tmp_path: Path) -> None:
    """Each release unlinks the file while others are about to lock it."""
    counter, processes, rounds = tmp_path / "counter", 5, 120
    counter.write_text("0")
    argv = [sys.executable, "-c", HAMMER, str(path), str(counter), str(rounds)]
    children = [subprocess.Popen(argv) for _ in range(processes)]
    assert [0] * processes == [child.wait() for child in children]
    assert processes * rounds == int(counter.read_text())
    assert not path.exists()


# Lost --------------------------------------------------------------------------------------


def test_a_file_that_was_taken_away_is_noticed(path: Path, held: IdentityLock) -> None:
    path.unlink()
    assert not held.held()


def test_a_file_that_was_replaced_is_noticed_and_left_to_its_owner(
    path: Path, held: IdentityLock
) -> None:
    path.unlink()
    other = acquire(path)
    assert (False, True) == (held.held(), other.held())
    held.release()
    assert other.held()
    other.release()


# A volume that cannot ----------------------------------------------------------------------


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_volume_that_cannot_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    before = descriptors()
    with pytest.raises(VolumeError) as caught:
        acquire(path)
    assert f"the volume {path.parent} cannot lock" == caught.value.what
    assert os.strerror(number) == caught.value.why
    assert "flock" in caught.value.fix
    assert before == descriptors()


def test_a_volume_that_fails_to_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(VolumeError, match="cannot be locked: Input/output error"):
        acquire(path)


def test_a_volume_without_the_directory(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="cannot be opened"):
        acquire(tmp_path / "gone" / "x.lock")


def test_waiting_leaves_no_descriptor_behind(path: Path, held: IdentityLock) -> None:
    before = descriptors()
    for _ in range(10):
        assert not IdentityLock(path).try_acquire(HOLDER)
    assert before == descriptors()
    assert held.held()
