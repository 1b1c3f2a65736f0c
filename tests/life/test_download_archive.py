"""`download` of an archive: unpacked while it comes, by what its manifest tells of it."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.command import CANARY_PASSWORD, Export
from tests.life.backups import FILES, Shelf, make_backup, members, pack
from tests.life.commands import Life
from tests.life.forging import forge
from tests.life.test_download import BIG, BYTES, MIB, ODD, ORDERS, content, flip, staged
from tests.restore import fetch_archive
from tests.s3_proxy import Answer, S3Proxy, operation
from tests.servers import Ceph, Database, S3Server

Files = Mapping[str, bytes]
LATE = f"bytes={16 * MIB}-"


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    """A directory that is not there yet."""
    return tmp_path / "restored"


@pytest.fixture
def proxy(shelf: Shelf) -> Iterator[S3Proxy]:
    with S3Proxy(shelf.server.http) as running:
        yield running


@pytest.mark.parametrize("server", ["ceph", "rclone", "seaweedfs"])
def test_all_of_it_comes_back(
    request: pytest.FixtureRequest, server: str, unique: str, restored: Path
) -> None:
    store: S3Server = request.getfixturevalue(server)
    store.create_bucket(unique)
    shelf = Shelf(store, unique)
    files = FILES | ODD | {BIG: BYTES, f"x/{'y' * 200}/{'z' * 200}.sql": b"long"}
    name = make_backup(shelf, files=files, name="demo", archived=True)
    said = Life(shelf).run("download", "demo", str(restored)).expect(0)
    assert files == content(restored)
    told = said.summary
    assert (shelf.url(name), "demo", False) == (told["backup"], told["name"], told["resumed"])
    assert (len(files), sum(map(len, files.values()))) == (told["files"], told["bytes"])
    assert [] == list(restored.glob(".backup*"))


def test_what_export_makes(
    tidb: Database, ceph: Ceph, bucket: str, volume: Path, unique: str, tmp_path: Path
) -> None:
    tidb.execute(f"CREATE DATABASE `{unique}`")
    tidb.execute(f"CREATE TABLE `{unique}`.`a/b ü` (id INT PRIMARY KEY, note TEXT)")
    tidb.execute(f"INSERT INTO `{unique}`.`a/b ü` VALUES (1, 'one'), (2, NULL)")
    tidb.create_account(unique, CANARY_PASSWORD)
    rules: dict[str, Any] = {
        "format": "archive",
        "table_filter": [f'"{unique}".*'],
        "provider": "ceph",
    }
    options = ["--output-filename-template={{fn .DB}}/{{fn .Table}}.{{.Index}}"]
    export = Export.of(tidb, ceph, bucket, volume, user=unique, **rules)
    for number, made in enumerate([export, export.but(dumpling_option=options)]):
        key = made.run().expect(0).directory
        expected = fetch_archive(ceph.client(), bucket, key, tmp_path / f"expected{number}")
        life = Life(Shelf(ceph, bucket, prefix=""))
        into = tmp_path / f"restored{number}"
        life.run("download", f"s3://{bucket}/{key}", str(into)).expect(0)
        assert content(expected.files) == content(into)
        assert len(expected.rows) == len(content(into))


def test_again_it_only_proves_what_is_there(
    shelf: Shelf, life: Life, proxy: S3Proxy, restored: Path
) -> None:
    files = FILES | ODD | {BIG: BYTES}
    make_backup(shelf, files=files, archived=True)
    life.run("download", "latest", str(restored)).expect(0)
    there = {path: path.stat().st_ctime_ns for path in restored.rglob("*") if path.is_file()}
    done = life.but(endpoint=proxy.url).run("download", "latest", str(restored)).expect(0)
    assert f"0 fetched, {len(files)} were there" in done.message
    ranges = [request for request in proxy.requests if "range" in request.headers]
    assert [] == ranges
    (restored / ORDERS).unlink()
    (restored / "sub/dir/x.sql").unlink()
    again = life.run("download", "latest", str(restored)).expect(0)
    assert f"2 fetched, {len(files) - 2} were there" in again.message
    assert files == content(restored)
    kept = {path: moment for path, moment in there.items() if path.name not in {ORDERS, "x.sql"}}
    assert kept == {path: path.stat().st_ctime_ns for path in kept}


def test_killed_in_the_middle(shelf: Shelf, life: Life, proxy: S3Proxy, restored: Path) -> None:
    first = {f"shop.a{number}.000000000.sql": os.urandom(1000) for number in range(20)}
    files = FILES | first | {BIG: BYTES}
    make_backup(shelf, files=files, archived=True)
    late = proxy.hold(lambda request: LATE in request.headers.get("range", ""))
    with life.but(endpoint=proxy.url).start("download", "latest", str(restored)) as running:
        running.wait_until(lambda: late.reached.is_set() and staged(restored) > 12 * MIB)
        running.kill()
    proxy.forget()
    kept = {path: path.stat().st_ctime_ns for path in restored.glob("*.sql")}
    assert {*first, "shop-schema-create.sql"} == {path.name for path in kept}
    said = life.run("download", "latest", str(restored)).expect(0)
    assert said.summary["resumed"]
    assert f"{len(FILES)} fetched, {len(first) + 1} were there" in said.message
    assert files == content(restored)
    assert kept == {path: path.stat().st_ctime_ns for path in kept}


Packing = Callable[[Files, str, int], bytes]


def _tar_of(files: Files, top: str, moment: int) -> bytes:
    return b"".join(members(files, top, moment))


def _extra(files: Files, top: str, moment: int) -> bytes:
    """One file more than the manifest has, in an outer directory."""
    return pack(dict(files) | {"../victim": b"x"}, top, moment)


def _larger(files: Files, top: str, moment: int) -> bytes:
    return pack(dict(files) | {ORDERS: files[ORDERS] + b"more"}, top, moment)


def _bomb(files: Files, top: str, moment: int) -> bytes:
    return gzip.compress(_tar_of(files, top, moment)[:-1024] + bytes(64 * MIB), 9)


def _second_member(files: Files, top: str, moment: int) -> bytes:
    return pack(files, top, moment) + pack({"victim": b"x"}, "..", moment)


def _cut(files: Files, top: str, moment: int) -> bytes:
    return pack(files, top, moment)[:-9]


def _links(files: Files, top: str, _moment: int) -> bytes:
    """What a tar can be made to do: a link that leads out, and a file through it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        link = tarfile.TarInfo(f"{top}/{min(files)}")
        link.type, link.linkname = tarfile.SYMTYPE, "/"
        archive.addfile(link)
    return packed.getvalue()


