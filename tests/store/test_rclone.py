"""rclone's options: which have a meaning, which change nothing, and which are refused."""

import base64
import shutil
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.errors import UsageError
from backup_manager.store import rclone_values as values
from backup_manager.store.bandwidth import Timetable
from backup_manager.store.rclone import parse
from backup_manager.store.rclone_options import HARMLESS, HARMLESS_SWITCHES, OPTIONS

KEY = base64.b64encode(b"k" * 32).decode()
MIB = 1 << 20


def read(*words: str) -> dict[str, Any]:
    return parse(words, lambda _: None).values


# Sizes, times, bandwidths -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1024),
        ("512b", 512),
        ("512B", 512),
        ("64M", 64 * MIB),
        ("64Mi", 64 * MIB),
        ("64MiB", 64 * MIB),
        ("1.5G", 1536 * MIB),
        (".5k", 512),
        ("2t", 2 << 40),
        ("0", 0),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert expected == values.size(text)


@pytest.mark.parametrize("text", ["16Q", "", "M", "1MB2", "-1", "off", "1e3", "9E", "1 M", "0x10"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|EiB"):
        values.size(text)


@given(st.integers(0, 1 << 62))
def test_bytes_come_back(number: int) -> None:
    # Floats, as rclone has them: 53 bits are kept.
    assert number == pytest.approx(values.size(f"{number}b"), rel=1e-15)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30", 30.0),
        ("1.5s", 1.5),
        ("500ms", 0.5),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1d", 86400.0),
        ("2w", 1209600.0),
        ("1M", 2592000.0),
        ("1y", 31536000.0),
        ("0", 0.0),
    ],
)
def test_times(text: str, expected: float) -> None:
    assert expected == values.seconds(text)


@pytest.mark.parametrize("text", ["", "soon", "1q", "1h 2", "٣s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        values.seconds(text)


def at(text: str, moment: str) -> float | None:
    table = values.bandwidth(text)
    assert table
    return table.at(datetime.fromisoformat(moment))


MONDAY, SUNDAY = "2026-11-23T", "2026-11-22T"


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        ("10M", f"{MONDAY}03:00", 10 * MIB),
        ("512", f"{MONDAY}03:00", 512 * 1024),
        ("10M:1M", f"{MONDAY}03:00", 10 * MIB),
        ("08:00,512k 18:00,off", f"{MONDAY}08:00", 512 * 1024),
        ("08:00,512k 18:00,off", f"{MONDAY}17:59", 512 * 1024),
        ("08:00,512k 18:00,off", f"{MONDAY}18:00", None),
        ("08:00,512k 18:00,off", f"{MONDAY}07:59", None),
        ("Mon-00:00,1M Fri-20:00,10M", f"{MONDAY}00:00", MIB),
        ("Mon-00:00,1M Fri-20:00,10M", f"{SUNDAY}12:00", 10 * MIB),
        ("Monday-10:00,1M sun-9:00,off:1M", f"{SUNDAY}09:00", None),
    ],
)
def test_bandwidths(text: str, moment: str, expected: float | None) -> None:
    assert expected == at(text, moment)


@pytest.mark.parametrize("text", ["off", "0", "0:1M", "off:1M"])
def test_no_limit_at_all(text: str) -> None:
    assert values.bandwidth(text) is None


@pytest.mark.parametrize(
    "text",
    ["fast", "8,1M", "25:00,1M 08:00,off", "08:60,1M", "Foo-08:00,1M", "08:00,x", "1M:x", ""],
)
def test_what_is_no_bandwidth(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|time"):
        values.bandwidth(text)


@given(st.lists(st.tuples(st.integers(0, 10079), st.integers(1, 99)), min_size=1, max_size=9))
def test_the_newest_slot_holds(slots: list[tuple[int, int]]) -> None:
    table = Timetable(tuple(sorted(dict(slots).items())))
    for minute, rate in table.slots:
        day, rest = divmod(minute, 1440)
        moment = datetime(2026, 11, 22 + day, rest // 60, rest % 60)  # noqa: DTZ001 - local time
        assert rate == table.at(moment)


# Words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--s3-chunk-size=64M"], {"part_bytes": 64 * MIB}),
        (["--s3-chunk-size 64M"], {"part_bytes": 64 * MIB}),
        (["--s3-chunk-size", "64M"], {"part_bytes": 64 * MIB}),
        (["--s3_chunk_size=64M"], {"part_bytes": 64 * MIB}),
        (["--transfers=2", "--transfers=8"], {"transfers": 8}),
        (["--ignore-checksum"], {"ignore_checksum": True}),
        (["--ignore-checksum=false"], {"ignore_checksum": False}),
        (["--ignore-checksum", "--transfers", "3"], {"ignore_checksum": True, "transfers": 3}),
        (
            ["--bwlimit=08:00,512k 18:00,off"],
            {"bandwidth": values.bandwidth("08:00,512k 18:00,off")},
        ),
        (["--s3-force-path-style=false"], {"s3_addressing": "virtual"}),
        (["--s3-provider=GCS"], {"provider": "google"}),
        (["--s3-provider=Ceph"], {"provider": "ceph"}),
        (["--s3-sse-customer-key-base64=" + KEY], {"customer_key": b"k" * 32}),
        (["--s3-sse-customer-key=" + "k" * 32], {"customer_key": b"k" * 32}),
        (
            ["--header-upload=X-Amz-Meta-Who: me", "--header-upload", "Cache-Control: no-store"],
            {"headers": (("X-Amz-Meta-Who", "me"), ("Cache-Control", "no-store"))},
        ),
        (["--s3-object-lock-retain-until-date=30d"], {"object_lock_retain": 30 * 86400.0}),
        ([f"--s3-sse-customer-key-base64 {KEY}"], {"customer_key": b"k" * 32}),
        (["--header-upload X-A: b=c"], {"headers": (("X-A", "b=c"),)}),
        (["--bwlimit=0.5B"], {"bandwidth": Timetable(((0, 1.0),))}),
        (["", "  "], {}),
    ],
)
def test_what_has_a_meaning(words: list[str], expected: dict[str, Any]) -> None:
    assert expected == read(*words)


