"""The names of backups: what is one, and how a person may write which one is meant."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backup_manager.canonical import read_timestamp
from backup_manager.catalog.layout import ARCHIVE_SUFFIX
from backup_manager.errors import UsageError

LATEST = "latest"
PREFIX = "backup-"
_NAME = re.compile(
    r"backup-(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)"
    r"(?:-(?P<id>[0-9a-f]{8}))?(?P<archive>\.tgz)?"
)
_URL = re.compile(r"s3://(?P<bucket>[^/]+)/(?:(?P<prefix>.*)/)?(?P<name>[^/]+)/?", re.DOTALL)


@dataclass(frozen=True, order=True)
class Name:
    """The name of a backup's directory or archive; ``started`` in UTC.

    ``short_id`` is empty for an archive of TiDB Operator's own manager.
    """

    started: datetime
    text: str
    short_id: str
    archived: bool

    @property
    def operators(self) -> bool:
        return not self.short_id


def parse_name(text: str) -> Name | None:
    """Read the name of a directory or an archive; None where it is that of no backup."""
    match = _NAME.fullmatch(text)
    # Without an id it is the operator's, which makes archives only.
    if not match or not (match["id"] or match["archive"]):
        return None
    started = read_timestamp(match["time"])
    if started is None:
        return None
    return Name(started, text, match["id"] or "", bool(match["archive"]))


def name_in(address: str) -> Name | None:
    """Read the name at the end of an address s3://BUCKET/...; None for all that is none."""
    match = _URL.fullmatch(address)
    return parse_name(match["name"]) if match else None


def own_name(key: str) -> str:
    """Return the name of the backup that the last part of a key belongs to, an archive's too."""
    last = key.rstrip("/").rpartition("/")[2]
    stem, suffix, _ = last.partition(ARCHIVE_SUFFIX)
    return stem + suffix


def place_of(backup: str, flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags with bucket and prefix of an s3:// address; others as they are.

    Raises UsageError where flags and address contradict each other, or it is no address.
    """
    if not backup.startswith("s3://"):
        return flags
    match = _URL.fullmatch(backup)
    if not match:
        raise UsageError(
            f"{backup} is no address of a backup",
            fix="give s3://BUCKET/PREFIX/backup-..., as the summary of export names it",
        )
    said = {"bucket": match["bucket"], "prefix": match["prefix"] or "/"}
    for name, value in said.items():
        given = flags.get(name)
        if given and given.strip("/") != value.strip("/"):
            raise UsageError(
                f"--{name}={given} and {backup} contradict each other",
                fix=f"leave --{name} away: the address says it",
            )
    return flags | said
