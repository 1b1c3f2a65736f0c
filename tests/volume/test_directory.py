"""The volume: what it refuses, and what lies on it."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backup_manager.errors import ExitCode, Reason, VolumeError
from backup_manager.volume import directory
from backup_manager.volume.directory import (
    FileState,
    ailing,
    check,
    remove_tree,
    scan,
    sync_directory,
    volume_errors,
)
from backup_manager.volume.journal import Journal
from backup_manager.volume.lock import IdentityLock


@contextmanager
def mounted(path: Path, options: str) -> Iterator[Path]:
    """A file system of its own, where the test may mount one."""
    path.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, encoding="utf-8")
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "small", "size=256k") as path:
        yield path


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "read-only", "ro,size=256k") as path:
        yield path


def fill(path: Path) -> None:
    free = directory.room(path)[0]
    (path / "ballast").write_bytes(b"x" * free)


# check -------------------------------------------------------------------------------------


def refusal(volume: Path) -> VolumeError:
    with pytest.raises(VolumeError) as caught:
        check(volume)
    assert ExitCode.VOLUME == caught.value.exit_code
    assert f"the volume {volume} cannot be used" == caught.value.what
    assert caught.value.fix
    return caught.value


def test_a_good_volume_stays_as_it_was(tmp_path: Path) -> None:
    check(tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_a_missing_volume(tmp_path: Path) -> None:
    assert "there is no such directory" == refusal(tmp_path / "gone").why


def test_a_volume_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert "it is not a directory" == refusal(file).why


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    assert "File name too long" == refusal(tmp_path / ("x" * 300)).why


def test_a_volume_mounted_for_reading(read_only: Path) -> None:
    error = refusal(read_only)
    assert "Read-only file system" == error.why
    assert "mount the volume for writing" in error.fix
    assert Reason.VOLUME == error.reason


def test_a_full_volume(small: Path) -> None:
    fill(small)
    error = refusal(small)
    assert (Reason.VOLUME_FULL, True) == (error.reason, "the volume is full" in error.why)
    assert [small / "ballast"] == list(small.iterdir())
    assert directory.is_full(small)


@pytest.mark.parametrize(
    "write",
    [
        lambda volume: Journal(volume / "journal.sqlite", create=True),
        lambda volume: IdentityLock(volume / "x.lock").try_acquire({"host": "h"}),
    ],
    ids=["journal", "lock"],
)
def test_whatever_is_written_on_a_full_volume(small: Path, write: Callable[[Path], object]) -> None:
    fill(small)
    with pytest.raises(VolumeError) as caught:
        write(small)
    assert Reason.VOLUME_FULL == caught.value.reason


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.EACCES, "fsGroup"),
        (errno.EPERM, "fsGroup"),
        (errno.EROFS, "for writing"),
        (errno.EIO, "kernel log"),
        (errno.ESTALE, "mount"),
    ],
)
def test_what_to_do(number: int, fix: str) -> None:
    with pytest.raises(VolumeError) as caught, volume_errors("it failed"):
        raise OSError(number, os.strerror(number))
    assert ("it failed", os.strerror(number)) == (caught.value.what, caught.value.why)
    assert fix in caught.value.fix


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_is_a_reason_of_its_own(number: int) -> None:
    with pytest.raises(VolumeError) as caught, volume_errors("it failed"):
        raise OSError(number, os.strerror(number))
    assert Reason.VOLUME_FULL == caught.value.reason


def test_what_a_killed_run_left_of_its_look_goes(tmp_path: Path) -> None:
    (tmp_path / ".backup-manager-probe-4711").write_bytes(b"\0")
    check(tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_no_inode_left_is_told_apart(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "nr_inodes=2") as volume:
        (volume / "file").touch()
        error = refusal(volume)
        assert directory.is_full(volume)
    assert Reason.VOLUME_FULL == error.reason
    assert "no inode is left" in error.why
    assert "more inodes" in error.fix


def test_what_ails_a_volume_is_its_own_word(small: Path, read_only: Path, tmp_path: Path) -> None:
    def why(where: Path) -> tuple[str, str]:
        error = ailing("it failed", "disk I/O error", where)
        assert "it failed" == error.what
        assert "disk I/O error" in error.why
        return error.why, error.fix

    assert "Read-only file system" in why(read_only)[0]
    assert "No such file" in why(tmp_path / "gone")[0]
    assert "went away" in why(tmp_path / "gone")[1]
    assert ("disk I/O error", True) == (why(tmp_path)[0], "device" in why(tmp_path)[1])
    assert [] == [path for path in tmp_path.iterdir() if "probe" in path.name]
    fill(small)
    assert "the volume is full" in why(small)[0]


# scan --------------------------------------------------------------------------------------


def names(root: Path, below: str = "") -> list[str]:
    return sorted(name for name, _ in scan(root, below))


def test_files_in_every_depth(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    files = ["one", "a/two", "a/b/c/three", "a/b/ü %41"]
    for file in files:
        (tmp_path / file).write_text(file)
    assert sorted(files) == names(tmp_path)
    assert ["a/b/c/three", "a/b/ü %41"] == names(tmp_path, "a/b")
    states = {name: FileState.of(stat) for name, stat in scan(tmp_path)}
    assert FileState.of((tmp_path / "a/two").lstat()) == states["a/two"]


def test_a_link_is_told_of_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "dump").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").touch()
    (tmp_path / "dump/link").symlink_to(tmp_path / "outside")
    (tmp_path / "dump/loop").symlink_to(".")
    assert ["link", "loop"] == names(tmp_path / "dump")


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xff")).touch()
    assert ["a\udcff"] == names(tmp_path)


def test_what_goes_away_meanwhile_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "stays").touch()
    (tmp_path / "gone/file").touch()
    scandir = os.scandir

    def removing(path: Path) -> object:
        if path.name == "gone":
            (tmp_path / "gone/file").unlink()
            path.rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", removing)
    assert ["stays"] == [name for name, _ in scan(tmp_path)]


def test_a_directory_that_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="cannot be listed"):
        names(tmp_path / "gone")


# The rest ----------------------------------------------------------------------------------


def test_removing_a_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b" / os.fsdecode(b"\xff")).touch()
    (tree / "link").symlink_to(tmp_path)
    remove_tree(tree)
    remove_tree(tree)
    assert [] == list(tmp_path.iterdir())


def test_a_tree_that_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree").mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(os, "rmdir", refuse)
    with pytest.raises(VolumeError, match="tree cannot be removed: Device or resource busy"):
        remove_tree(tmp_path / "tree")


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each file whose name begins with "stays" cannot be removed; those that were tried."""
    unlink, tried = os.unlink, list[str]()

    def refuse(path: str, **_: object) -> None:
        if os.path.basename(path).startswith("stays"):  # noqa: PTH119 - a string
            tried.append(path)
            raise OSError(errno.EPERM, "Operation not permitted", path)
        unlink(path)

    monkeypatch.setattr(os, "unlink", refuse)
    return tried