def test_a_moment_to_come() -> None:
    moment = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    given = read(f"--s3-object-lock-retain-until-date={moment}")
    assert 86400 == pytest.approx(given["object_lock_retain"], abs=600)


def test_what_changes_nothing() -> None:
    given = parse(["-vv", "--checkers=4", "--fast-list", "--stats", "10s", "-P"], lambda _: None)
    ignored = ("--verbose", "--checkers", "--fast-list", "--stats", "--progress")
    assert ({}, ignored) == (given.values, given.ignored)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--s3-chunck-size=1M", "--s3-chunk-size"),
        ("--ignore-checksums", "--ignore-checksum"),
        ("--backup-dir=x", "lists all"),
        ("--max-transfer=1G", "--transfers"),
        ("--include=*.sql", "lists all"),
        ("--dry-run", "lists all"),
        ("--s3-chunk-size=16Q", "'16Q' is no size"),
        ("--s3-chunk-size=1M", "5Mi to 5Gi"),
        ("--s3-chunk-size=6G", "5Mi to 5Gi"),
        ("--s3-upload-cutoff=6G", "5Gi"),
        ("--transfers=0", "above zero"),
        ("--transfers=9999", "256"),
        ("--transfers", "no value"),
        ("--timeout=0", "without a bound"),
        ("--s3-max-upload-parts=10001", "10000"),
        ("--s3-object-lock-retain-until-date=2020-01-31T00:00:00Z", "is over"),
        ("--ignore-checksum=perhaps", "neither true nor false"),
        ("--s3-sse-customer-key=short", "5 bytes"),
        ("--s3-sse-customer-key-base64=" + KEY[:-8], "32 bytes"),
        ("--s3-sse-customer-key-base64=!", "no base64"),
        ("--s3-sse-customer-algorithm=ROT13", "AES256"),
        ("--s3-server-side-encryption=rot13", "aws:kms"),
        ("--s3-secret-access-key=canary", "AWS_SECRET_ACCESS_KEY"),
        ("--s3-object-lock-retain-until-date=0001-01-01T00:00:00+14:00", "is over"),
        ("--s3-object-lock-retain-until-date=9999999y", "100 years"),
        ("--header-upload=Host: evil", "set by backup-manager"),
        ("--header-upload=x-amz-server-side-encryption: AES256", "set by backup-manager"),
        ("--header-upload=nothing", "Name: value"),
        ("--header-upload=A: b\nC: d", "printable"),
        ("--ca-cert=/nonexistent", "there is no file"),
        ("--s3-provider=Wasabi", "no provider"),
        ("nonsense", "is unknown"),
        ("-x", "is unknown"),
    ],
)
def test_what_is_refused(word: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(word)
    assert said in str(caught.value)
    assert f"--s3-option={word.partition('=')[0]}" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("between", [":", "\t", ",", "é"])
def test_a_secret_behind_a_slip_is_not_shown(between: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(f"--s3-sse-customer-key{between}canary")
    assert "canary" not in str(caught.value)


def test_secrets_are_kept_before_anything_can_be_said_of_them() -> None:
    kept: list[str] = []
    with pytest.raises(UsageError) as caught:
        parse(["--s3-sse-customer-key=canary"], kept.append)
    assert ["canary"] == kept
    assert "canary" not in str(caught.value)


@given(st.lists(st.text(max_size=20), max_size=4))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    with suppress(UsageError):
        assert {} == parse([*words, "--fast-list"], lambda _: None).values


@pytest.fixture(scope="module")
def flags_of_rclone() -> set[str]:
    """What the real one has."""
    binary = shutil.which("rclone", path=str(Path(sys.executable).parent))
    assert binary, "rclone is a test dependency"
    done = subprocess.run([binary, "help", "flags"], capture_output=True, text=True, check=True)
    words = {word.strip(",") for line in done.stdout.splitlines() for word in line.split()[:3]}
    return {word.removeprefix("--") for word in words if word.startswith("--")}


def test_every_option_is_one_of_rclones(flags_of_rclone: set[str]) -> None:
    ours = {option.name for option in OPTIONS} | HARMLESS | HARMLESS_SWITCHES
    # These are no longer in its help, but it takes them: they were in many a manual.
    old = {"s3-memory-pool-flush-time", "s3-memory-pool-use-mmap"}
    assert old == ours - flags_of_rclone
    assert {option.name for option in OPTIONS}.isdisjoint(HARMLESS | HARMLESS_SWITCHES)
