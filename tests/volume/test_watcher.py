"""The watcher: every file that was closed is told of, or it says that it cannot be sure."""

import errno
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify

from backup_manager.errors import VolumeError
from backup_manager.report import Report
from backup_manager.volume import watcher as module
from backup_manager.volume.watcher import POLL_SECONDS, Watcher
from tests.dumpling.helpers import wait_for


class Ear:
    """Takes what the watcher tells."""

    def __init__(self) -> None:
        self.offered: list[str] = []
        self.rescans = 0
        self.hold = threading.Event()
        self.hold.set()
        self.heard = threading.Event()

    def offer(self, names: list[str]) -> None:
        self.offered += names
        self.heard.set()
        assert self.hold.wait(60)

    def rescan(self) -> None:
        self.rescans += 1

    def watcher(self, root: Path) -> Watcher:
        return Watcher(root, offer=self.offer, rescan=self.rescan, report=report())


def report() -> Report:
    return Report(stream=io.StringIO())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "dump"
    path.mkdir()
    return path


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def watcher(root: Path, ear: Ear) -> Iterator[Watcher]:
    watcher = ear.watcher(root)
    watcher.start()
    yield watcher
    ear.hold.set()
    watcher.stop()


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("text")


# With inotify ------------------------------------------------------------------------------


def test_many_files(root: Path, ear: Ear, watcher: Watcher) -> None:
    names = [f"shop.item.{number:09}.sql" for number in range(3000)]
    write(root, *names)
    watcher.finish()
    assert (names, True, 0) == (ear.offered, watcher.exact, ear.rescans)


def test_each_close_counts(root: Path, ear: Ear, watcher: Watcher) -> None:
    write(root, "a", "b", "a", "b", "a")
    watcher.finish()
    assert ["a", "b", "a", "b", "a"] == ear.offered


def test_only_what_was_closed_after_writing(root: Path, ear: Ear, watcher: Watcher) -> None:
    write(root, "closed")
    (root / "closed").read_text()
    with (root / "open").open("w") as file:
        file.write("text")
        file.flush()
        watcher.finish()
    assert ["closed"] == ear.offered


def test_odd_names(root: Path, ear: Ear, watcher: Watcher) -> None:
    names = ["a b", "%2F", "ü€😀", "x\ny", os.fsdecode(b"no\xffutf8"), "x" * 255]
    write(root, *names)
    watcher.finish()
    assert names == ear.offered


def test_subdirectories_in_a_hurry(root: Path, ear: Ear, watcher: Watcher) -> None:
    names = [f"d{one}/e{two}/f{three}" for one in range(20) for two in range(5) for three in (1, 2)]
    write(root, *names)
    watcher.finish()
    assert set(names) == set(ear.offered)
    assert watcher.exact


def test_a_directory_that_was_there_before_it_was_watched(
    root: Path, ear: Ear, watcher: Watcher
) -> None:
    # The watcher sits in the first offer until everything is written.
    ear.hold.clear()
    write(root, "first")
    assert ear.heard.wait(60)
    write(root, "a/1", "a/b/2", "a/b/c/3")
    ear.hold.set()
    watcher.finish()
    assert {"first", "a/1", "a/b/2", "a/b/c/3"} == set(ear.offered)


def test_a_directory_that_is_gone_before_it_was_watched(
    root: Path, ear: Ear, watcher: Watcher
) -> None:
    ear.hold.clear()
    write(root, "first")
    assert ear.heard.wait(60)
    write(root, "a/1")
    (root / "a/1").unlink()
    (root / "a").rmdir()
    write(root, "last")
    ear.hold.set()
    watcher.finish()
    assert ["first", "last"] == ear.offered


def test_what_is_moved_in(root: Path, tmp_path: Path, ear: Ear, watcher: Watcher) -> None:
    write(tmp_path, "away/file", "away/tree/1", "away/tree/b/2")
    (tmp_path / "away/file").rename(root / "file")
    (tmp_path / "away/tree").rename(root / "tree")
    watcher.finish()
    assert {"file", "tree/1", "tree/b/2"} == set(ear.offered)


def test_a_link_to_a_directory_is_not_followed(
    root: Path, tmp_path: Path, ear: Ear, watcher: Watcher
) -> None:
    write(tmp_path, "outside/before")
    (root / "d").mkdir()
    (root / "d/link").symlink_to(tmp_path / "outside")
    (root / "d/loop").symlink_to(".")
    write(tmp_path, "outside/after")
    write(root, "d/file")
    watcher.finish()
    assert not [name for name in ear.offered if name.startswith(("d/link/", "d/loop/"))]
    assert "d/file" in ear.offered


