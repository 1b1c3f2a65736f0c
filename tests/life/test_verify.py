"""`verify`: the listing against the manifest, and with --deep every byte."""

import os
from collections.abc import Callable

import pytest

from tests.life.backups import FILES, Shelf, ago, make_backup, make_incomplete, make_of_operator
from tests.life.commands import Life
from tests.s3_proxy import Answer, S3Proxy, operation
from tests.servers import Rclone, SeaweedFS

ORDERS = "shop.orders.000000000.sql"
# Of several ranges, which are read side by side.
BIG = os.urandom(9 << 20)


def _delete(shelf: Shelf, key: str) -> None:
    shelf.client.delete_object(Bucket=shelf.bucket, Key=key)


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("deep", [(), ("--deep",)])
def test_whole(shelf: Shelf, life: Life, *, archived: bool, deep: tuple[str, ...]) -> None:
    files = FILES | {"shop.big.000000000.sql": BIG, "shop.none.000000000.sql": b""}
    name = make_backup(shelf, files=files, archived=archived, name="demo")
    said = life.run("verify", name, *deep).expect(0, "Complete")
    total = sum(len(data) for data in files.values())
    told = (said.summary["backup"], said.summary["name"], said.summary["files"])
    assert (shelf.url(name), "demo", len(files)) == told
    assert total == said.summary["bytes"]
    assert bool(deep) == ("every byte read" in said.message)


@pytest.mark.parametrize("server", ["rclone", "seaweedfs"])
def test_whole_elsewhere(server: str, request: pytest.FixtureRequest, unique: str) -> None:
    store: Rclone | SeaweedFS = request.getfixturevalue(server)
    store.create_bucket(unique)
    shelf = Shelf(store, unique)
    odd = {f"shop.{name}.000000000.sql": b"x" for name in ("a-b", "a", "a%2Eb", "A", "a0", "ä")}
    name = make_backup(shelf, files=FILES | odd | {"shop.sub.0.sql": BIG})
    Life(shelf).run("verify", name, "--deep").expect(0)


Damage = Callable[[Shelf, str], object]


@pytest.mark.parametrize(
    ("damage", "named", "deep"),
    [
        (lambda shelf, root: _delete(shelf, f"{root}/{ORDERS}"), f"{ORDERS}: it is missing", False),
        (lambda shelf, root: _delete(shelf, f"{root}/metadata"), "metadata: it is missing", False),
        (lambda shelf, root: shelf.put(f"{root}/{ORDERS}", b"cut"), "it has 3 bytes", False),
        (
            lambda shelf, root: shelf.put(f"{root}/{ORDERS}", bytes(len(FILES[ORDERS]))),
            f"{ORDERS}: its ETag",
            False,
        ),
        (
            lambda shelf, root: shelf.put(f"{root}/{ORDERS}", bytes(len(FILES[ORDERS]))),
            f"{ORDERS}: its bytes",
            True,
        ),
        (lambda shelf, root: shelf.put(f"{root}/a.sql", b""), "a.sql: it is no file", False),
        (lambda shelf, root: shelf.put(f"{root}/z/y", b""), "z/y: it is no file", False),
        (lambda shelf, root: _delete(shelf, f"{root}/manifest.jsonl.gz"), "is missing", False),
        (lambda shelf, root: shelf.put(f"{root}/manifest.jsonl.gz", b"x"), "SHA-256", False),
        (lambda shelf, root: shelf.put(f"{root}/backup.json", b"{}"), "damaged", False),
    ],
)
def test_each_damage_is_named(
    shelf: Shelf, life: Life, damage: Damage, named: str, *, deep: bool
) -> None:
    name = make_backup(shelf)
    damage(shelf, shelf.key(name))
    words = ["--deep", "--s3-option=--ignore-checksum"] if deep else []
    said = life.run("verify", name, *words).expect(8, "VerificationFailed")
    assert named in said.message
    assert said.summary["backup"] == shelf.url(name)


@pytest.mark.parametrize(
    ("body", "deep", "code"),
    [(b"cut", False, 8), (None, False, 8), ("flipped", True, 8), ("flipped", False, 0)],
)
def test_archives_are_damaged_too(
    shelf: Shelf, life: Life, body: bytes | str | None, *, deep: bool, code: int
) -> None:
    name = make_backup(shelf, archived=True)
    key = shelf.key(name)
    if body is None:
        _delete(shelf, key)
    elif isinstance(body, str):
        data = shelf.client.get_object(Bucket=shelf.bucket, Key=key)["Body"].read()
        shelf.put(key, data[:-1] + bytes([data[-1] ^ 1]))
    else:
        shelf.put(key, body)
    life.run("verify", name, *["--deep"] * deep).expect(code)


def test_every_file_that_does_not_fit_is_in_the_log(shelf: Shelf, life: Life) -> None:
    lost = {f"shop.t{number}.000000000.sql": b"x" for number in range(9)}
    name = make_backup(shelf, files=FILES | lost)
    for each in lost:
        _delete(shelf, shelf.key(f"{name}/{each}"))
    said = life.run("verify", name).expect(8)
    assert sorted(lost) == [event["file"] for event in said.log if event["event"] == "damaged"]
    assert "9 of its files do not fit" in said.message
    assert "and 4 more" in said.message


def test_a_listing_in_disorder_is_no_proof(shelf: Shelf, life: Life) -> None:
    name = make_backup(shelf)

    def swapped(answer: Answer) -> Answer:
        text = answer.body.replace(b"metadata<", b"\0<").replace(b"zzz<", b"metadata<")
        return Answer(answer.status, text.replace(b"\0<", b"zzz<"), answer.headers)

    shelf.put(shelf.key(f"{name}/zzz"), b"x")
    with S3Proxy(shelf.server.http) as proxy:
        proxy.change(operation("ListObjectsV2"), swapped, times=9)
        said = life.but(endpoint=proxy.url).run("verify", name).expect(7)
    assert "out of the order" in said.message


