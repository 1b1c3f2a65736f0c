"""`download`: a backup comes back whole and nothing else is touched, whatever happens meanwhile."""

import os
import re
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backup_manager.volume.directory import FileState
from tests import disks
from tests.life.backups import (
    FILES,
    Shelf,
    ago,
    make_backup,
    make_incomplete,
    make_of_operator,
)
from tests.life.commands import Life
from tests.life.forging import forge, line
from tests.s3_proxy import Answer, Request, S3Proxy
from tests.servers import S3Server

MIB = 1 << 20
ORDERS = "shop.orders.000000000.sql"
BIG = "shop.big.000000000.sql"
# Five ranges and a bit, of which no two are the same.
BYTES = os.urandom(21 * MIB + 5)
# What Dumpling makes of names, and what a template for file names may.
ODD = {
    "shop.a b'c\"%2E ü.000000000.sql": b"odd",
    "shop.漢字-schema.sql": b"CREATE TABLE",
    "shop.none.000000000.sql": b"",
    "sub-dir/x.sql": b"beside",
    "sub/dir/x.sql": b"below",
    "sub/x.sql": b"above",
}


def content(directory: Path) -> dict[str, bytes]:
    """All files below a directory by their names relative to it; directories have a slash."""
    found = {}
    for path in directory.rglob("*"):
        name = str(path.relative_to(directory))
        if path.is_symlink() or not path.is_dir():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[f"{name}/"] = b""
    return found


def data_reads(proxy: S3Proxy, name: str = BIG) -> list[tuple[int, int]]:
    """First byte and count of each range that was asked for of a file."""
    found = []
    for request in list(proxy.requests):
        if request.operation == "GetObject" and request.target.endswith(name):
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["range"])
            assert match
            found.append((int(match[1]), int(match[2]) - int(match[1]) + 1))
    return found


def of_file(name: str) -> Callable[[Request], bool]:
    return lambda request: request.operation == "GetObject" and name in request.target


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
    files = FILES | ODD | {BIG: BYTES}
    name = make_backup(Shelf(store, unique), files=files, name="demo")
    said = Life(Shelf(store, unique)).run("download", "latest", str(restored)).expect(0)
    assert files == content(restored)
    told = said.summary
    total = sum(map(len, files.values()))
    assert (f"s3://{unique}/nightly/{name}", "demo") == (told["backup"], told["name"])
    assert (len(files), total, False) == (told["files"], told["bytes"], told["resumed"])
    assert told["snapshot"]["tso"] == "429000000000000000"
    assert f"{len(files)} fetched, 0 were there" in said.message
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in (restored / BIG, restored / "sub")}
    assert {0o600, 0o700} == modes


def test_again_it_only_proves_what_is_there(
    shelf: Shelf, life: Life, proxy: S3Proxy, restored: Path
) -> None:
    make_backup(shelf, files=FILES | ODD | {BIG: BYTES})
    life.run("download", "latest", str(restored)).expect(0)
    (restored / ORDERS).unlink()
    (restored / "sub/dir/x.sql").unlink()
    (restored / "sub/dir").rmdir()
    there = {path: path.stat().st_ctime_ns for path in restored.rglob("*") if path.is_file()}
    again = life.but(endpoint=proxy.url).run("download", "latest", str(restored)).expect(0)
    assert "2 fetched, 9 were there" in again.message
    assert again.summary["resumed"]
    assert (FILES | ODD | {BIG: BYTES}) == content(restored)
    assert there == {path: path.stat().st_ctime_ns for path in there}
    assert [] == data_reads(proxy)
    done = life.run("download", "latest", str(restored)).expect(0)
    assert "0 fetched, 11 were there" in done.message