def test_an_overflow_is_noticed(root: Path, ear: Ear, watcher: Watcher) -> None:
    room = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if room > 100_000:
        pytest.skip(f"the queue takes {room} events here")
    ear.hold.clear()
    write(root, "first")
    assert ear.heard.wait(60)
    a, b = (os.open(root / name, os.O_RDONLY | os.O_CREAT) for name in "ab")
    for _ in range(room // 2 + 10):
        # Two closes in turn: equal events in a row would be merged.
        os.close(os.open(f"/proc/self/fd/{a}", os.O_WRONLY))
        os.close(os.open(f"/proc/self/fd/{b}", os.O_WRONLY))
    write(root, "lost")
    os.close(a)
    os.close(b)
    ear.hold.set()
    watcher.finish()
    assert (1, False) == (ear.rescans, watcher.exact)
    assert "lost" not in ear.offered


def test_a_subdirectory_that_cannot_be_watched(
    root: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = ear.watcher(root)

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(INotify, "add_watch", refuse)
    watcher.start()
    write(root, "d/1", "2")
    watcher.finish()
    assert (["2"], False) == (ear.offered, watcher.exact)


def test_what_goes_wrong_is_raised_to_the_main_thread(root: Path) -> None:
    def offer(_: list[str]) -> None:
        raise ValueError("full")

    watcher = Watcher(root, offer=offer, rescan=lambda: None, report=report())
    watcher.start()
    watcher.check()
    write(root, "file")
    with pytest.raises(ValueError, match="full"):
        watcher.finish()
    with pytest.raises(ValueError, match="full"):
        watcher.check()


def test_what_is_no_file_is_not_told_of(root: Path, ear: Ear, watcher: Watcher) -> None:
    ear.hold.clear()
    write(root, "first")
    assert ear.heard.wait(60)
    write(root, "d/file")
    (root / "d/link").symlink_to("file")
    os.mkfifo(root / "d/fifo")
    ear.hold.set()
    watcher.finish()
    assert {"first", "d/file"} == set(ear.offered)


@pytest.mark.parametrize("back", [False, True], ids=["gone", "another in its place"])
def test_a_root_that_goes_away_is_noticed(
    root: Path, ear: Ear, watcher: Watcher, back: bool
) -> None:
    write(root, "file")
    root.rename(root.with_name("away"))
    if back:
        root.mkdir()
    with pytest.raises(VolumeError, match="no longer what it was"):
        watcher.finish()


def test_a_root_that_goes_away_is_noticed_while_dumpling_runs(
    root: Path, ear: Ear, watcher: Watcher
) -> None:
    root.rename(root.with_name("away"))
    wait_for(lambda: watcher._error is not None)
    with pytest.raises(VolumeError, match="no longer what it was"):
        watcher.check()


# Without -----------------------------------------------------------------------------------


@pytest.fixture
def polling(root: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> Watcher:
    """A watcher without inotify, whose looks the test takes itself."""

    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(module, "INotify", refuse)
    return ear.watcher(root)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """The watcher's clock: it stands still until it is put forward by so many seconds."""
    now = [time.time_ns()]
    monkeypatch.setattr(time, "time_ns", lambda: now[0])

    def forward(seconds: float) -> None:
        now[0] += int(seconds * 1e9)

    return forward


def touch(root: Path, name: str, *, at: int, text: str = "text") -> None:
    (root / name).write_text(text)
    os.utime(root / name, ns=(at, at))


def test_without_inotify_nothing_is_exact(polling: Watcher) -> None:
    assert not polling.exact


def test_a_file_is_told_of_once_and_when_it_rests(
    root: Path, ear: Ear, polling: Watcher, clock: Callable[[float], None]
) -> None:
    touch(root, "file", at=time.time_ns())
    polling.look()
    assert [] == ear.offered
    clock(POLL_SECONDS)
    polling.look()
    assert ["file"] == ear.offered
    for _ in range(5):
        clock(POLL_SECONDS)
        polling.look()
    assert ["file"] == ear.offered


def test_a_file_that_grows_is_not_told_of(
    root: Path, ear: Ear, polling: Watcher, clock: Callable[[float], None]
) -> None:
    for size in range(5):
        touch(root, "file", at=time.time_ns(), text="x" * size)
        polling.look()
        clock(POLL_SECONDS)
    assert [] == ear.offered
    polling.look()
    assert ["file"] == ear.offered


def test_a_file_that_is_written_again_is_told_of_again(
    root: Path, ear: Ear, polling: Watcher, clock: Callable[[float], None]
) -> None:
    for text in ("one", "two"):
        touch(root, "file", at=time.time_ns(), text=text)
        for _ in range(4):
            polling.look()
            clock(POLL_SECONDS)
    assert ["file", "file"] == ear.offered


@pytest.mark.parametrize("known", [False, True])
def test_a_file_that_changed_right_after_a_look_is_not_forgotten(
    root: Path, ear: Ear, polling: Watcher, clock: Callable[[float], None], known: bool
) -> None:
    """The next look comes a little later than 2 s, when the file rests already."""
    if known:
        touch(root, "file", at=time.time_ns(), text="first")
    polling.look()
    clock(0.001)
    touch(root, "file", at=time.time_ns(), text="second")
    for _ in range(4):
        clock(POLL_SECONDS + 0.5)
        polling.look()
    assert ["file"] == ear.offered


def test_names_and_directories_in_polling(
    root: Path, ear: Ear, polling: Watcher, clock: Callable[[float], None]
) -> None:
    names = ["a/b/c", os.fsdecode(b"\xff")]
    write(root, *names)
    for _ in range(3):
        polling.look()
        clock(2 * POLL_SECONDS)
    assert set(names) == set(ear.offered)


def test_what_is_no_file_is_not_told_of_in_polling(
    root: Path, ear: Ear, polling: Watcher, clock: Callable[[float], None]
) -> None:
    os.mkfifo(root / "fifo")
    (root / "link").symlink_to("fifo")
    write(root, "file")
    for _ in range(3):
        polling.look()
        clock(2 * POLL_SECONDS)
    assert ["file"] == ear.offered


def test_polling_ends(polling: Watcher) -> None:
    polling.start()
    polling.finish()


def test_a_root_that_cannot_be_watched_is_polled(root: Path, ear: Ear) -> None:
    (root / "file").touch()
    assert not ear.watcher(root / "file").exact
