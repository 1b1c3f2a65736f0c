"""The manifest: the same rows give the same bytes, and whatever else comes back is refused."""

import gzip
import hashlib
import io
import json
import os
import stat
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backup_manager.catalog.manifest import (
    ManifestError,
    ManifestRow,
    manifest_line,
    read_manifest,
    write_manifest,
)
from backup_manager.volume.directory import FileState
from backup_manager.volume.journal import Journal
from backup_manager.volume.rows import FileRow

NAMES = ["a", "Z", "a/b", "ä", "\uffee", "\U0001f600", 'q"\\', " ", "metadata"]
IN_ORDER = sorted(NAMES, key=str.encode)


def sha256_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def row(name: str, size: int = 5) -> FileRow:
    state = FileState(1, size, 2, 3)
    return FileRow(name, state, 0, sha256_of(name), f"etag of {name}"[:99], confirmed=True)


def read_row(name: str, size: int = 5) -> ManifestRow:
    return ManifestRow(name, size, sha256_of(name), f"etag of {name}"[:99])


def fill(journal: Journal, names: list[str]) -> None:
    for name in names:
        each = row(name)
        assert each.state
        assert each.sha256
        assert each.etag
        journal.offer([name])
        journal.confirm(name, each.state, read_ns=0, sha256=each.sha256, etag=each.etag)


def read(data: bytes, **known: Any) -> list[ManifestRow]:
    return list(read_manifest(io.BytesIO(data), **known))


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def line(**fields: Any) -> bytes:
    whole = {"name": "a", "bytes": 5, "sha256": "ab" * 32, "etag": "x"} | fields
    return json.dumps({key: value for key, value in whole.items() if value is not ...}).encode()


# Written -----------------------------------------------------------------------------------


def test_a_line() -> None:
    expected = (
        f'{{"bytes":5,"etag":"etag of ä\\"","name":"ä\\"","sha256":"{sha256_of("ä" + chr(34))}"}}\n'
    )
    assert expected.encode() == manifest_line(row('ä"'))


@pytest.mark.parametrize("order", [1, -1])
def test_the_manifest_of_a_journal(tmp_path: Path, journal: Journal, order: int) -> None:
    fill(journal, NAMES[::order])
    path = tmp_path / "manifest"
    write_manifest(path, journal.files())
    lines = [json.loads(each) for each in gzip.decompress(path.read_bytes()).splitlines()]
    assert IN_ORDER == [each["name"] for each in lines]
    expected = {"name": "a/b", "bytes": 5, "sha256": sha256_of("a/b"), "etag": "etag of a/b"}
    assert expected in lines


def test_the_same_rows_give_the_same_bytes(tmp_path: Path, journal: Journal) -> None:
    fill(journal, NAMES)
    paths = [tmp_path / "one", tmp_path / "another name"]
    for path in paths:
        path.write_bytes(b"x" * 10_000)  # what was there before is gone
        write_manifest(path, journal.files())
    assert paths[0].read_bytes() == paths[1].read_bytes()
    header = paths[0].read_bytes()[:10]
    # Neither a time (bytes 4 to 7) nor a name (flag 8 in byte 3).
    assert b"\x1f\x8b\x08\x00\x00\x00\x00\x00" == header[:8]


@pytest.mark.parametrize("names", [[], IN_ORDER])
def test_what_was_written_is_told_without_reading_it(tmp_path: Path, names: list[str]) -> None:
    written = write_manifest(tmp_path / "m", map(row, names))
    data = (tmp_path / "m").read_bytes()
    assert (hashlib.sha256(data).hexdigest(), len(data)) == written


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.touch(0o666)
    before = os.umask(0)
    try:
        write_manifest(path, [row("a")])
    finally:
        os.umask(before)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