def test_faults_that_pass_are_survived(shelf: Shelf, life: Life) -> None:
    name = make_backup(shelf, files=FILES | {"shop.big.000000000.sql": BIG})
    busy = Answer.error("SlowDown", 503)
    with S3Proxy(shelf.server.http) as proxy:
        proxy.answer(operation("GetObject", containing="metadata"), busy, times=2)
        proxy.lose(operation("GetObject", containing="big"), times=2)
        life.but(endpoint=proxy.url).run("verify", name, "--deep").expect(0)


@pytest.mark.parametrize("object_", [ORDERS, "manifest.jsonl.gz", "backup.json"])
def test_sigterm_ends_it_at_once(shelf: Shelf, life: Life, object_: str) -> None:
    name = make_backup(shelf)
    with S3Proxy(shelf.server.http) as proxy:
        held = proxy.hold(operation("GetObject", containing=object_))
        with life.but(endpoint=proxy.url).start("verify", name, "--deep") as running:
            assert held.reached.wait(60)
            running.terminate()
            running.result(10).expect(143, "Terminated")


# Which backup is meant -------------------------------------------------------------------------


def test_names(shelf: Shelf, life: Life) -> None:
    old = make_backup(shelf, started=ago(days=2), name="demo")
    new = make_backup(shelf, started=ago(days=1), name="twice")
    newest = make_backup(shelf, started=ago(hours=2), name="twice", archived=True)
    make_incomplete(shelf, started=ago(hours=1))
    for text, meant in [
        ("latest", newest),
        (old, old),
        (newest, newest),
        (f"{old}/", old),
        (shelf.key(old), old),
        (shelf.url(old), old),
        (f"{shelf.url(old)}/", old),
        ("demo", old),
        (new[:20], new),
        (new.rpartition("-")[2][:6], new),
    ]:
        assert shelf.url(meant) == life.run("verify", text).expect(0).summary["backup"], text


def test_an_address_says_bucket_and_prefix_by_itself(shelf: Shelf, life: Life) -> None:
    name = make_backup(shelf)
    elsewhere = {"BACKUP_MANAGER_BUCKET": "another", "BACKUP_MANAGER_PREFIX": "elsewhere"}
    life.but(environment=elsewhere).run("verify", shelf.url(name)).expect(0)
    said = life.run("verify", shelf.url(name), "--bucket=another").expect(2)
    assert "--bucket=another" in said.message
    at_root = Shelf(shelf.server, shelf.bucket, "")
    name = make_backup(at_root)
    life.run("verify", at_root.url(name)).expect(0)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("twice", 2, "is the name of 2 backups"),
        ("backup-", 2, "is the name of 2 backups"),
        ("none", 7, "there is no backup 'none'"),
        ("backup-2020-01-01T00:00:00Z-00000000", 7, "there is no backup"),
        ("elsewhere/backup-2020-01-01T00:00:00Z-00000000", 2, "is no backup under"),
        ("s3://", 2, "is no address"),
        ("s3://bucket", 2, "is no address"),
        ("", 2, "is no backup under"),
    ],
)
def test_names_that_mean_no_single_backup(
    shelf: Shelf, life: Life, text: str, code: int, words: str
) -> None:
    for hours in (1, 2):
        make_backup(shelf, started=ago(hours=hours), name="twice")
    assert words in life.run("verify", text).expect(code).message


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (make_incomplete, 7, "it has no commit record"),
        (make_of_operator, 2, "TiDB Operator's own manager"),
        (lambda shelf: make_backup(shelf, record={"format": 2}), 2, "has format 2"),
        (lambda shelf: make_backup(shelf, record={"files": "many"}), 8, "its files is no number"),
    ],
)
def test_what_cannot_be_verified(
    shelf: Shelf, life: Life, make: Callable[[Shelf], str], code: int, words: str
) -> None:
    assert words in life.run("verify", make(shelf)).expect(code).message


def test_latest_says_what_it_left_out(shelf: Shelf, life: Life) -> None:
    name = make_backup(shelf, started=ago(hours=2))
    make_backup(shelf, started=ago(hours=1), record={"format": 2})
    said = life.run("verify", "latest").expect(0)
    assert shelf.url(name) == said.summary["backup"]
    assert "is newer and was left out" in said.warnings[0]


def test_latest_says_that_the_newest_is_damaged(shelf: Shelf, life: Life) -> None:
    name = make_backup(shelf, started=ago(hours=2))
    make_backup(shelf, started=ago(hours=1), record={"files": "many"})
    said = life.run("verify", "latest").expect(0)
    assert shelf.url(name) == said.summary["backup"]
    assert "its files is no number" in said.warnings[0]


@pytest.mark.parametrize(
    ("words", "archived", "said"),
    [
        ((), False, "by sizes and ETags"),
        (("--s3-option=--ignore-checksum",), False, "by sizes alone; --deep compares the bytes"),
        ((), True, "by the size of its archive; --deep compares the bytes"),
        (("--deep",), True, "every byte read"),
    ],
)
def test_what_was_compared_is_said(
    shelf: Shelf, life: Life, words: tuple[str, ...], said: str, *, archived: bool
) -> None:
    make_backup(shelf, archived=archived)
    assert life.run("verify", "latest", *words).expect(0).message.endswith(said)


def test_latest_of_nothing(shelf: Shelf, life: Life) -> None:
    make_incomplete(shelf)
    assert "there is no complete backup" in life.run("verify", "latest").expect(7).message
