"""The commit record: how it is sealed, and how one that comes from a bucket is read.

What is read is believed in nothing: it has bounds in size and depth, its hash must fit, and each
field that is used has its type.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backup_manager.canonical import canonical, decode, read_timestamp
from backup_manager.errors import UsageError

FORMAT = 1
RECORD = "backup.json"
MANIFEST = "manifest.jsonl.gz"
# There while a backup is being removed, from before its record goes till all else is gone.
TOMBSTONE = f"{RECORD}.deleted"
# Options have 2 MiB of a command line at most; the rest is for warnings.
RECORD_BYTES = 4 << 20
_MOST = 1 << 63
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RUN_ID = re.compile(r"[0-9a-f]{32}")


class LaterFormatError(UsageError, ValueError):
    """A record of a later version of this program; what it says is not known here."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"the record has format {number}, and this version reads up to {FORMAT}",
            fix="use the version of backup-manager that made the backup, or a later one",
        )


@dataclass(frozen=True)
class ArchiveFacts:
    """What a record says of its archive; ``key`` is relative to the record."""

    key: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Record:
    """A commit record, each field of the type that it must have; times are in UTC."""

    id: str
    name: str | None
    schedule: str | None
    started: datetime
    finished: datetime
    snapshot: str
    snapshot_time: datetime | None
    source_host: str
    source_port: int
    source_version: str
    dumpling_version: str
    dumpling_options: tuple[str, ...]
    files: int
    bytes: int
    manifest: str
    manifest_sha256: str
    tool_name: str
    tool_version: str
    warnings: tuple[str, ...]
    sha256: str
    archive: ArchiveFacts | None = None


def seal(record: dict[str, Any]) -> bytes:
    """Return the record's bytes, with the hash of all the rest in its field ``sha256``."""
    digest = hashlib.sha256(canonical(record)).hexdigest()
    return canonical({**record, "sha256": digest})


def open_record(data: bytes) -> dict[str, Any]:
    """Read a record's bytes; raise ValueError where they are no record or its hash does not fit.

    The fields are as they were written, of whatever type: see `read_record`. Raises
    LaterFormatError, which is a ValueError too, for a format of a later version.
    """
    if len(data) > RECORD_BYTES:
        raise ValueError(f"it has more than {RECORD_BYTES} bytes")
    try:
        record = decode(data.decode())
        if not isinstance(record, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 - all that is wrong here is a value
        number = record.get("format")
        # Before its hash, which may be made in another way there.
        if type(number) is int and number > FORMAT:
            raise LaterFormatError(number)
        digest = record.pop("sha256", None)
        if digest != hashlib.sha256(canonical(record)).hexdigest():
            raise ValueError("its hash does not fit")
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return {**record, "sha256": digest}


def read_record(data: bytes) -> Record:
    """Read a record's bytes, each field checked; raises as `open_record`."""
    fields = _Fields(open_record(data), "")
    if fields.integer("format") != FORMAT:
        raise ValueError("its format is none that there has been")
    snapshot, source = fields.inner("snapshot"), fields.inner("source")
    dumpling, manifest, tool = (fields.inner(key) for key in ("dumpling", "manifest", "tool"))
    return Record(
        id=fields.matching("id", _RUN_ID),
        name=fields.text_or_none("name"),
        schedule=fields.text_or_none("schedule"),
        started=fields.moment("started"),
        finished=fields.moment("finished"),
        snapshot=snapshot.text("tso"),
        snapshot_time=None if snapshot.is_null("time") else snapshot.moment("time"),
        source_host=source.text("host"),
        source_port=source.integer("port"),
        source_version=source.text("version"),
        dumpling_version=dumpling.text("version"),
        dumpling_options=dumpling.texts("options"),
        files=fields.integer("files"),
        bytes=fields.integer("bytes"),
        manifest=manifest.file_name("key"),
        manifest_sha256=manifest.matching("sha256", _SHA256),
        tool_name=tool.text("name"),
        tool_version=tool.text("version"),
        warnings=fields.texts("warnings"),
        sha256=fields.text("sha256"),
        archive=_archive(fields),
    )


def _archive(fields: "_Fields") -> ArchiveFacts | None:
    """Read what only the record of an archive has."""
    if not fields.has("archive"):
        return None
    archive = fields.inner("archive")
    return ArchiveFacts(
        key=archive.file_name("key"),
        bytes=archive.integer("bytes"),
        sha256=archive.matching("sha256", _SHA256),
    )


class _Fields:
    """An object of the record, asked for one field at a time; a wrong one is a ValueError."""

    def __init__(self, fields: dict[str, Any], path: str) -> None:
        self._fields = fields
        self._path = path

    def _wrong(self, key: str, what: str) -> ValueError:
        return ValueError(f"its {self._path}{key} is no {what}")

    def inner(self, key: str) -> "_Fields":
        value = self._fields.get(key)
        if not isinstance(value, dict):
            raise self._wrong(key, "object")
        return _Fields(value, f"{self._path}{key}.")

    def has(self, key: str) -> bool:
        return key in self._fields

    def is_null(self, key: str) -> bool:
        return key in self._fields and self._fields[key] is None

    def text(self, key: str) -> str:
        value = self._fields.get(key)
        if not isinstance(value, str):
            raise self._wrong(key, "text")
        return value

    def text_or_none(self, key: str) -> str | None:
        return None if self.is_null(key) else self.text(key)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._fields.get(key)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self._wrong(key, "list of texts")
        return tuple(value)

    def integer(self, key: str) -> int:
        value = self._fields.get(key)
        if type(value) is not int or not 0 <= value < _MOST:
            raise self._wrong(key, "number from 0 to 2^63 - 1")
        return value

    def matching(self, key: str, pattern: re.Pattern[str]) -> str:
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise self._wrong(key, "lower-case hex of the right length")
        return value

    def moment(self, key: str) -> datetime:
        value = self.text(key)
        moment = read_timestamp(value)
        if moment is None:
            raise self._wrong(key, "time such as 2026-11-22T10:00:00Z")
        return moment

    def file_name(self, key: str) -> str:
        value = self.text(key)
        if value in {"", ".", ".."} or "/" in value or "\0" in value:
            raise self._wrong(key, "name of a file")
        return value