def staged(restored: Path) -> int:
    """The most bytes of a file under way."""
    parts = restored.glob(".backup-*.part/*")
    return max((path.stat().st_size for path in parts if path.name != "lock"), default=0)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_interrupted_it_costs_little(
    shelf: Shelf, life: Life, proxy: S3Proxy, restored: Path, how: signal.Signals
) -> None:
    make_backup(shelf, files=FILES | {BIG: BYTES})
    late = proxy.hold(lambda request: f"bytes={16 * MIB}-" in request.headers.get("range", ""))
    with life.but(endpoint=proxy.url).start("download", "latest", str(restored)) as running:
        running.wait_until(lambda: late.reached.is_set() and staged(restored) == 16 * MIB)
        if how == signal.SIGKILL:
            running.kill()
        else:
            running.signal(how)
            said = running.result().expect(128 + how)
            assert said.seconds < 15
    proxy.forget()
    assert not (restored / BIG).exists()
    proxy.requests.clear()
    said = life.but(endpoint=proxy.url).run("download", "latest", str(restored)).expect(0)
    assert said.summary["resumed"]
    assert (FILES | {BIG: BYTES}) == content(restored)
    assert [(16 * MIB, 4 * MIB), (20 * MIB, MIB + 5)] == sorted(data_reads(proxy))


@pytest.mark.parametrize("spoilt", [b"\0" * (9 * MIB), BYTES + b"more", b"x" * len(BYTES)])
def test_a_beginning_that_a_crash_has_spoilt_is_fetched_anew(
    shelf: Shelf, life: Life, proxy: S3Proxy, restored: Path, spoilt: bytes
) -> None:
    make_backup(shelf, files=FILES | {BIG: BYTES})
    late = proxy.hold(lambda request: f"bytes={16 * MIB}-" in request.headers.get("range", ""))
    with life.but(endpoint=proxy.url).start("download", "latest", str(restored)) as running:
        running.wait_until(lambda: late.reached.is_set() and staged(restored) == 16 * MIB)
        running.kill()
    proxy.forget()
    (part,) = [one for one in restored.glob(".backup-*.part/*") if one.stat().st_size > MIB]
    part.write_bytes(spoilt)
    life.run("download", "latest", str(restored)).expect(0)
    assert (FILES | {BIG: BYTES}) == content(restored)


def flip(shelf: Shelf, key: str) -> None:
    """Change the last byte of an object."""
    data = shelf.client.get_object(Bucket=shelf.bucket, Key=key)["Body"].read()
    shelf.put(key, data[:-1] + bytes([data[-1] ^ 1]))


Damage = Callable[[Shelf, str], object]


@pytest.mark.parametrize("file", [ORDERS, BIG])
@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (flip, "other SHA-256"),
        (lambda shelf, key: shelf.put(key, b"cut"), "bytes"),
        (lambda shelf, key: shelf.put(key, b""), "bytes"),
        (lambda shelf, key: shelf.put(key, BYTES + FILES[ORDERS]), "bytes instead of"),
        (
            lambda shelf, key: shelf.client.delete_object(Bucket=shelf.bucket, Key=key),
            "it is missing",
        ),
    ],
    ids=["flipped", "truncated", "empty", "longer", "vanished"],
)
def test_what_the_store_holds_otherwise_is_named(
    shelf: Shelf, life: Life, restored: Path, file: str, damage: Damage, why: str
) -> None:
    files = FILES | {BIG: BYTES}
    name = make_backup(shelf, files=files)
    damage(shelf, shelf.key(f"{name}/{file}"))
    said = life.run("download", name, str(restored)).expect(8, "VerificationFailed")
    assert f"{file}: " in said.message
    assert why in said.message
    assert [file] == [event["file"] for event in said.events("damaged") if "file" in event]
    # The others are there, and nothing of this one.
    assert {each: data for each, data in files.items() if each != file} == content(restored)
    shelf.put(shelf.key(f"{name}/{file}"), files[file])
    life.run("download", name, str(restored)).expect(0)
    assert files == content(restored)


def test_many_that_are_damaged(shelf: Shelf, life: Life, restored: Path) -> None:
    lost = {f"shop.t{number}.000000000.sql": b"x" for number in range(9)}
    name = make_backup(shelf, files=FILES | lost)
    for each in lost:
        flip(shelf, shelf.key(f"{name}/{each}"))
    said = life.run("download", name, str(restored)).expect(8)
    assert "9 of its files do not fit" in said.message
    assert "and 4 more" in said.message
    assert FILES == content(restored)


