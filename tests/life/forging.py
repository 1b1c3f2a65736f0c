"""Backups that lie: records that fit manifests which no export would write."""

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from backup_manager.catalog.formats import seal
from backup_manager.catalog.layout import Layout
from tests.life.backups import Shelf

Line = dict[str, Any]


def line(name: object, data: bytes = b"x", **more: object) -> Line:
    """A line of a manifest for a file with these bytes."""
    digest = hashlib.sha256(data).hexdigest()
    return {"name": name, "bytes": len(data), "sha256": digest, "etag": "e" * 32} | more


def forge(
    shelf: Shelf,
    name: str,
    lines: Callable[[list[Line]], list[Line]] = lambda lines: lines,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Put another manifest for a backup, and a record that names it; `record` replaces fields."""
    layout = Layout(shelf.key(name))
    told = json.loads(_read(shelf, layout.record))
    before = gzip.decompress(_read(shelf, layout.manifest)).decode().splitlines()
    rows = sorted(lines([json.loads(each) for each in before]), key=lambda row: str(row["name"]))
    text = "".join(json.dumps(row) + "\n" for row in rows)
    manifest = gzip.compress(text.encode(), mtime=0)
    shelf.put(layout.manifest, manifest)
    del told["sha256"]
    told["manifest"]["sha256"] = hashlib.sha256(manifest).hexdigest()
    # What is no sum that a record may have is left to the manifest's own check.
    total = sum(row["bytes"] for row in rows if 0 <= row["bytes"] < 1 << 62)
    told |= {"files": len(rows), "bytes": total}
    shelf.put(layout.record, seal(told | dict(record or {})))


def _read(shelf: Shelf, key: str) -> bytes:
    body = shelf.client.get_object(Bucket=shelf.bucket, Key=key)["Body"]
    return bytes(body.read())
