"""The formats in the store, as the contract has them: the commit record and the manifest."""

import gzip
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backup_manager.canonical import canonical
from backup_manager.volume.rows import FileRow

FORMAT = 1
RECORD = "backup.json"
MANIFEST = "manifest.jsonl.gz"


def seal(record: dict[str, Any]) -> bytes:
    """Return the record's bytes, with the hash of all the rest in its field ``sha256``."""
    digest = hashlib.sha256(canonical(record)).hexdigest()
    return canonical({**record, "sha256": digest})


def open_record(data: bytes) -> dict[str, Any]:
    """Read a record's bytes; raise ValueError where they are no record or its hash does not fit."""
    record = json.loads(data)
    if not isinstance(record, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - all that is wrong here is a value
    digest = record.pop("sha256", None)
    if digest != hashlib.sha256(canonical(record)).hexdigest():
        raise ValueError("its hash does not fit")
    return {**record, "sha256": digest}


def manifest_line(row: FileRow) -> bytes:
    """Return the manifest's line for a confirmed file."""
    size = row.state.bytes if row.state else 0
    line = {"name": row.name, "bytes": size, "sha256": row.sha256, "etag": row.etag}
    return canonical(line) + b"\n"


def write_manifest(path: Path, rows: Iterable[FileRow]) -> None:
    """Write the manifest of rows that come sorted by name; the same rows give the same bytes."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
    ):
        for row in rows:
            packed.write(manifest_line(row))