@pytest.mark.parametrize("packing", [_extra, _larger, _bomb, _second_member, _cut, _links])
def test_archives_that_are_not_what_the_manifest_tells(
    shelf: Shelf, life: Life, tmp_path: Path, packing: Packing
) -> None:
    make_backup(shelf, archived=True, packing=packing)
    inner = tmp_path / "a" / "b"
    # As a process: what it holds when it fails goes with it.
    said = life.start("download", "latest", str(inner)).result().expect(8, "VerificationFailed")
    assert "the archive s3://" in said.message
    there = content(tmp_path)
    parts = {name for name in there if ".part" in name}
    assert {f"a/b/{name}": FILES[name] for name in FILES}.items() >= {
        (name, data) for name, data in there.items() if name not in parts
    }


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda shelf, key: shelf.put(key, b"cut"), "bytes"),
        (lambda shelf, key: shelf.put(key, BYTES), "bytes instead of"),
        (flip, "gzip"),
        (lambda shelf, key: shelf.client.delete_object(Bucket=shelf.bucket, Key=key), "missing"),
    ],
    ids=["truncated", "longer", "flipped", "vanished"],
)
def test_what_the_store_holds_otherwise(
    shelf: Shelf,
    life: Life,
    restored: Path,
    damage: Callable[[Shelf, str], object],
    why: str,
) -> None:
    name = make_backup(shelf, archived=True)
    damage(shelf, shelf.key(name))
    said = life.start("download", name, str(restored)).result().expect(8, "VerificationFailed")
    assert why in said.message
    assert {ORDERS, "metadata"}.isdisjoint(content(restored)) or why == "gzip"


def test_packed_anew(shelf: Shelf, life: Life, restored: Path) -> None:
    """The same files in other bytes: somebody has been at it."""

    def anew(files: Files, top: str, moment: int) -> bytes:
        return gzip.compress(_tar_of(files, top, moment))

    name = make_backup(shelf, archived=True)
    other = make_backup(shelf, archived=True, packing=anew)
    life.run("download", other, str(restored)).expect(0)
    facts = {"archive": {"key": name, "bytes": 0, "sha256": "0" * 64}}
    size = shelf.client.head_object(Bucket=shelf.bucket, Key=shelf.key(name))["ContentLength"]
    facts["archive"]["bytes"] = size
    forge(shelf, name, record=facts)
    into = restored.with_name("other")
    said = life.start("download", name, str(into)).result().expect(8)
    assert "its SHA-256 is not the one that the record has" in said.message


def test_a_file_in_it_that_is_another(shelf: Shelf, life: Life, restored: Path) -> None:
    """The archive is the record's, but one file in it is not the manifest's."""

    def other(files: Files, top: str, moment: int) -> bytes:
        return pack(dict(files) | {ORDERS: b"\0" * len(files[ORDERS])}, top, moment)

    make_backup(shelf, archived=True, packing=other)
    said = life.run("download", "latest", str(restored)).expect(8, "VerificationFailed")
    assert f"{ORDERS}: its bytes are not those that were written" in said.message
    assert {name: FILES[name] for name in FILES if name != ORDERS} == content(restored)


def test_a_store_with_bad_days(shelf: Shelf, life: Life, proxy: S3Proxy, restored: Path) -> None:
    files = FILES | {BIG: BYTES}
    make_backup(shelf, files=files, archived=True)
    archive = operation("GetObject", containing=".tgz")

    def ranged(start: int) -> Callable[..., bool]:
        return lambda request: (
            archive(request)
            and request.headers.get("range", "").startswith(f"bytes={start * MIB}-")
        )

    proxy.refuse(ranged(0), times=2)
    proxy.lose(ranged(8), times=2)
    proxy.change(
        ranged(12),
        lambda answer: Answer(answer.status, answer.body[:-1], answer.headers, len(answer.body)),
    )
    life.but(endpoint=proxy.url).run("download", "latest", str(restored)).expect(0)
    assert files == content(restored)


def test_a_part_of_it(shelf: Shelf, life: Life, restored: Path) -> None:
    """What is not wanted is read past, but hashed: the archive has to be the record's."""
    files = FILES | {BIG: BYTES, "stock.items.000000000.sql": b"items"}
    name = make_backup(shelf, files=files, archived=True)
    words = ("--tables=stock.*",)
    life.run("download", name, str(restored), *words).expect(0)
    assert {"metadata", "stock.items.000000000.sql"} == content(restored).keys()
    flip(shelf, shelf.key(name))
    into = str(restored.with_name("other"))
    life.start("download", name, into, *words).result().expect(8)