def test_a_store_with_bad_days(shelf: Shelf, life: Life, proxy: S3Proxy, restored: Path) -> None:
    make_backup(shelf, files=FILES | ODD | {BIG: BYTES})
    proxy.refuse(of_file(ORDERS), times=2)
    proxy.refuse(of_file(BIG), times=2, status=500, code="InternalError")
    proxy.lose(of_file(BIG), times=2)
    proxy.change(
        of_file(BIG),
        lambda answer: Answer(answer.status, answer.body[:-1], answer.headers, len(answer.body)),
    )
    life.but(endpoint=proxy.url).run("download", "latest", str(restored)).expect(0)
    assert (FILES | ODD | {BIG: BYTES}) == content(restored)


def test_a_store_that_has_gone(shelf: Shelf, life: Life, proxy: S3Proxy, restored: Path) -> None:
    make_backup(shelf, files=FILES | {BIG: BYTES})
    proxy.refuse(of_file(BIG), times=1000, status=403, code="AccessDenied")
    said = life.but(endpoint=proxy.url).start("download", "latest", str(restored)).result()
    said.expect(7)
    assert "s3:GetObject" in said.message
    proxy.forget()
    life.but(endpoint=proxy.url).run("download", "latest", str(restored)).expect(0)
    assert (FILES | {BIG: BYTES}) == content(restored)


# What the directory holds --------------------------------------------------------------------


def a_file(there: Path) -> None:
    (there / "notes.txt").write_bytes(b"mine")


def a_directory(there: Path) -> None:
    (there / "lost+found").mkdir()


def another_size(there: Path) -> None:
    (there / ORDERS).write_bytes(b"mine")


def other_bytes(there: Path) -> None:
    (there / ORDERS).write_bytes(b"\0" * len(FILES[ORDERS]))


def a_directory_for_a_file(there: Path) -> None:
    (there / ORDERS).mkdir()


def a_file_for_a_directory(there: Path) -> None:
    (there / "sub").write_bytes(b"mine")


def a_pipe(there: Path) -> None:
    os.mkfifo(there / ORDERS)


def a_download_of_another(there: Path) -> None:
    (there / ".backup-2026-11-22T100000Z-1a2b3c4d.part").mkdir()


@pytest.mark.parametrize(
    ("put", "named"),
    [
        (a_file, "/notes.txt is not"),
        (a_directory, "/lost+found is not"),
        (another_size, f"/{ORDERS} is not of this download: it has 4 bytes instead of 37"),
        (other_bytes, f"{ORDERS}: it has other bytes"),
        (a_directory_for_a_file, f"/{ORDERS} is not of this download: it is no regular file"),
        (a_file_for_a_directory, "/sub is not of this download: it is no directory"),
        (a_pipe, f"/{ORDERS} is not of this download: it is no regular file"),
        (a_download_of_another, "a download of backup-2026-11-22T100000Z-1a2b3c4d was begun there"),
    ],
)
def test_what_is_not_of_the_backup_is_left_alone(
    shelf: Shelf, life: Life, restored: Path, put: Callable[[Path], object], named: str
) -> None:
    make_backup(shelf, files=FILES | ODD)
    restored.mkdir()
    put(restored)
    (mine,) = restored.iterdir()
    before = FileState.of(mine.lstat())
    said = life.run("download", "latest", str(restored)).expect(2, "InvalidSettings")
    assert named in said.message
    assert before == FileState.of(mine.lstat())
    if put is not other_bytes:  # told only when it was hashed: others come meanwhile
        assert [mine] == list(restored.iterdir())


