"""Names of backups: read in one way, and never taken from what is no backup."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.canonical import read_timestamp, timestamp
from backup_manager.catalog.naming import Name, own_name, parse_name, place_of
from backup_manager.errors import UsageError

MOMENT = datetime(2026, 11, 22, 10, tzinfo=UTC)
DIRECTORY = "backup-2026-11-22T10:00:00Z-1a2b3c4d"
OPERATORS = "backup-2026-11-22T10:00:00Z.tgz"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DIRECTORY, Name(MOMENT, DIRECTORY, "1a2b3c4d", archived=False)),
        (f"{DIRECTORY}.tgz", Name(MOMENT, f"{DIRECTORY}.tgz", "1a2b3c4d", archived=True)),
        (OPERATORS, Name(MOMENT, OPERATORS, "", archived=True)),
        ("backup-2026-11-22T10:00:00Z", None),  # the operator makes archives only
        (f"{DIRECTORY}0", None),
        (f"{DIRECTORY}.tar", None),
        (f"{DIRECTORY}\n", None),
        (f"x{DIRECTORY}", None),
        ("backup-2026-11-22T10:00:00Z-1A2B3C4D", None),
        ("backup-2026-13-22T10:00:00Z-1a2b3c4d", None),
        ("backup-2026-11-22T24:00:00Z-1a2b3c4d", None),
        ("backup-２026-11-22T10:00:00Z-1a2b3c4d", None),  # noqa: RUF001 - another digit two
        ("backup-2026-11-22T10:00:00+00:00-1a2b3c4d", None),
        ("", None),
    ],
)
def test_what_a_name_is(text: str, expected: Name | None) -> None:
    assert expected == parse_name(text)


@given(
    moment=st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    run=st.text("0123456789abcdef", min_size=8, max_size=8),
    archived=st.booleans(),
)
def test_names_are_read_as_they_are_made(moment: datetime, run: str, *, archived: bool) -> None:
    moment = moment.replace(microsecond=0)
    text = f"backup-{timestamp(moment)}-{run}{'.tgz' * archived}"
    assert Name(moment, text, run, archived) == parse_name(text)


@given(st.text(), st.text("0123456789-T:Z+. ", max_size=30))
def test_no_text_breaks_the_readers(text: str, like: str) -> None:
    for each in (text, like, f"backup-{like}", f"backup-{text}-1a2b3c4d"):
        parse_name(each)
        read = read_timestamp(each)
        assert read is None or each == timestamp(read)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (f"p/{DIRECTORY}/", DIRECTORY),
        (f"p/{DIRECTORY}.tgz", f"{DIRECTORY}.tgz"),
        (f"p/{DIRECTORY}.tgz.backup.json", f"{DIRECTORY}.tgz"),
        (f"{DIRECTORY}.tgz.manifest.jsonl.gz", f"{DIRECTORY}.tgz"),
        (f"{OPERATORS}.tmp", OPERATORS),
    ],
)
def test_which_backup_an_object_belongs_to(key: str, expected: str) -> None:
    assert expected == own_name(key)


@pytest.mark.parametrize(
    ("backup", "flags", "expected"),
    [
        ("latest", {"bucket": None}, {"bucket": None}),
        (f"s3://b/{DIRECTORY}", {}, {"bucket": "b", "prefix": "/"}),
        (f"s3://b/p/q/{DIRECTORY}/", {}, {"bucket": "b", "prefix": "p/q"}),
        (f"s3://b/p/{DIRECTORY}", {"prefix": "/p/"}, {"bucket": "b", "prefix": "p"}),
    ],
)
def test_an_address_says_the_place(
    backup: str, flags: dict[str, str | None], expected: dict[str, str | None]
) -> None:
    assert expected == place_of(backup, flags)


@pytest.mark.parametrize(
    ("backup", "flags"),
    [
        ("s3://", {}),
        ("s3://b", {}),
        ("s3:///x", {}),
        (f"s3://b/p/{DIRECTORY}", {"bucket": "c"}),
        (f"s3://b/p/{DIRECTORY}", {"prefix": "q"}),
        (f"s3://b/{DIRECTORY}", {"prefix": "q"}),
    ],
)
def test_addresses_that_are_none_or_contradict(backup: str, flags: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        place_of(backup, flags)
