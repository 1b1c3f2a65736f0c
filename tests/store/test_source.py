"""A file as a source: what is read is what it was when it was opened, or an error."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_manager.errors import VolumeError
from backup_manager.store import source as module
from backup_manager.store.source import FileChangedError, SourceFile
from backup_manager.volume.directory import FileState

TEXT = bytes(range(256)) * 16


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(TEXT)
    return path


def opened(path: Path) -> SourceFile:
    return SourceFile(path, content_md5=True)


@settings(max_examples=30)
@given(st.integers(0, len(TEXT)), st.integers(0, len(TEXT)), st.integers(1, 5000))
def test_any_span(offset: int, length: int, block: int) -> None:
    length = min(length, len(TEXT) - offset)
    path = Path("/dev/shm/test-source")
    path.write_bytes(TEXT)
    also = hashlib.sha256(b"before")
    with pytest.MonkeyPatch.context() as patch, opened(path) as file:
        patch.setattr(module, "_HASH_BLOCK", block)
        patch.setattr(module, "_SEND_BLOCK", block)
        body = file.body(offset, length, also=also)
        expected = TEXT[offset : offset + length]
        # It can be read as often as one likes: each attempt begins anew.
        assert [expected] * 2 == [b"".join(body.read()) for _ in range(2)]
        assert all(len(piece) <= block for piece in body.read())
    path.unlink()
    assert (length, hashlib.sha256(expected).hexdigest()) == (body.length, body.sha256)
    assert hashlib.md5(expected).digest() == body.md5
    assert hashlib.sha256(b"before" + expected).digest() == also.digest()


def test_md5_is_made_only_where_it_is_wanted(path: Path) -> None:
    with SourceFile(path, content_md5=False) as file:
        assert file.body(0, 10).md5 is None


def test_its_state_is_that_of_the_opening(path: Path) -> None:
    before = FileState.of(path.stat())
    with opened(path) as file:
        file.check()
        assert before == file.state
        assert file.state.mtime_ns <= file.read_ns


def replace(path: Path) -> None:
    path.unlink()
    path.write_bytes(TEXT)


def link(path: Path) -> None:
    path.rename(path.with_suffix(".away"))
    path.symlink_to("file.away")


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": lambda path: path.open("ab").write(b"x"),
    "shorter": lambda path: os.truncate(path, 10),
    "empty": lambda path: os.truncate(path, 0),
    "other bytes": lambda path: path.write_bytes(TEXT[::-1]),
    "touched": lambda path: os.utime(path, ns=(0, 0)),
    "gone": Path.unlink,
    "replaced": replace,
    "a link": link,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed(path: Path, change: str) -> None:
    with opened(path) as file:
        body = file.body(0, len(TEXT))
        CHANGES[change](path)
        with pytest.raises(FileChangedError):
            file.check()
        with pytest.raises(FileChangedError):
            list(body.read())


def test_a_file_that_is_cut_while_it_is_hashed(path: Path) -> None:
    with opened(path) as file:
        os.truncate(path, len(TEXT) - 1)
        with pytest.raises(FileChangedError):
            file.body(0, len(TEXT))


def test_a_file_that_is_cut_while_it_is_sent(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SEND_BLOCK", 100)
    with opened(path) as file:
        pieces = iter(file.body(0, len(TEXT)).read())
        assert TEXT[:100] == next(pieces)
        os.truncate(path, 150)
        assert TEXT[100:150] == next(pieces)
        with pytest.raises(FileChangedError):
            next(pieces)


def test_a_link_is_not_opened(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        opened(link)


def test_a_failing_volume_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise OSError(5, "Input/output error")

    with opened(path) as file:
        body = file.body(0, 10)
        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(VolumeError, match="cannot be read: Input/output error"):
            file.body(0, 10)
        with pytest.raises(VolumeError, match="device is failing"):
            list(body.read())
        monkeypatch.setattr(Path, "lstat", fail)
        with pytest.raises(VolumeError, match="cannot be read: Input/output error"):
            file.check()


def test_no_descriptor_is_left(path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with opened(path) as file:
            file.body(0, 10)
    assert before == len(list(Path("/proc/self/fd").iterdir()))
