"""Reads a backup back as anybody could who knows the contract, and loads it into a database.

Nothing here uses the product's code: what it wrote is held against the contract, not against
itself.
"""

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .servers import Database
from .servers.sql import quoted

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client  # annotations: not installed where tests only run

RECORD = "backup.json"
MANIFEST = "manifest.jsonl.gz"
_THREADS = 8
_BLOCK = 1 << 20


class BackupBrokenError(AssertionError):
    """What the bucket holds is not what the contract promises."""


class LoadError(AssertionError):
    """The database's client refused a file of the dump."""


@dataclass(frozen=True)
class StoredObject:
    """An object under a backup's directory, as the bucket lists it; `name` is relative."""

    name: str
    bytes: int
    etag: str


@dataclass(frozen=True)
class Fetched:
    """A backup that was read back and found whole; `files` is the directory of the dump's files."""

    record: dict[str, Any]
    rows: list[dict[str, Any]]
    files: Path


def listing(client: "S3Client", bucket: str, directory: str) -> list[StoredObject]:
    """The objects under a backup's directory, in the bucket's order."""
    prefix = directory.rstrip("/") + "/"
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [
        StoredObject(each["Key"].removeprefix(prefix), each["Size"], each["ETag"].strip('"'))
        for page in pages
        for each in page.get("Contents", [])
    ]


def backups(client: "S3Client", bucket: str, prefix: str = "") -> list[str]:
    """The directories of the backups under a prefix that have a record, oldest first."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
    return sorted(key.rpartition("/")[0] for key in keys if key.endswith("/" + RECORD))


def fetch_backup(client: "S3Client", bucket: str, directory: str, into: Path) -> Fetched:
    """Check a backup's record, manifest and listing, and fetch its files, hashed on the way.

    `directory` is its key in the bucket; the files come to `into`. Raises BackupBrokenError.
    """
    directory = directory.rstrip("/")
    record = read_record(_get(client, bucket, f"{directory}/{RECORD}"))
    data = _get(client, bucket, f"{directory}/{record['manifest']['key']}")
    _same("manifest's hash", record["manifest"]["sha256"], hashlib.sha256(data).hexdigest())
    rows = read_manifest(data)
    _same("count of files", record["files"], len(rows))
    _same("count of bytes", record["bytes"], sum(row["bytes"] for row in rows))
    objects = {each.name: each for each in listing(client, bucket, directory)}
    own = {record["manifest"]["key"], RECORD}
    _same("objects of the directory", sorted({row["name"] for row in rows} | own), sorted(objects))
    for row in rows:
        found = objects[row["name"]]
        _same(f"size and ETag of {row['name']}", (row["bytes"], row["etag"]), _told(found))

    def fetch(row: dict[str, Any]) -> None:
        target = into / row["name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        body = client.get_object(Bucket=bucket, Key=f"{directory}/{row['name']}")["Body"]
        with target.open("xb") as file:
            for block in body.iter_chunks(_BLOCK):
                digest.update(block)
                file.write(block)
        _same(f"hash of {row['name']}", row["sha256"], digest.hexdigest())

    into.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(fetch, rows))
    return Fetched(record, rows, into)


def fetch_archive(client: "S3Client", bucket: str, key: str, into: Path) -> Fetched:
    """The same for a backup that is one archive: unpacked by tar, then each file is checked.

    `key` is the archive's; its directory comes into `into`. Raises BackupBrokenError.
    """
    record = read_record(_get(client, bucket, f"{key}.{RECORD}"))
    name = key.rpartition("/")[2]
    own = [name, f"{name}.{RECORD}", f"{name}.{MANIFEST}"]
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    found = [each["Key"].rpartition("/")[2] for page in pages for each in page["Contents"]]
    _same("objects of the archive", own, found)
    _same(
        "names in the record",
        [own[0], own[2]],
        [record["archive"]["key"], record["manifest"]["key"]],
    )
    data = _get(client, bucket, f"{key}.{MANIFEST}")
    _same("manifest's hash", record["manifest"]["sha256"], hashlib.sha256(data).hexdigest())
    rows = read_manifest(data)
    _same("count of files", record["files"], len(rows))
    _same("count of bytes", record["bytes"], sum(row["bytes"] for row in rows))
    into.mkdir(parents=True, exist_ok=True)
    archive = into / name
    client.download_file(bucket, key, str(archive))
    _same("bytes of the archive", record["archive"]["bytes"], archive.stat().st_size)
    _same("hash of the archive", record["archive"]["sha256"], _sha256(archive))
    # What is before a colon and no path is another machine to GNU tar.
    subprocess.run(["tar", "xzf", f"./{name}"], cwd=into, check=True)
    files = into / name.removesuffix(".tgz")
    _same("what was unpacked", {name, files.name}, {path.name for path in into.iterdir()})
    unpacked = {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}
    _same("files of the archive", {row["name"] for row in rows}, unpacked)
    for row in rows:
        path = files / row["name"]
        _same(f"bytes of {row['name']}", (row["bytes"], None), (path.stat().st_size, row["etag"]))
        _same(f"hash of {row['name']}", row["sha256"], _sha256(path))
    return Fetched(record, rows, files)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_record(data: bytes) -> dict[str, Any]:
    """The record, its own hash and its canonical form checked."""
    record: dict[str, Any] = json.loads(data)
    _same("record's canonical form", canonical(record), data)
    rest = {key: value for key, value in record.items() if key != "sha256"}
    _same("record's own hash", record.get("sha256"), hashlib.sha256(canonical(rest)).hexdigest())
    return record


def read_manifest(data: bytes) -> list[dict[str, Any]]:
    """The manifest's rows, their order checked."""
    rows = [json.loads(line) for line in gzip.decompress(data).splitlines()]
    names = [row["name"].encode() for row in rows]
    _same("manifest's order", sorted(set(names)), names)
    return rows


