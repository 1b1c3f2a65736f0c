"""The formats in the store: one value, one text; what was damaged is noticed."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backup_manager.canonical import canonical, timestamp
from backup_manager.catalog.formats import (
    RECORD_BYTES,
    LaterFormatError,
    open_record,
    read_record,
    seal,
)
from backup_manager.errors import ExitCode

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
RECORDS = st.dictionaries(
    TEXT.filter(lambda key: key not in {"sha256", "format"}), VALUES, max_size=6
)


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
        b'{"a":-Infinity}',
        seal({"a": 1.5}),
        b'{"a":' + b"1" * 5000 + b"}",
        b'{"a":1e999}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        seal({"a": 1}).replace(b'"a":1', b'"a":2,"a":1'),
        seal({"a": 1}).decode().encode("utf-16"),
        b"\xef\xbb\xbf" + seal({"a": 1}),
        seal({"a": "x" * RECORD_BYTES}),
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


@given(st.binary(max_size=300))
@example(seal({"a": 1}).replace(b'"a"', b'"\\ud800"'))
def test_any_bytes_are_a_record_or_a_value_error(data: bytes) -> None:
    for read in (open_record, read_record):
        try:
            read(data)
        except ValueError:
            continue


# The record's fields -----------------------------------------------------------------------

WHOLE: dict[str, Any] = {
    "format": 1,
    "id": "0123456789abcdef" * 2,
    "name": "nightly",
    "schedule": None,
    "started": "2026-11-22T10:00:00Z",
    "finished": "2026-11-22T10:30:00Z",
    "snapshot": {"tso": "420747102018863124", "time": "2026-11-22T10:00:01Z"},
    "source": {"host": "db", "port": 4000, "version": "8.0.11-TiDB-v8.5.1"},
    "dumpling": {"version": "v8.5.1", "options": ["--threads=16", "--rows=10000"]},
    "files": 3,
    "bytes": 12,
    "manifest": {"key": "manifest.jsonl.gz", "sha256": "ab" * 32},
    "tool": {"name": "backup-manager", "version": "0.1.0"},
    "warnings": ["a word"],
}


def changed(path: str, value: Any) -> bytes:
    """WHOLE with another value in a field; `...` leaves it out."""
    record = json.loads(json.dumps(WHOLE))
    inside = record
    *outer, last = path.split(".")
    for key in outer:
        inside = inside[key]
    if value is ...:
        del inside[last]
    else:
        inside[last] = value
    return seal(record)


def test_every_field_of_a_record() -> None:
    data = seal(WHOLE)
    record = read_record(data)
    assert ("nightly", None) == (record.name, record.schedule)
    assert datetime(2026, 11, 22, 10, tzinfo=UTC) == record.started
    assert datetime(2026, 11, 22, 10, 30, tzinfo=UTC) == record.finished
    assert "420747102018863124" == record.snapshot
    assert datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC) == record.snapshot_time
    assert ("db", 4000, "8.0.11-TiDB-v8.5.1") == (
        record.source_host,
        record.source_port,
        record.source_version,
    )
    assert ("--threads=16", "--rows=10000") == record.dumpling_options
    assert (3, 12, ("a word",)) == (record.files, record.bytes, record.warnings)
    assert ("manifest.jsonl.gz", "ab" * 32) == (record.manifest, record.manifest_sha256)
    assert open_record(data)["sha256"] == record.sha256


def test_what_a_later_version_may_add_is_let_be() -> None:
    assert read_record(changed("later", {"key": "x"})).files == 3
    assert read_record(changed("snapshot.time", None)).snapshot_time is None


FIELDS = [
    *("format", "id", "name", "schedule", "started", "finished", "snapshot", "snapshot.tso"),
    *("snapshot.time", "source", "source.host", "source.port", "source.version", "dumpling"),
    *("dumpling.version", "dumpling.options", "files", "bytes", "manifest", "manifest.key"),
    *("manifest.sha256", "tool", "tool.name", "tool.version", "warnings"),
]


@pytest.mark.parametrize("path", FIELDS)
@pytest.mark.parametrize("value", [..., True, [1], {"a": []}], ids=repr)
def test_each_field_has_its_type(path: str, value: Any) -> None:
    with pytest.raises(ValueError, match=path if "." not in path else path.partition(".")[2]):
        read_record(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", 0),
        ("format", -1),
        ("id", "0123456789ABCDEF" * 2),
        ("id", "0123"),
        ("started", "2026-11-22 10:00:00"),
        ("started", "2026-1-22T10:00:00Z"),
        ("started", "\u0662026-11-22T10:00:00Z"),
        ("started", "2026-02-30T10:00:00Z"),
        ("files", -1),
        ("files", 1 << 63),
        ("bytes", 10**400),
        ("manifest.key", "../manifest.jsonl.gz"),
        ("manifest.key", ".."),
        ("manifest.key", ""),
        ("manifest.key", "a\0b"),
        ("manifest.sha256", "AB" * 32),
        ("manifest.sha256", "ab" * 32 + "\n"),
    ],
)
def test_values_that_no_record_has(path: str, value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - strptime's words or ours
        read_record(changed(path, value))


ARCHIVE = {"key": "backup-1.tgz", "bytes": 7, "sha256": "cd" * 32}


def test_the_record_of_an_archive() -> None:
    assert read_record(seal(WHOLE)).archive is None
    archive = read_record(changed("archive", ARCHIVE)).archive
    assert archive
    assert ("backup-1.tgz", 7, "cd" * 32) == (archive.key, archive.bytes, archive.sha256)


@pytest.mark.parametrize(
    "archive",
    [
        None,
        "backup-1.tgz",
        *({name: value for name, value in ARCHIVE.items() if name != gone} for gone in ARCHIVE),
        ARCHIVE | {"key": "../backup-1.tgz"},
        ARCHIVE | {"bytes": -1},
        ARCHIVE | {"sha256": "CD" * 32},
    ],
)
def test_no_archive_that_a_record_has(archive: Any) -> None:
    with pytest.raises(ValueError, match="archive"):
        read_record(changed("archive", archive))


@pytest.mark.parametrize("read", [open_record, read_record])
@pytest.mark.parametrize("number", [2, 10**100])
def test_a_format_of_a_later_version(read: Callable[[bytes], object], number: int) -> None:
    # Whose hash may be made in another way.
    data = changed("format", number).replace(b'"sha256":"', b'"sha256":"1', 1)
    with pytest.raises(LaterFormatError, match=f"format {number}") as caught:
        read(data)
    assert ExitCode.USAGE == caught.value.exit_code
    assert isinstance(caught.value, ValueError)