def test_what_comes_meanwhile_is_not_replaced(
    shelf: Shelf, life: Life, proxy: S3Proxy, restored: Path
) -> None:
    make_backup(shelf)
    proxy.before(of_file(ORDERS), lambda _: another_size(restored))
    said = life.but(endpoint=proxy.url).start("download", "latest", str(restored)).result()
    assert f"/{ORDERS} is not of this download" in said.expect(2).message
    assert (restored / ORDERS).read_bytes() == b"mine"


def test_what_goes_meanwhile_is_missed(
    shelf: Shelf, life: Life, proxy: S3Proxy, restored: Path
) -> None:
    make_backup(shelf, files=FILES | {BIG: BYTES})

    last = f"bytes={20 * MIB}-"
    held = proxy.hold(lambda request: last in request.headers.get("range", ""), times=1)
    with life.but(endpoint=proxy.url).start("download", "latest", str(restored)) as running:
        small = set(FILES)
        running.wait_until(
            lambda: held.reached.is_set() and small <= {one.name for one in restored.iterdir()}
        )
        (restored / ORDERS).unlink()
        held.released.set()
        said = running.result().expect(9)
    assert "4 files and directories instead of 5" in said.message


Plant = Callable[[Path, Path], object]


@pytest.mark.parametrize(
    "plant",
    [
        lambda there, outside: (there / ORDERS).symlink_to(outside / "victim"),
        lambda there, outside: (there / ORDERS).symlink_to(outside / "not-there"),
        lambda there, outside: (there / "sub").symlink_to(outside),
        lambda there, _: (there / "sub").symlink_to("."),
        lambda there, outside: ((there / "sub").mkdir(), (there / "sub/dir").symlink_to(outside)),
    ],
    ids=["file", "dangling", "directory", "itself", "deeper"],
)
def test_no_symbolic_link_is_followed(
    shelf: Shelf, life: Life, tmp_path: Path, restored: Path, plant: Plant
) -> None:
    make_backup(shelf, files=FILES | ODD)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(FILES[ORDERS])
    restored.mkdir()
    plant(restored, outside)
    life.run("download", "latest", str(restored)).expect(2, "InvalidSettings")
    assert {"victim": FILES[ORDERS]} == content(outside)


@pytest.mark.parametrize("inside", [False, True])
def test_nor_one_in_place_of_what_is_under_way(
    shelf: Shelf, life: Life, proxy: S3Proxy, tmp_path: Path, restored: Path, *, inside: bool
) -> None:
    make_backup(shelf, files=FILES | {BIG: BYTES})
    late = proxy.hold(lambda request: f"bytes={16 * MIB}-" in request.headers.get("range", ""))
    with life.but(endpoint=proxy.url).start("download", "latest", str(restored)) as running:
        running.wait_until(lambda: late.reached.is_set() and staged(restored) == 16 * MIB)
        running.kill()
    proxy.forget()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"mine")
    (staging,) = restored.glob(".backup-*.part")
    (part,) = [one for one in staging.iterdir() if one.stat().st_size > MIB]
    part.unlink()
    if inside:
        part.hardlink_to(outside / "victim")
    else:
        (staging / "lock").unlink()
        staging.rmdir()
        staging.symlink_to(outside)
    life.start("download", "latest", str(restored)).result().expect(2)
    assert {"victim": b"mine"} == content(outside)


def test_the_directory_itself_may_be_a_link(
    shelf: Shelf, life: Life, tmp_path: Path, restored: Path
) -> None:
    make_backup(shelf)
    (tmp_path / "volume").mkdir()
    restored.symlink_to(tmp_path / "volume")
    life.run("download", "latest", str(restored)).expect(0)
    assert FILES == content(tmp_path / "volume")


def test_directories_above_it_are_made(shelf: Shelf, life: Life, restored: Path) -> None:
    make_backup(shelf)
    life.run("download", "latest", str(restored / "a" / "b")).expect(0)
    assert FILES == content(restored / "a" / "b")


def test_a_file_is_no_directory(shelf: Shelf, life: Life, restored: Path) -> None:
    make_backup(shelf)
    restored.write_bytes(b"mine")
    said = life.run("download", "latest", str(restored)).expect(2, "InvalidSettings")
    assert f"{restored} is no directory" in said.message
    assert restored.read_bytes() == b"mine"


