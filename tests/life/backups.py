"""Backups made without an export: the objects, the manifest and the record, as export writes them.

    name = make_backup(Shelf(ceph, bucket), started=HOUR, files={"shop.orders.sql": b"…"})

Only what `tests/restore.py` checks of a real one is in them; the bytes of the files are anything.
"""

import functools
import hashlib
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backup_manager.canonical import timestamp
from backup_manager.catalog import tar
from backup_manager.catalog.formats import FORMAT, seal
from backup_manager.catalog.gzip_stream import gzipped
from backup_manager.catalog.layout import Layout, relative
from backup_manager.catalog.manifest import write_manifest
from backup_manager.volume.directory import FileState
from backup_manager.volume.rows import FileRow
from tests.servers import S3Server

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client  # annotations: not installed where tests only run

FILES = {
    "metadata": b"Started dump at: 2026-11-22 10:00:00\n",
    "shop-schema-create.sql": b"CREATE DATABASE `shop`;\n",
    "shop.orders-schema.sql": b"CREATE TABLE `orders` (`id` int);\n",
    "shop.orders.000000000.sql": b"INSERT INTO `orders` VALUES (1),(2);\n",
}


@dataclass(frozen=True)
class Shelf:
    """Where backups are put: a bucket of a server, and the prefix in it."""

    server: S3Server
    bucket: str
    prefix: str = "nightly"

    @property
    def client(self) -> "S3Client":
        return _client(self.server)

    def key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def url(self, name: str) -> str:
        return f"s3://{self.bucket}/{self.key(name)}"

    def put(self, key: str, data: bytes, **more: Any) -> str:
        """Put an object; return its ETag."""
        answer = self.client.put_object(Bucket=self.bucket, Key=key, Body=data, **more)
        return answer["ETag"].strip('"')

    def keys(self) -> list[str]:
        """All keys of the bucket, relative to the prefix where they lie under it."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [key.removeprefix(f"{self.prefix}/") if self.prefix else key for key in keys]

    def names(self) -> set[str]:
        """What lies directly under the prefix: the first part of each key."""
        return {key.partition("/")[0] for key in self.keys()}

    def begin_upload(self, key: str, part: bytes = b"") -> str:
        """Begin a multipart upload, with a part if there are bytes for it; return its id."""
        bucket = self.bucket
        upload = self.client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        if part:
            self.client.upload_part(
                Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=part
            )
        return upload

    def uploads(self) -> list[str]:
        """The keys of the open multipart uploads."""
        answer = self.client.list_multipart_uploads(Bucket=self.bucket)
        return [upload["Key"] for upload in answer.get("Uploads", [])]


@functools.cache
def _client(server: S3Server) -> "S3Client":
    return server.client()


def ago(**span: float) -> datetime:
    """A moment so long ago (`timedelta`'s words), in whole seconds."""
    return (datetime.now(UTC) - timedelta(**span)).replace(microsecond=0)


@dataclass(frozen=True)
class Made:
    """A backup that is about to be put: its name, and what its record will say."""

    started: datetime
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    archived: bool = False

    @property
    def name(self) -> str:
        return f"backup-{timestamp(self.started)}-{self.id[:8]}{'.tgz' * self.archived}"


def make_backup(
    shelf: Shelf,
    *,
    started: datetime | None = None,
    name: str | None = None,
    schedule: str | None = None,
    files: Mapping[str, bytes] = FILES,
    archived: bool = False,
    record: Mapping[str, Any] | None = None,
    packing: Callable[[Mapping[str, bytes], str, int], bytes] | None = None,
    **put: Any,
) -> str:
    """Put a whole backup; return the name of its directory or archive.

    `name` and `schedule` are the record's; `record` replaces other fields of it. `packing` makes
    the archive, as `pack` does. `put` goes with each PutObject. It may carry ObjectLockMode and the
    like.
    """
    made = Made(started or ago(hours=1), archived=archived)
    layout = Layout(shelf.key(made.name))
    etags: dict[str, str | None] = dict.fromkeys(files)
    archive: dict[str, Any] = {}
    if archived:
        moment = int(made.started.timestamp())
        packed = (packing or pack)(files, made.name.removesuffix(".tgz"), moment)
        shelf.put(layout.root, packed, **put)
        sha256 = hashlib.sha256(packed).hexdigest()
        archive = {"key": relative(layout.root), "bytes": len(packed), "sha256": sha256}
    else:
        etags = {each: shelf.put(layout.key(each), data, **put) for each, data in files.items()}
    manifest = manifest_of(files, etags)
    shelf.put(layout.manifest, manifest, **put)
    fields: dict[str, Any] = {
        "format": FORMAT,
        "id": made.id,
        "name": name,
        "schedule": schedule,
        "started": timestamp(made.started),
        "finished": timestamp(made.started + timedelta(minutes=1)),
        "snapshot": {"tso": "429000000000000000", "time": timestamp(made.started)},
        "source": {"host": "tidb.test1", "port": 4000, "version": "8.0.11-TiDB-v8.5.0"},
        "dumpling": {"version": "v8.5.0", "options": ["--threads=16"]},
        "files": len(files),
        "bytes": sum(len(data) for data in files.values()),
        "manifest": {
            "key": relative(layout.manifest),
            "sha256": hashlib.sha256(manifest).hexdigest(),
        },
        "tool": {"name": "backup-manager", "version": "0.1.0"},
        "warnings": [],
    }
    if archive:
        fields["archive"] = archive
    shelf.put(layout.record, seal(fields | dict(record or {})), **put)
    return made.name


def make_incomplete(
    shelf: Shelf, *, started: datetime | None = None, archived: bool = False
) -> str:
    """Put a backup that has no record; return its name."""
    made = Made(started or ago(hours=1), archived=archived)
    layout = Layout(shelf.key(made.name))
    if archived:
        shelf.put(layout.root, b"the archive")
    else:
        for name, data in FILES.items():
            shelf.put(layout.key(name), data)
    return made.name


def make_of_operator(shelf: Shelf, *, started: datetime | None = None) -> str:
    """Put an archive as TiDB Operator's own manager leaves it; return its name."""
    name = f"backup-{timestamp(started or ago(hours=1))}.tgz"
    shelf.put(shelf.key(name), pack(FILES, name.removesuffix(".tgz"), 0))
    return name


def pack(files: Mapping[str, bytes], top: str, moment: int) -> bytes:
    """A .tgz of the files under one directory, as export makes it."""
    return b"".join(gzipped(members(files, top, moment), 1))


def members(files: Mapping[str, bytes], top: str, moment: int) -> Iterator[bytes]:
    """The tar in it: by name, `metadata` last; all entries are of this moment."""
    before = ""
    for each in sorted(files, key=lambda name: (name == "metadata", name.encode())):
        name = f"{top}/{each}"
        for directory in tar.new_directories(name, before):
            yield tar.directory_header(directory, moment)
        yield tar.file_header(name, len(files[each]), moment)
        yield files[each] + tar.padding(len(files[each]))
        before = name
    yield tar.END


def manifest_of(files: Mapping[str, bytes], etags: Mapping[str, str | None]) -> bytes:
    """The manifest of these files, whose ETags are None in an archive."""
    rows = [
        FileRow(
            name,
            FileState(0, len(files[name]), 0, 0),
            0,
            hashlib.sha256(files[name]).hexdigest(),
            etags[name],
            confirmed=True,
        )
        for name in sorted(files, key=str.encode)
    ]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "manifest"
        write_manifest(path, rows)
        return path.read_bytes()