def canonical(value: object) -> bytes:
    """Canonical JSON as the contract has it."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode()


def _get(client: "S3Client", bucket: str, key: str) -> bytes:
    return client.get_object(Bucket=bucket, Key=key)["Body"].read()


def _told(found: StoredObject) -> tuple[int, str]:
    return found.bytes, found.etag


def _same(what: str, expected: object, actual: object) -> None:
    if expected != actual:
        raise BackupBrokenError(f"{what}: expected {expected!r}, found {actual!r}")


@dataclass(frozen=True, order=True)
class DumpFile:
    """A file of a dump: its `step` in the order of loading, the database it goes into, its path."""

    step: int
    database: str
    path: Path


# What is loaded before what. A view may read from every table; a table may default to a sequence.
_PLACEMENT, _DATABASE, _SEQUENCE, _TABLE, DATA, _VIEW = range(6)
# A dot within a name is written %2E, so the dots that are left part the name.
_FORMS = (
    (_PLACEMENT, re.compile(r"[^.]+-placement-policy-create")),
    (_DATABASE, re.compile(r"[^.]+-schema-create")),
    (_SEQUENCE, re.compile(r"(?P<db>[^.]+)\.[^.]+-schema-sequence")),
    (_VIEW, re.compile(r"(?P<db>[^.]+)\.[^.]+-schema-view")),
    (_TABLE, re.compile(r"(?P<db>[^.]+)\.[^.]+-schema")),
    (DATA, re.compile(r"(?P<db>[^.]+)\.[^.]+\.\d+")),
)


def dump_files(directory: Path) -> list[DumpFile]:
    """The SQL files of a dump in the order in which they are loaded."""
    paths = [path for path in directory.rglob("*") if path.name.endswith((".sql", ".sql.gz"))]
    return sorted(_classify(path) for path in paths)


def _classify(path: Path) -> DumpFile:
    name = path.name.removesuffix(".gz").removesuffix(".sql")
    for step, form in _FORMS:
        if match := form.fullmatch(name):
            return DumpFile(step, unescaped(match.groupdict().get("db") or ""), path)
    raise LoadError(f"not the name of a dump's file: {path.name}")


def unescaped(name: str) -> str:
    """A name as the database has it: in file names %XX stands for what a path cannot hold."""
    return re.sub("%([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), name)


# Strict, so that a value that does not fit is an error, and no other value.
_SETTINGS = b"SET FOREIGN_KEY_CHECKS=0, SQL_MODE='STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO';\n"


def load(server: Database, directory: Path, *, clients: int = 4) -> None:
    """Load a dump with the server's own client: schemas, then data by several at once, then views.

    Raises LoadError with the client's words.
    """
    files = dump_files(directory)
    _feed(server, [file for file in files if file.step < DATA])
    data = [file for file in files if file.step == DATA]
    # Neighbours go to different clients, so that a big table is not one client's alone.
    shares = [share for number in range(clients) if (share := data[number::clients])]
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda share: _feed(server, share), shares))
    _feed(server, [file for file in files if file.step > DATA])


def _feed(server: Database, files: Iterable[DumpFile]) -> None:
    with tempfile.TemporaryFile() as errors:
        client = subprocess.Popen(
            server.client_argv(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors
        )
        assert client.stdin is not None
        at = None
        try:
            with client.stdin as pipe:
                pipe.write(_SETTINGS)
                for file in files:
                    at = file.path.name
                    # Each file names its own character set; the database's name is in UTF-8.
                    pipe.write(b"SET NAMES utf8mb4;\n")
                    if file.database:
                        pipe.write(f"USE {quoted(file.database)};\n".encode())
                    with _opened(file.path) as source:
                        shutil.copyfileobj(source, pipe, _BLOCK)
                    pipe.write(b"\n")
        except BrokenPipeError:
            pass  # the client has ended, and says why
        finally:
            code = client.wait()
        if code != 0:
            errors.seek(0)
            words = errors.read().decode("utf-8", "replace").strip()
            raise LoadError(f"the client ended with {code} at or before {at}: {words[:1000]}")


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
