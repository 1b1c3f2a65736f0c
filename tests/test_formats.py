"""docs/formats.md tells the truth: each of its examples is made anew, and read."""

import gzip
import hashlib
import json
import re
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backup_manager.canonical import canonical
from backup_manager.catalog import tar
from backup_manager.catalog.dump_tar import DumpTar
from backup_manager.catalog.formats import read_record, seal
from backup_manager.catalog.gzip_stream import BLOCK_BYTES, LEVEL, gzipped
from backup_manager.catalog.layout import Layout
from backup_manager.catalog.manifest import manifest_line, read_manifest, write_manifest
from backup_manager.database.lease_document import (
    LEASE_SECONDS,
    Row,
    parse_gc_life_time,
    release,
    renew,
)
from backup_manager.database.lease_row import _READ, _SWAP
from backup_manager.database.snapshot import tso_time
from backup_manager.volume.directory import FileState
from backup_manager.volume.journal import Journal
from backup_manager.volume.rows import FileRow
from tests.command import ROOT

TEXT = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
TOP = "backup-2026-11-22T10:00:00Z-1a2b3c4d"
BEGUN = int(datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp())
# Other implementations of zlib make other bytes of the same content.
CLASSIC_ZLIB = "ng" not in zlib.ZLIB_RUNTIME_VERSION
FORMATS = ["files", "archive"]


def blocks() -> dict[str, str]:
    """The examples by the names in the comments before them."""
    found = re.findall(r"<!-- (.+?) -->\n```\w+\n(.*?)```\n", TEXT, flags=re.DOTALL)
    return dict(found)


EXAMPLES = blocks()
FILES = {
    name.removeprefix("file "): text.encode()
    for name, text in EXAMPLES.items()
    if name.startswith("file ")
}


def rows(*, archived: bool) -> list[FileRow]:
    """What a journal has of the files in the document."""
    return [
        FileRow(
            name,
            FileState(1, len(FILES[name]), 1, 1),
            0,
            hashlib.sha256(FILES[name]).hexdigest(),
            None if archived else hashlib.md5(FILES[name], usedforsecurity=False).hexdigest(),
            confirmed=True,
        )
        for name in sorted(FILES, key=str.encode)
    ]


def record(kind: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(EXAMPLES[f"record of {kind}"])
    return fields


def test_every_example_is_looked_at() -> None:
    assert {
        *(f"record of {kind}" for kind in FORMATS),
        *(f"manifest of {kind}" for kind in FORMATS),
        *(f"file {name}" for name in FILES),
        "tar",
        "leases",
    } == EXAMPLES.keys()
    assert 4 == len(FILES)
    assert len(re.findall(r"(?m)^```\w", TEXT)) == len(EXAMPLES) + 1  # and the statements


@pytest.mark.parametrize("kind", FORMATS)
def test_a_record(kind: str) -> None:
    fields = record(kind)
    rest = {name: value for name, value in fields.items() if name != "sha256"}
    assert hashlib.sha256(canonical(rest)).hexdigest() == fields["sha256"]
    assert canonical(fields) == seal(rest)
    read = read_record(canonical(fields))
    assert (len(FILES), sum(map(len, FILES.values()))) == (read.files, read.bytes)
    assert TOP.endswith(read.id[:8])
    assert (kind == "archive") == (read.archive is not None)
    assert tso_time(read.snapshot, datetime(2027, 1, 1, tzinfo=UTC)) == read.snapshot_time
    layout = Layout(f"demo1/{TOP}.tgz" if read.archive else f"demo1/{TOP}")
    assert layout.manifest.endswith(f"/{read.manifest}")


def test_every_field_of_a_record_is_in_the_table() -> None:
    table = TEXT.partition("## Record")[2].partition("<!--")[0]
    told: dict[str, str] = {}
    for names, words in re.findall(r"(?m)^\|([^|]+)\|(.*)\|$", table):
        told |= dict.fromkeys(re.findall(r"`(\w+)`", names), words)
    # Its own hash stands above the table.
    assert record("archive").keys() == told.keys() | {"sha256"}
    for name, value in record("archive").items():
        for field in value if isinstance(value, dict) else ():
            assert f"`{field}`" in told[name]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_manifest(kind: str, tmp_path: Path) -> None:
    archived = kind == "archive"
    lines = EXAMPLES[f"manifest of {kind}"].encode()
    assert b"".join(manifest_line(row) for row in rows(archived=archived)) == lines
    path = tmp_path / "manifest.jsonl.gz"
    written = write_manifest(path, rows(archived=archived))
    assert lines == gzip.decompress(path.read_bytes())
    if CLASSIC_ZLIB:
        assert record(kind)["manifest"]["sha256"] == written.sha256
    fields = record(kind)
    read = read_manifest(path, files=fields["files"], total=fields["bytes"], archived=archived)
    assert [row.name for row in rows(archived=archived)] == [row.name for row in read]


def test_an_archive(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite", create=True)
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
        journal.settle(name, FileState.of((tmp_path / name).lstat()))
    dump = DumpTar(journal, tmp_path, TOP, BEGUN)

    made = b"".join(dump.read(lambda: None))

    assert hashlib.sha256(made).hexdigest() == EXAMPLES["tar"].strip()
    assert f"a tar of {len(made):,} bytes" in TEXT
    assert len(made) == dump.size
    hashes = {row.name: row.sha256 for row in journal.files()}
    assert {row.name: row.sha256 for row in rows(archived=True)} == hashes
    packed = b"".join(gzipped([made], 2))
    told = record("archive")["archive"]
    if CLASSIC_ZLIB:
        assert (told["bytes"], told["sha256"]) == (len(packed), hashlib.sha256(packed).hexdigest())
    assert f"{TOP}.tgz" == told["key"]
    journal.close()


def test_what_is_said_of_the_archive() -> None:
    assert f"blocks of {BLOCK_BYTES >> 10} KiB, each compressed at level {LEVEL}" in TEXT
    assert b"././@PaxHeader" == tar.file_header("ü", 1, 0)[:14]


def test_the_leases() -> None:
    stages = [Row(*stage.split("\n")) for stage in EXAMPLES["leases"].strip("\n").split("\n\n")]
    need = parse_gc_life_time("72h")
    first, second = "1a2b3c4d", "9f8e7d6c"
    made = [Row("10m0s", "Don't touch")]
    made.append(renew(made[-1], first, need=need, now=BEGUN).row)
    made.append(renew(made[-1], second, need=need, now=BEGUN + 60).row)
    made.append(release(made[-1], first, now=BEGUN + 120).row)
    made.append(release(made[-1], second, now=BEGUN + 180).row)
    assert stages == made
    assert f"ends in {LEASE_SECONDS} s" in TEXT


def test_the_statements() -> None:
    told = re.search(r"```sql\n(SELECT .*?;)\n\n(UPDATE .*?;)\n```", TEXT, flags=re.DOTALL)
    assert told
    assert _READ == " ".join(told[1].removesuffix(";").split())
    assert _SWAP.replace("%s", "?") == " ".join(told[2].removesuffix(";").split())
