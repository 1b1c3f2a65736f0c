"""`clean`: just the one that is meant, whatever state it is in, and nothing else."""

import json
import signal
from collections.abc import Iterator

import pytest

from backup_manager.catalog.layout import Layout
from tests.life.backups import (
    FILES,
    Shelf,
    ago,
    make_backup,
    make_incomplete,
    make_of_operator,
)
from tests.life.commands import Life
from tests.s3_proxy import S3Proxy, operation
from tests.servers import Ceph
from tests.terminals import Terminal


@pytest.fixture
def other(shelf: Shelf) -> Iterator[str]:
    """Another backup, which stays as it is."""
    name = make_backup(shelf, started=ago(days=9))
    keys = shelf.keys()
    yield name
    left = shelf.keys()
    assert keys == [key for key in left if name in key]


@pytest.mark.parametrize("by", ["name", "address", "address/", "name of export", "id", "key"])
def test_by_what_it_is_called(shelf: Shelf, life: Life, other: str, by: str) -> None:
    name = make_backup(shelf, name="demo", started=ago(days=1))
    record = shelf.client.get_object(Bucket=shelf.bucket, Key=Layout(shelf.key(name)).record)[
        "Body"
    ].read()
    text = {
        "name": name,
        "address": shelf.url(name),
        "address/": shelf.url(name) + "/",
        "name of export": "demo",
        "id": json.loads(record)["id"],
        "key": shelf.key(name),
    }[by]
    said = life.run("clean", text, "--yes").expect(0, "Complete")
    assert {other} == shelf.names()
    assert said.message.startswith(f"{shelf.url(name)} is removed: {len(FILES) + 1} objects, ")
    told = said.summary
    assert (shelf.url(name), "demo", len(FILES) + 1) == (
        told["backup"],
        told["name"],
        told["files"],
    )
    assert [] == said.warnings
    said = life.run("clean", text, "--yes").expect(7, "StoreUnusable")
    assert f"there is no backup {text!r}" in said.message


def test_every_state(shelf: Shelf, life: Life, other: str) -> None:
    names = [
        make_of_operator(shelf, started=ago(hours=7)),
        make_backup(shelf, started=ago(hours=5), archived=True),
        make_incomplete(shelf, started=ago(hours=4)),
        make_incomplete(shelf, started=ago(hours=3), archived=True),
        make_backup(shelf, started=ago(hours=2), record={"id": "f" * 32}),
        make_backup(shelf, started=ago(hours=1), record={"format": 2}),
    ]
    for name in names:
        before = shelf.keys()
        life.run("clean", name, "--yes").expect(0)
        assert [key for key in before if not key.startswith(name)] == shelf.keys()
    assert {other} == shelf.names()


@pytest.mark.usefixtures("other")
def test_what_the_operators_manager_left(shelf: Shelf, life: Life) -> None:
    name = "backup-2026-11-22T10:00:00Z.tgz"
    shelf.put(shelf.key(f"{name}.tmp"), b"cut")
    shelf.begin_upload(shelf.key(f"{name}.tmp"))
    life.run("clean", name, "--yes").expect(0)
    assert ([], 1) == (shelf.uploads(), len(shelf.names()))


@pytest.mark.usefixtures("other")
def test_nothing_but_an_upload(shelf: Shelf, life: Life) -> None:
    name = "backup-2026-11-22T10:00:00Z-1a2b3c4d"
    shelf.begin_upload(shelf.key(f"{name}/shop.big.000000000.sql"), b"part")
    said = life.run("clean", name, "--yes").expect(0)
    assert [] == shelf.uploads()
    assert shelf.url(name) == said.summary["backup"]


def test_a_removal_that_was_begun(shelf: Shelf, life: Life, other: str) -> None:
    name = make_incomplete(shelf)
    shelf.put(Layout(shelf.key(name)).tombstone, b"being removed")
    said = life.run("clean", name, "--yes").expect(0)
    assert {other} == shelf.names()
    assert [] == said.warnings


def test_one_that_a_run_may_be_at_work_on(shelf: Shelf, life: Life) -> None:
    name = make_incomplete(shelf)
    (warning,) = life.run("clean", name, "--yes").expect(0).warnings
    assert "a run may be at work on it" in warning


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("latest", 2, "clean takes no latest"),
        ("backup-20", 2, "only the beginning of a name"),
        ("dem", 7, "there is no backup 'dem'"),
        ("notes.txt", 7, "there is no backup 'notes.txt'"),
        ("nightly/notes.txt", 7, "there is no backup 'nightly/notes.txt'"),
        ("backup-2026-11-22T10:00:00Z-1a2b3c4d", 7, "there is no backup"),
        ("elsewhere/backup-2026-11-22T10:00:00Z-1a2b3c4d", 2, "is no backup under"),
        ("s3://other/nightly/backup-2026-11-22T10:00:00Z-1a2b3c4d", 7, "other"),
        ("", 2, "is no backup under"),
        ("/", 2, "is no backup under"),
    ],
)
def test_what_is_refused(shelf: Shelf, life: Life, text: str, code: int, said: str) -> None:
    make_backup(shelf, name="demo")
    shelf.put(shelf.key("notes.txt"), b"nobody's")
    before = shelf.keys()
    assert said in life.run("clean", text, "--yes").expect(code).message
    assert before == shelf.keys()