# Read --------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [[], IN_ORDER, [f"{number:07}" for number in range(5000)]])
def test_what_was_written_is_read_back(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "m"
    write_manifest(path, map(row, names))
    expected = [read_row(name) for name in names]
    assert expected == list(read_manifest(path))
    assert expected == read(path.read_bytes(), files=len(names), total=5 * len(names))


def test_a_field_of_a_later_version_is_let_be() -> None:
    assert [ManifestRow("a", 5, "ab" * 32, "x")] == read(
        packed(line(mode="0600", parts=[1, {"a": None}]) + b"\n")
    )


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([b""], "line 1"),
        ([b" "], "line 1"),
        ([b"{"], "line 1"),
        ([b"null"], "no JSON object"),
        ([b"[]"], "no JSON object"),
        ([b"\xff"], "line 1"),
        ([b"[" * 10_000], "line 1"),
        ([b'{"a":' * 2_000], "line 1"),
        ([b"1" * 5_000], "line 1"),
        ([line(more=1.5)], "no whole number"),
        ([line(more=float("nan"))], "no whole number"),
        ([line()[:-1] + b',"name":"b"}'], "twice"),
        ([line(name=...)], "name"),
        ([line(name=5)], "name"),
        ([line(name=["a"])], "name"),
        ([line(name="")], "name"),
        ([line(name="/a")], "name"),
        ([line(name="a/")], "name"),
        ([line(name="a//b")], "name"),
        ([line(name="..")], "name"),
        ([line(name="a/../../b")], "name"),
        ([line(name="./a")], "name"),
        ([line(name="a\0")], "name"),
        ([line(name="manifest.jsonl.gz")], "name"),
        ([line(name="backup.json")], "name"),
        ([line(name="a" * 1025)], "1024 bytes"),
        ([line(name="ä" * 513)], "1024 bytes"),
        ([line(name="\ud800")], "line 1"),
        ([line(bytes=...)], "bytes"),
        ([line(bytes="5")], "bytes"),
        ([line(bytes=True)], "bytes"),
        ([line(bytes=-1)], "bytes"),
        ([line(bytes=(5 << 40) + 1)], "bytes"),
        ([line(bytes=10**400)], "bytes"),
        ([line(sha256=...)], "sha256"),
        ([line(sha256=None)], "sha256"),
        ([line(sha256="AB" * 32)], "sha256"),
        ([line(sha256="ab" * 31)], "sha256"),
        ([line(sha256="ab" * 32 + "\n")], "sha256"),
        ([line(etag=...)], "etag"),
        ([line(etag=None)], "etag"),
        ([line(etag="")], "etag"),
        ([line(etag="x" * 1025)], "etag"),
        ([line(etag="\udfff")], "line 1"),
        ([line() + b" " * (16 << 10)], "line 1: it has more than"),
        ([line(), line()], "line 2 does not come after"),
        ([line(name="b"), line(name="a")], "line 2 does not come after"),
        # UTF-16's order, which is JavaScript's and Java's, is another.
        ([line(name="\U0001f600"), line(name="\uffee")], "line 2 does not come after"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_line_that_is_not_ours(lines: list[bytes], told: str) -> None:
    with pytest.raises(ManifestError, match=told):
        read(packed(b"".join(each + b"\n" for each in lines)))


PACKED = packed(b"".join(manifest_line(row(name)) for name in IN_ORDER))
BAD_CRC = PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1f\x8b",
        b"no gzip at all",
        zlib.compress(b"x"),
        PACKED + b"\0",
        PACKED + b"x",
        PACKED + PACKED,
        PACKED + packed(b""),
        BAD_CRC,
        PACKED[:-4] + b"\0\0\0\0",
        packed(line()),
        packed(b"\n"),
    ],
    ids=[
        *("nothing", "a piece of a head", "no gzip", "zlib", "a NUL behind", "garbage behind"),
        *("twice", "an empty member behind", "wrong CRC", "wrong length", "no end", "a blank line"),
    ],
)
def test_what_is_no_manifest(data: bytes) -> None:
    with pytest.raises(ManifestError):
        read(data)


def test_every_cut_is_found() -> None:
    for length in range(len(PACKED)):
        with pytest.raises(ManifestError):
            read(PACKED[:length])


