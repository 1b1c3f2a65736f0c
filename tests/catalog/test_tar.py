"""The tar inside an archive: Python, GNU tar and the contract agree on what is in it."""

import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from backup_manager.catalog.tar import (
    END,
    directory_header,
    file_header,
    new_directories,
    padding,
    tar_bytes,
)

MOMENT = 1_795_341_600
Files = dict[str, bytes]

# What a file system takes as one name; those of Dumpling have spaces, quotes, % and UTF-8.
_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="/\0")
_SEGMENTS = (
    st.text(_CHARACTERS, min_size=1, max_size=60)
    .filter(lambda text: text not in {".", ".."})
    .filter(lambda text: len(text.encode()) <= 255)
)
_NAMES = st.lists(_SEGMENTS, min_size=1, max_size=3).map("/".join)
ODD_NAMES = [
    "shop.we%2Fird%2Ena%25me.000000000.sql",
    "a b'c\"d.sql",
    "-rf",
    "ünïcode ✓ 漢字.sql",
    "line\nend",
    "back\\slash",
    " ",
    "x" * 100,
    "x" * 101,
    "y" * 255,
    "ü" * 127,
    "d" * 200 + "/" + "e" * 200 + "/" + "f" * 200,
    "sub/file",
    "sub-file",
    "sub0file",
]


def tar_of(files: Files) -> bytes:
    """As an archive has them: sorted by their bytes, under one directory."""
    stream, before = io.BytesIO(), ""
    for name in sorted(files, key=str.encode):
        path = f"top/{name}"
        for directory in new_directories(path, before):
            stream.write(directory_header(directory, MOMENT))
        before = path
        stream.write(file_header(path, len(files[name]), MOMENT) + files[name])
        stream.write(padding(len(files[name])))
    stream.write(END)
    return stream.getvalue()


def in_conflict(names: Iterable[str]) -> bool:
    """Whether one is a directory of another."""
    return any(later.startswith(f"{name}/") for name in names for later in names)


@given(st.dictionaries(_NAMES, st.binary(max_size=1200), max_size=6))
@example({name: name.encode() for name in ODD_NAMES})
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_python_reads_what_is_written(files: Files) -> None:
    if in_conflict(files):
        return
    data = tar_of(files)

    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        members = tar.getmembers()
        found = {
            member.name.removeprefix("top/"): extracted.read()
            for member in members
            if (extracted := tar.extractfile(member)) is not None
        }

    assert files == found
    directories = [member.name for member in members if member.isdir()]
    expected = {
        "/".join(["top", *name.split("/")[:depth]])
        for name in files
        for depth in range(name.count("/") + 1)
    }
    assert sorted(expected) == sorted(directories)
    for member in members:
        mode = 0o755 if member.isdir() else 0o644
        assert (mode, MOMENT, 0, 0, "", "") == (
            member.mode,
            member.mtime,
            member.uid,
            member.gid,
            member.uname,
            member.gname,
        )
    sizes = [(f"top/{name}", len(files[name])) for name in sorted(files, key=str.encode)]
    assert len(data) == tar_bytes(sizes, MOMENT)


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(_NAMES, st.binary(max_size=600), min_size=1, max_size=5))
@example({name: name.encode() for name in ODD_NAMES})
def test_gnu_tar_reads_what_is_written(files: Files) -> None:
    if in_conflict(files):
        return
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [shutil.which("tar") or "tar", "xf", "-"],
            cwd=scratch,
            input=tar_of(files),
            capture_output=True,
            check=False,
        )
        top = Path(scratch) / "top"
        found = {
            str(path.relative_to(top)): path.read_bytes()
            for path in top.rglob("*")
            if path.is_file()
        }

    # Nor does it complain of anything, such as an implausible time.
    assert (0, b"") == (done.returncode, done.stderr)
    assert files == found


@pytest.mark.parametrize(
    ("name", "size", "extended"),
    [
        ("shop.orders.000000000.sql", 1, False),
        ("x" * 100, (8 << 30) - 1, False),
        ("x" * 101, 0, True),
        ("ü", 0, True),
        ("a", 8 << 30, True),
    ],
)
def test_an_extended_header_stands_only_where_it_is_needed(
    name: str, size: int, extended: bool
) -> None:
    header = file_header(name, size, MOMENT)
    assert (1536 if extended else 512) == len(header)
    assert extended == (header[156:157] == b"x")
    member = tarfile.TarInfo.frombuf(header[-512:], "ascii", "replace")
    assert (b"0", 0o644) == (member.type, member.mode)


def test_a_file_of_more_than_8_gib() -> None:
    """Its header alone: GNU tar and Python read its size from the extended one."""
    size = 5 << 40
    header = file_header("top/a", size, MOMENT)
    with tarfile.open(fileobj=io.BytesIO(header), mode="r|") as tar:
        member = tar.next()
    assert member is not None
    assert ("top/a", size) == (member.name, member.size)


@given(st.lists(_NAMES, min_size=1, max_size=8, unique=True))
def test_each_directory_comes_once_and_before_what_is_in_it(names: list[str]) -> None:
    ordered = sorted(names, key=str.encode)
    told: list[str] = []
    for before, name in pairwise(["", *ordered]):
        told += new_directories(name, before)
        assert {
            "/".join(name.split("/")[:depth]) for depth in range(1, name.count("/") + 1)
        } <= set(told)
    assert len(set(told)) == len(told)