def test_a_file_that_cannot_be_removed_is_named_and_the_rest_goes(
    tmp_path: Path, refused: list[str]
) -> None:
    (tmp_path / "tree/d/e").mkdir(parents=True)
    (tmp_path / "tree/empty").mkdir()
    for name in ("a", "d/stays", "d/e/c", "z"):
        (tmp_path / "tree" / name).touch()
    with pytest.raises(VolumeError, match="tree/d/stays cannot be removed: Operation not"):
        remove_tree(tmp_path / "tree")
    assert [str(tmp_path / "tree/d/stays")] == refused
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert ["tree", "tree/d", "tree/d/stays"] == left


def test_a_volume_that_refuses_every_removal_is_given_up(
    tmp_path: Path, refused: list[str]
) -> None:
    (tmp_path / "tree/d").mkdir(parents=True)
    for number in range(100):
        (tmp_path / f"tree/d/stays{number}").touch()
    with pytest.raises(VolumeError, match="stays"):
        remove_tree(tmp_path / "tree")
    assert len(refused) < 50


def test_directories_that_cannot_be_listed(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    assert {tmp_path, tmp_path / "a", tmp_path / "a/b"} == set(directory.directories(tmp_path))
    with pytest.raises(VolumeError, match="gone cannot be listed"):
        list(directory.directories(tmp_path / "gone"))


def test_making_a_directory_durable(tmp_path: Path) -> None:
    sync_directory(tmp_path)
    with pytest.raises(VolumeError, match="cannot be made durable"):
        sync_directory(tmp_path / "gone")


def test_room(small: Path) -> None:
    free = directory.room(small)[0]
    (small / "file").write_bytes(b"x" * 65536)
    assert free - 65536 == directory.room(small)[0]