def test_two_at_once(shelf: Shelf, life: Life, proxy: S3Proxy, restored: Path) -> None:
    make_backup(shelf, files=FILES | {BIG: BYTES})
    late = proxy.hold(lambda request: f"bytes={16 * MIB}-" in request.headers.get("range", ""))
    with life.but(endpoint=proxy.url).start("download", "latest", str(restored)) as running:
        running.wait_until(late.reached.is_set)
        said = life.run("download", "latest", str(restored)).expect(10, "HeldByAnotherRun")
        assert "another download" in said.message
        late.released.set()
        running.result().expect(0)
    assert (FILES | {BIG: BYTES}) == content(restored)


# Room ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("archived", [False, True])
def test_room_is_asked_for_first(
    shelf: Shelf, life: Life, tmp_path: Path, *, archived: bool
) -> None:
    # Zeros: the archive is small, and what is in it is not.
    make_backup(shelf, files=FILES | {BIG: bytes(21 * MIB)}, archived=archived)
    with disks.tmpfs(tmp_path / "disk", "size=16m") as disk:
        said = life.run("download", "latest", str(disk / "restored")).expect(9, "VolumeFull")
        assert "21.0 MiB more are needed" in said.message
        assert "and 16.0 MiB" in said.message
        assert [] == list(disk.iterdir())
        rest = life.run("download", "latest", str(disk), "--tables=shop.orders").expect(0)
        assert FILES == content(disk)
        assert 4 == rest.summary["files"]
        disks.remount(disk, "size=32m")
        life.run("download", "latest", str(disk)).expect(0)
        assert (FILES | {BIG: bytes(21 * MIB)}) == content(disk)


def test_inodes_are_room_too(shelf: Shelf, life: Life, tmp_path: Path) -> None:
    make_backup(shelf, files=FILES | ODD)
    with disks.tmpfs(tmp_path / "disk", "nr_inodes=8") as disk:
        said = life.run("download", "latest", str(disk)).expect(9, "VolumeFull")
        assert "13 more files and directories" in said.message
        assert [] == list(disk.iterdir())


def test_a_disk_that_others_fill_meanwhile(
    shelf: Shelf, life: Life, proxy: S3Proxy, tmp_path: Path
) -> None:
    make_backup(shelf, files=FILES | {BIG: BYTES})
    life = life.but(endpoint=proxy.url)
    with disks.tmpfs(tmp_path / "disk", "size=40m") as disk:
        restored = disk / "restored"
        held = proxy.hold(
            lambda request: f"bytes={8 * MIB}-" in request.headers.get("range", ""), times=1
        )
        with life.start("download", "latest", str(restored)) as running:
            running.wait_until(held.reached.is_set)
            ballast = disks.fill(disk)
            held.released.set()
            said = running.result().expect(9, "VolumeFull")
        assert "the file system is full" in said.message
        ballast.unlink()
        said = life.run("download", "latest", str(restored)).expect(0)
        assert said.summary["resumed"]
        assert (FILES | {BIG: BYTES}) == content(restored)


def test_what_was_said_to_be_there_survives_a_power_cut(
    shelf: Shelf, life: Life, tmp_path: Path
) -> None:
    files = FILES | ODD | {BIG: BYTES}
    make_backup(shelf, files=files)
    with disks.Ext4(tmp_path / "image", tmp_path / "disk") as disk:
        life.run("download", "latest", str(disk.where / "restored")).expect(0)
        disk.cut_the_power()
        assert files == content(disk.where / "restored")


# Backups that cannot be, or should not be --------------------------------------------------