def test_the_record_says_how_much_it_is() -> None:
    count = len(NAMES)
    for files, total in ((count - 1, None), (count + 1, None), (None, 5 * count + 1), (0, 0)):
        with pytest.raises(ManifestError, match="record"):
            list(read_manifest(io.BytesIO(PACKED), files=files, total=total))


class Endless(io.RawIOBase):
    """A gzip that unpacks to the same bytes for ever; counts what was taken of it."""

    def __init__(self, piece: bytes) -> None:
        self._packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        self._piece = piece
        self.taken = 0

    def read(self, _size: int = -1) -> bytes:
        data = self._packer.compress(self._piece) + self._packer.flush(zlib.Z_FULL_FLUSH)
        self.taken += len(data)
        return data


@pytest.mark.parametrize("piece", [b"x" * (1 << 20), b"\n" * (1 << 20), b" " * (1 << 20)])
def test_a_bomb_is_left_at_once(piece: bytes) -> None:
    endless = Endless(piece)
    with pytest.raises(ManifestError):
        list(read_manifest(endless))  # type: ignore[arg-type]  # it has all that is used of a file
    assert endless.taken < 100_000


def test_more_lines_than_the_record_says_are_not_waited_for() -> None:
    lines = b"".join(manifest_line(row(f"{number:09}")) for number in range(200_000))
    rows: Iterator[ManifestRow] = read_manifest(io.BytesIO(packed(lines)), files=10)
    # Ten are there to be had, and the eleventh ends it.
    assert 10 == sum(1 for _ in zip(range(10), rows, strict=False))
    with pytest.raises(ManifestError, match="more lines than the 10 files"):
        next(rows)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "m"
    write_manifest(path, (row(f"{number:09}") for number in range(30_000)))
    tracemalloc.start()
    try:
        assert 30_000 == sum(1 for _ in read_manifest(path))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


# Fuzzed ------------------------------------------------------------------------------------


def names_of_files() -> st.SearchStrategy[str]:
    segment = st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1
    )
    segment = segment.filter(lambda text: text not in {".", ".."})
    return st.lists(segment, min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(names_of_files(), st.integers(0, 5 << 40), max_size=5))
def test_any_names_and_sizes_come_back(files: dict[str, int]) -> None:
    rows = [row(name, files[name]) for name in sorted(files, key=str.encode)]
    with TemporaryDirectory() as directory:
        write_manifest(Path(directory) / "m", rows)
        found = list(
            read_manifest(Path(directory) / "m", files=len(files), total=sum(files.values()))
        )
    assert [read_row(each.name, files[each.name]) for each in rows] == found


@given(st.binary(max_size=200), st.booleans())
@example(b'{"name":"a","bytes":1e400,"sha256":"","etag":""}\n', True)
def test_any_bytes_are_a_manifest_or_an_error(data: bytes, as_gzip: bool) -> None:
    try:
        read(packed(data) if as_gzip else data)
    except ManifestError:
        return


@settings(max_examples=50)
@given(st.data())
def test_a_damaged_byte_is_an_error_or_changes_nothing(data: st.DataObject) -> None:
    expected = read(PACKED)
    at = data.draw(st.integers(0, len(PACKED) - 1))
    damaged = PACKED[:at] + bytes([data.draw(st.integers(0, 255))]) + PACKED[at + 1 :]
    try:
        assert expected == read(damaged)
    except ManifestError:
        return


# Of an archive ----------------------------------------------------------------------------


def test_files_of_an_archive_have_no_etag() -> None:
    data = packed(line(etag=None) + b"\n")
    assert [ManifestRow("a", 5, "ab" * 32, None)] == read(data, archived=True)
    with pytest.raises(ManifestError, match="etag"):
        read(data)
    with pytest.raises(ManifestError, match="etag"):
        read(packed(line() + b"\n"), archived=True)
    with pytest.raises(ManifestError, match="etag"):
        read(packed(line(etag=...) + b"\n"), archived=True)
