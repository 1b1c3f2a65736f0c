"""`list`: every backup under a prefix with its state, at one small read each."""

import json
import subprocess
from datetime import timedelta

import pytest

from backup_manager.canonical import timestamp
from tests.life.backups import Shelf, ago, make_backup, make_incomplete, make_of_operator
from tests.life.commands import Life
from tests.s3_proxy import Answer, S3Proxy, operation


def test_every_state_newest_first(shelf: Shelf, life: Life) -> None:
    names = [
        make_of_operator(shelf, started=ago(hours=6)),
        make_backup(shelf, started=ago(hours=5), name="demo", schedule="nightly"),
        make_backup(shelf, started=ago(hours=4), archived=True),
        make_incomplete(shelf, started=ago(hours=3)),
        make_backup(shelf, started=ago(hours=2), record={"id": "f" * 32}),
        make_backup(shelf, started=ago(hours=1), record={"format": 2}),
        make_incomplete(shelf, started=ago(minutes=30), archived=True),
    ]
    # What lies there and is no backup.
    for key in ("notes.txt", "backup-of-mine/x", "backup-2026-13-22T10:00:00Z-1a2b3c4d/metadata"):
        shelf.put(shelf.key(key), b"x")
    rows = [json.loads(line) for line in life.run("list", "--json").expect(0).stdout.splitlines()]
    expected = [
        ("incomplete", "archive"),
        ("later-format", "files"),
        ("damaged", "files"),
        ("incomplete", "files"),
        ("complete", "archive"),
        ("complete", "files"),
        ("operator", "archive"),
    ]
    assert expected == [(row["state"], row["format"]) for row in rows]
    assert [shelf.url(name) for name in reversed(names)] == [row["backup"] for row in rows]


def test_what_a_line_says(shelf: Shelf, life: Life) -> None:
    started = ago(hours=5)
    name = make_backup(shelf, started=started, name="demo", schedule="nightly")
    row = json.loads(life.run("list", "--json").expect(0).stdout)
    record = json.loads(
        shelf.client.get_object(Bucket=shelf.bucket, Key=shelf.key(f"{name}/backup.json"))[
            "Body"
        ].read()
    )
    assert 0 <= row.pop("age_seconds") - 5 * 3600 <= 120
    assert {
        "backup": shelf.url(name),
        "state": "complete",
        "started": timestamp(started),
        "format": "files",
        "id": record["id"],
        "name": "demo",
        "schedule": "nightly",
        "finished": timestamp(started + timedelta(minutes=1)),
        "snapshot": record["snapshot"],
        "files": record["files"],
        "bytes": record["bytes"],
        "source": {"host": "tidb.test1", "port": 4000},
        "tool": record["tool"],
        "warnings": 0,
    } == row


def test_the_table(shelf: Shelf, life: Life) -> None:
    name = make_backup(shelf, started=ago(hours=5), name="two\nlines \x1b[2J")
    head, row = life.run("list").expect(0).stdout.splitlines()
    titles = ["BACKUP", "STATE", "AGE", "SIZE", "FILES", "SNAPSHOT", "SNAPSHOT", "TIME"]
    assert [*titles, "VERSION", "NAME"] == head.split()
    assert [name, "complete", "5h"] == row.split()[:3]
    assert row.endswith("two lines \\x1b[2J")


def test_one_listing_and_one_small_read_a_backup(shelf: Shelf, life: Life) -> None:
    names = [make_backup(shelf, started=ago(hours=hours)) for hours in range(1, 6)]
    with S3Proxy(shelf.server.http) as proxy:
        said = life.but(endpoint=proxy.url).run("list", "--json").expect(0)
    assert len(names) == len(said.stdout.splitlines())
    asked = sorted(request.operation for request in proxy.requests)
    assert ["GetObject"] * 5 + ["ListObjectsV2"] == asked


def test_a_record_that_the_store_refuses_hides_no_other(shelf: Shelf, life: Life) -> None:
    # The oldest is made first: by the store's clock too a newer one has to be newer.
    names = [make_backup(shelf, started=ago(hours=hours)) for hours in (3, 2, 1)][::-1]
    archived = Answer.error("InvalidObjectState", 403, "its class is GLACIER")
    with S3Proxy(shelf.server.http) as proxy:
        proxy.answer(operation("GetObject", containing=names[1][-8:]), archived, times=9)
        through = life.but(endpoint=proxy.url)
        said = through.run("list", "--json").expect(0)
        states = [json.loads(line)["state"] for line in said.stdout.splitlines()]
        assert ["complete", "unreadable", "complete"] == states
        assert ["a commit record cannot be read"] == [event["event"] for event in said.log]
        assert "cannot be read" in through.run("verify", names[1]).expect(7).message
        plan = through.run("prune", "--max-backups=1", "--dry-run").expect(0).stdout
    assert f"keep   {names[1]}" in plan
    assert f"remove {names[2]}" in plan


def test_where_an_archive_was_unpacked_is_no_backup(shelf: Shelf, life: Life) -> None:
    name = make_backup(shelf, archived=True)
    shelf.put(shelf.key(f"{name.removesuffix('.tgz')}/metadata"), b"x")
    said = life.run("list", "--json").expect(0)
    assert [shelf.url(name)] == [json.loads(line)["backup"] for line in said.stdout.splitlines()]


def test_nothing_there(life: Life) -> None:
    said = life.run("list").expect(0)
    assert "" == said.stdout
    assert ["there is no backup"] == [event["event"] for event in said.log]


def test_at_the_root_of_a_bucket(shelf: Shelf, life: Life) -> None:
    at_root = Shelf(shelf.server, shelf.bucket, "")
    name = make_backup(at_root)
    said = Life(at_root).run("list", "--json").expect(0)
    assert [f"s3://{shelf.bucket}/{name}"] == [json.loads(said.stdout)["backup"]]


def test_no_bucket_is_an_error_on_stderr_alone(life: Life) -> None:
    said = life.run("list", "--json", "--bucket=none-of-that-name").expect(7)
    assert "" == said.stdout
    assert 7 == said.log[-1]["exit_code"]
    assert "create the bucket" in said.log[-1]["event"]


def test_nobody_reads_it_to_its_end(shelf: Shelf, life: Life) -> None:
    for hours in range(1, 4):
        make_backup(shelf, started=ago(hours=hours))
    words = ["bash", "-c", 'set -o pipefail; "$@" | true', "_", *life.argv("list", "--json")]
    done = subprocess.run(words, env=life.variables(), capture_output=True, check=False, timeout=60)
    assert (0, b"") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    "flag", ["--storage-class=STANDARD", "--max-backups=1", "--volume=/backup"]
)
def test_flags_of_others_are_refused(life: Life, flag: str) -> None:
    said = life.run("list", flag).expect(2)
    assert flag.partition("=")[0] in said.log[-1]["event"]