HOSTILE = [
    "../victim", "sub/../../victim", "/etc/victim", "sub//x", "sub/./x", "a/..", "..", ".", "",
    "nul\0byte", "sub/", "manifest.jsonl.gz", "backup.json", 7, None, ["x"], "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("archived", [False, True])
def test_no_name_leaves_the_directory(
    shelf: Shelf, life: Life, tmp_path: Path, name: object, *, archived: bool
) -> None:
    backup = make_backup(shelf, archived=archived)
    etag = None if archived else "e" * 32
    forge(shelf, backup, lambda lines: [*lines, line(name, etag=etag)])
    inner = tmp_path / "a" / "b"
    life.run("download", backup, str(inner)).expect(8, "VerificationFailed")
    assert {} == content(tmp_path)


def test_a_name_that_is_the_staging_directorys(shelf: Shelf, life: Life, restored: Path) -> None:
    backup = make_backup(shelf)
    own = f".{backup.replace(':', '')}.part"
    forge(shelf, backup, lambda lines: [*lines, line(f"{own}/lock")])
    said = life.run("download", backup, str(restored)).expect(8)
    assert "the manifest names" in said.message
    assert not restored.exists()


def test_a_file_that_is_a_directory_too(shelf: Shelf, life: Life, restored: Path) -> None:
    backup = make_backup(shelf, files=FILES | {"sub": b"x"})
    shelf.put(shelf.key(f"{backup}/sub/x"), b"x")
    forge(shelf, backup, lambda lines: [*lines, line("sub/x")])
    said = life.start("download", backup, str(restored)).result().expect(2)
    assert f"{restored}/sub" in said.message


def test_a_name_that_the_file_system_does_not_take(
    shelf: Shelf, life: Life, restored: Path
) -> None:
    backup = make_backup(shelf, files=FILES | {"sub/" + "ü" * 128: b"x"})
    said = life.run("download", backup, str(restored)).expect(9)
    assert "its file system takes names of 255 bytes" in said.message
    assert not restored.exists()
    restored.mkdir()
    life.run("download", backup, str(restored)).expect(9)
    assert [] == list(restored.iterdir())


@pytest.mark.parametrize(
    ("spoil", "code", "why"),
    [
        (lambda lines: [{**one, "bytes": one["bytes"] + 1} for one in lines], 8, "bytes"),
        (lambda lines: [{**one, "bytes": -1} for one in lines], 8, "line 1"),
        (lambda lines: [{**one, "bytes": 1 << 70} for one in lines], 8, "line 1"),
        (lambda lines: [{**one, "sha256": "0" * 64} for one in lines], 8, "other SHA-256"),
        (lambda lines: [lines[0], *lines], 8, "line 2"),
    ],
)
def test_manifests_that_lie(
    shelf: Shelf,
    life: Life,
    restored: Path,
    spoil: Callable[[list[dict[str, object]]], list[dict[str, object]]],
    code: int,
    why: str,
) -> None:
    backup = make_backup(shelf)
    forge(shelf, backup, spoil)
    said = life.run("download", backup, str(restored)).expect(code)
    assert why in said.message
    assert not restored.exists() or {} == content(restored)


def test_a_manifest_that_is_damaged(shelf: Shelf, life: Life, restored: Path) -> None:
    backup = make_backup(shelf)
    flip(shelf, shelf.key(f"{backup}/manifest.jsonl.gz"))
    said = life.run("download", backup, str(restored)).expect(8)
    assert "the manifest of" in said.message
    assert not restored.exists()


def test_what_is_no_complete_backup(shelf: Shelf, life: Life, restored: Path) -> None:
    later = make_backup(shelf, record={"format": 2})
    said = life.run("download", later, str(restored)).expect(2)
    assert "use the version of backup-manager that made the backup, or a later one" in said.message
    operators = make_of_operator(shelf, started=ago(hours=2))
    said = life.run("download", operators, str(restored)).expect(2)
    assert "TiDB Operator" in said.message
    incomplete = make_incomplete(shelf, started=ago(hours=3))
    said = life.run("download", incomplete, str(restored)).expect(7)
    assert "never published" in said.message
    life.run("download", "no-such", str(restored)).expect(7)
    assert not restored.exists()
    assert "Missing argument 'DIR'" in life.run("download", later).expect(2).message