def test_without_a_terminal_yes_is_needed(shelf: Shelf, life: Life) -> None:
    name = make_backup(shelf)
    said = life.run("clean", name).expect(2, "InvalidSettings")
    assert said.message.endswith("To do: add --yes")
    assert {name} == shelf.names()


@pytest.fixture
def ask(life: Life, demo: str) -> Iterator[Terminal]:
    """`clean demo`, at a terminal, to the point where it asks."""
    del demo
    environment = life.variables() | {"TERM": "xterm"}
    with Terminal(life.argv("clean", "demo"), environment, columns=120, typed=True) as terminal:
        terminal.wait_for("Remove it for good? Type yes:")
        yield terminal


@pytest.fixture
def demo(shelf: Shelf) -> str:
    return make_backup(shelf, name="demo", started=ago(days=3))


def test_at_a_terminal(shelf: Shelf, demo: str, ask: Terminal) -> None:
    for line in (
        f"backup   {shelf.url(demo)}",
        "state    complete",
        ", 3d ago",
        "name     demo",
        f"holds    {len(FILES)} files, ",
    ):
        assert line in ask.screen.text
    assert {demo} == shelf.names()
    ask.type("yes\n")
    assert 0 == ask.end()
    assert set() == shelf.names()
    assert "is removed" in json.loads(ask.stdout)["message"]


@pytest.mark.parametrize("answer", ["no\n", "y\n", "\n", "\x04"])
def test_any_other_answer(shelf: Shelf, demo: str, ask: Terminal, answer: str) -> None:
    ask.type(answer)
    assert 2 == ask.end()
    assert {demo} == shelf.names()
    assert "nothing was removed" in json.loads(ask.stdout)["message"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_place_of_an_answer(
    shelf: Shelf, demo: str, ask: Terminal, number: signal.Signals, code: int
) -> None:
    ask.signal(number)
    assert code == ask.end()
    assert {demo} == shelf.names()


def test_killed_in_the_middle_the_same_command_ends_it(
    shelf: Shelf, life: Life, ceph: Ceph, other: str
) -> None:
    name = make_backup(shelf)
    with S3Proxy(ceph.http) as proxy:
        held = proxy.hold(operation("DeleteObjects"))
        with life.but(endpoint=proxy.url).start("clean", name, "--yes") as running:
            running.wait_until(held.reached.is_set)
            running.kill()
    assert {name, other} == shelf.names()
    life.run("clean", name, "--yes").expect(0)
    assert {other} == shelf.names()


def test_what_is_locked(ceph: Ceph, unique: str) -> None:
    ceph.client().create_bucket(Bucket=unique, ObjectLockEnabledForBucket=True)
    shelf = Shelf(ceph, unique)
    held = make_backup(shelf, ObjectLockLegalHoldStatus="ON")
    operators = make_of_operator(shelf)
    shelf.client.put_object_retention(
        Bucket=unique,
        Key=shelf.key(operators),
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": ago(days=-1)},
    )
    before = shelf.keys()
    for name, why in ((held, "legal hold"), (operators, "GOVERNANCE until")):
        said = Life(shelf).run("clean", name, "--yes").expect(7, "CleanBackupDataFailed")
        assert f"it is locked: {why}" in said.message
    assert before == shelf.keys()


def test_a_store_that_refuses(shelf: Shelf, life: Life, ceph: Ceph) -> None:
    name = make_backup(shelf)
    with S3Proxy(ceph.http) as proxy:
        refused = operation("DeleteObject", containing="/backup.json")
        proxy.refuse(refused, status=403, code="AccessDenied", times=99)
        narrow = life.but(endpoint=proxy.url)
        said = narrow.run("clean", name, "--yes").expect(7, "CleanBackupDataFailed")
    assert "s3:DeleteObject" in said.message
    # The tombstone could not be deleted either; it was emptied.
    tombstone = Layout(shelf.key(name)).tombstone
    assert 0 == shelf.client.head_object(Bucket=shelf.bucket, Key=tombstone)["ContentLength"]
    life.run("verify", name).expect(0)
    life.run("clean", name, "--yes").expect(0)
    assert [] == shelf.keys()
