"""The formats in the store: one value, one text; what was damaged is noticed."""

import gzip
import hashlib
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backup_manager.canonical import canonical, timestamp
from backup_manager.catalog.formats import (
    manifest_line,
    open_record,
    seal,
    write_manifest,
)
from backup_manager.volume.directory import FileState
from backup_manager.volume.journal import Journal
from backup_manager.volume.rows import FileRow

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
RECORDS = st.dictionaries(TEXT.filter(lambda key: key != "sha256"), VALUES, max_size=6)


# Canonical JSON ----------------------------------------------------------------------------


@given(VALUES)
def test_the_same_value_has_one_text(value: Any) -> None:
    data = canonical(value)
    assert value == json.loads(data)
    assert data == canonical(json.loads(data))
    assert b"\n" not in data


@given(st.dictionaries(TEXT, st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical(value) == canonical(dict(reversed(value.items())))


def test_how_it_looks() -> None:
    value = {"ü": "€😀/\n\x1f", "b": [1, True, None], "a": {"z": -1, "y": ""}}
    expected = '{"a":{"y":"","z":-1},"b":[1,true,null],"ü":"€😀/\\n\\u001f"}'
    assert expected.encode() == canonical(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(value)


# The record --------------------------------------------------------------------------------


@given(RECORDS)
def test_a_record_comes_back(record: dict[str, Any]) -> None:
    data = seal(record)
    opened = open_record(data)
    assert record == {key: value for key, value in opened.items() if key != "sha256"}
    assert hashlib.sha256(canonical(record)).hexdigest() == opened["sha256"]
    assert data == canonical(opened)
    assert data == seal(record)


@settings(max_examples=20)
@given(RECORDS, st.integers(1, 255))
@example({"a": "\x1f", "files": 12, "b": [1, 22, None]}, 0x20)
@example({"a": "\x1f", "files": 12, "b": [1, 22, None]}, 0x01)
def test_a_flipped_byte_is_noticed(record: dict[str, Any], mask: int) -> None:
    data = seal(record)
    whole = open_record(data)
    for offset in range(len(data)):
        damaged = data[:offset] + bytes([data[offset] ^ mask]) + data[offset + 1 :]
        try:
            opened = open_record(damaged)
        except ValueError:
            continue
        # Another spelling of the same value, such as \u001F.
        assert whole == opened


@given(RECORDS)
def test_a_cut_record_is_noticed(record: dict[str, Any]) -> None:
    data = seal(record)
    for length in range(len(data)):
        with pytest.raises(ValueError):  # noqa: PT011 - JSON's words or ours
            open_record(data[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"sha256":null}',
        b'{"sha256":"00"}',
        b"\xff\xfe",
        b'{"a":"\\ud800"}',
        b'{"a":NaN}',
        b"x" * 10,
        seal({"a": 1})[:-1] + b',"b":2}',
    ],
)
def test_what_is_no_record(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        open_record(data)


def test_moments() -> None:
    moment = datetime(2026, 11, 22, 12, 30, 59, 999_999, timezone(timedelta(hours=2)))
    assert "2026-11-22T10:30:59Z" == timestamp(moment)


# The manifest ------------------------------------------------------------------------------

NAMES = ["a", "Z", "a/b", "ä", "\uffee", "\U0001f600", 'q"\\', " ", "metadata"]


def row(name: str, size: int = 5) -> FileRow:
    state = FileState(1, size, 2, 3)
    return FileRow(name, state, 0, f"sha of {name}", f"etag of {name}", confirmed=True)


def fill(journal: Journal, names: list[str]) -> None:
    for name in names:
        each = row(name)
        assert each.state
        assert each.sha256
        assert each.etag
        journal.offer([name])
        journal.confirm(name, each.state, read_ns=0, sha256=each.sha256, etag=each.etag)


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_a_line() -> None:
    expected = '{"bytes":5,"etag":"etag of ä\\"","name":"ä\\"","sha256":"sha of ä\\""}\n'
    assert expected.encode() == manifest_line(row('ä"'))


@pytest.mark.parametrize("order", [1, -1])
def test_the_manifest_of_a_journal(tmp_path: Path, journal: Journal, order: int) -> None:
    fill(journal, NAMES[::order])
    path = tmp_path / "manifest"
    write_manifest(path, journal.files())
    names = [line["name"] for line in lines(path)]
    assert sorted(NAMES, key=str.encode) == names
    assert {"name": "a/b", "bytes": 5, "sha256": "sha of a/b", "etag": "etag of a/b"} in lines(path)


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


def test_an_empty_manifest(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m", [])
    assert [] == lines(tmp_path / "m")
