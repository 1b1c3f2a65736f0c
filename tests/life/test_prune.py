"""`prune`: the newest that are whole stay, what --dry-run printed happens, and a rerun ends it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from backup_manager.catalog.layout import Layout
from backup_manager.removal import prune
from tests.command import Result
from tests.life.backups import (
    FILES,
    Shelf,
    ago,
    make_backup,
    make_incomplete,
    make_of_operator,
)
from tests.life.commands import Life
from tests.life.times import Times, ordered
from tests.s3_proxy import Answer, Request, S3Proxy, operation
from tests.servers import Ceph, Rclone, SeaweedFS

DAY = timedelta(days=1)
REMOVES = {"DeleteObject", "DeleteObjects", "AbortMultipartUpload"}
WHOLE = {"backup.json", "manifest.jsonl.gz", *FILES}


@pytest.fixture
def times(ceph: Ceph) -> Iterator[Times]:
    with Times(ceph.http) as running:
        yield running


@pytest.fixture
def timed(life: Life, times: Times) -> Life:
    """The commands by way of a proxy that tells other times."""
    return life.but(endpoint=times.url)


def at_once(times: Times, patch: pytest.MonkeyPatch, later: timedelta) -> None:
    """Let the store's clock be later, and ours too."""
    times.later = later
    now = prune.our_clock
    patch.setattr(prune, "our_clock", lambda: now() + later)


def daily(shelf: Shelf, days: int, **more: object) -> list[str]:
    """So many whole backups, one a day, the newest first; the oldest came first."""
    made = [make_backup(shelf, started=ago(days=day), **more) for day in range(days, 0, -1)]  # type: ignore[arg-type]  # a record's fields
    return made[::-1]


def plan(said: Result) -> list[str]:
    return said.stdout.splitlines()[:-1]


def kept(said: Result) -> list[str]:
    return [line.split()[1] for line in plan(said) if line.startswith("keep")]


def is_whole(shelf: Shelf, name: str) -> bool:
    keys = shelf.keys()
    return {key.partition("/")[2] for key in keys if key.startswith(f"{name}/")} == WHOLE


def gone(shelf: Shelf, name: str) -> bool:
    return not [key for key in shelf.keys() + shelf.uploads() if name in key]


# The plan, and that it is done -------------------------------------------------------------


def test_what_a_dry_run_printed_is_what_happens(shelf: Shelf, life: Life) -> None:
    # The oldest came first.
    operators = make_of_operator(shelf, started=ago(days=6))
    archive = make_backup(shelf, started=ago(days=5), archived=True)
    names = [*daily(shelf, 4), archive, operators]
    shelf.put(shelf.key("notes.txt"), b"nobody's")
    before = shelf.keys()

    foretold = life.run("prune", "--max-backups=2", "--dry-run").expect(0, "DryRun")

    assert before == shelf.keys()
    assert [
        f"keep   {names[0]}  one of the newest 2",
        f"keep   {names[1]}  one of the newest 2",
        *(f"remove {name}  2 newer ones are whole" for name in names[2:]),
    ] == plan(foretold)
    assert "would remove 4 backups and keep 2" == foretold.message
    assert (0, 0) == (foretold.summary["files"], foretold.summary["bytes"])

    done = life.run("prune", "--max-backups=2").expect(0, "Complete")

    assert plan(foretold) == plan(done)
    assert {*names[:2], "notes.txt"} == shelf.names()
    assert is_whole(shelf, names[0])
    assert is_whole(shelf, names[1])
    # Two directories without their records, an archive and its manifest, and another archive.
    assert 2 * (len(FILES) + 1) + 2 + 1 == done.summary["files"]
    assert done.message.startswith("removed 4 backups, kept 2: 13 objects, ")
    removed = [event["backup"] for event in done.events("removed") if "backup" in event]
    assert [shelf.url(name) for name in reversed(names[2:])] == removed

    again = life.run("prune", "--max-backups=2").expect(0, "Complete")
    assert "removed 0 backups, kept 2" == again.message


def test_a_backup_that_is_not_whole_does_not_count(shelf: Shelf, life: Life) -> None:
    names = daily(shelf, 4)
    missing = shelf.key(f"{names[0]}/shop.orders-schema.sql")
    shelf.client.delete_object(Bucket=shelf.bucket, Key=missing)
    said = life.run("prune", "--max-backups=2").expect(0)
    why = "shop.orders-schema.sql: it is missing"
    assert [
        f"keep   {names[0]}  does not match its manifest: {why}; not counted",
        f"keep   {names[1]}  one of the newest 2",
        f"keep   {names[2]}  one of the newest 2",
        f"remove {names[3]}  2 newer ones are whole",
    ] == plan(said)
    assert set(names[:3]) == shelf.names()


def test_a_manifest_that_is_missing(shelf: Shelf, life: Life) -> None:
    names = daily(shelf, 2)
    manifest = Layout(shelf.key(names[0])).manifest
    shelf.client.delete_object(Bucket=shelf.bucket, Key=manifest)
    said = life.run("prune", "--max-backups=1").expect(0)
    assert names == kept(said)
    assert "manifest.jsonl.gz is missing in the store" in said.stdout


def test_failed_runs_evict_no_good_backup(shelf: Shelf, life: Life) -> None:
    """What TiDB Operator does (tidb-operator#3660)."""
    good = daily(shelf, 2)
    failed = [make_incomplete(shelf, started=ago(hours=hour)) for hour in (3, 2, 1)]
    said = life.run("prune", "--max-backups=2").expect(0)
    assert [*reversed(failed), *good] == kept(said)
    assert {*good, *failed} == shelf.names()


def test_by_time(shelf: Shelf, life: Life) -> None:
    names = daily(shelf, 4)
    said = life.run("prune", "--max-reserved-time=60h").expect(0)
    assert [
        f"keep   {names[0]}  not older than 60h",
        f"keep   {names[1]}  not older than 60h",
        f"remove {names[2]}  older than 60h",
        f"remove {names[3]}  older than 60h",
    ] == plan(said)
    assert set(names[:2]) == shelf.names()


def test_by_both(shelf: Shelf, life: Life) -> None:
    names = daily(shelf, 4)
    said = life.run("prune", "--max-reserved-time=1h", "--max-backups=2").expect(0)
    assert names[:2] == kept(said)
    assert f"remove {names[3]}  older than 1h, and 2 newer ones are whole" == plan(said)[3]
    assert set(names[:2]) == shelf.names()


def test_the_last_one_stays(shelf: Shelf, life: Life) -> None:
    names = daily(shelf, 2)
    said = life.run("prune", "--max-reserved-time=1s").expect(0)
    assert [f"keep   {names[0]}  the newest", f"remove {names[1]}  older than 1s"] == plan(said)
    assert {names[0]} == shelf.names()


def test_without_a_whole_one_nothing_is_removed(shelf: Shelf, life: Life) -> None:
    names = daily(shelf, 2)
    for name in names:
        shelf.client.delete_object(Bucket=shelf.bucket, Key=shelf.key(f"{name}/metadata"))
    operators = make_of_operator(shelf, started=ago(days=9))
    said = life.run("prune", "--max-reserved-time=1s").expect(0)
    assert {*names, operators} == shelf.names()
    assert ["no backup is whole: nothing that is published is removed"] == said.warnings


@pytest.mark.parametrize("words", [(), ("--max-backups=0",), ("--max-backups=0", "--dry-run")])
def test_without_a_limit(shelf: Shelf, life: Life, words: tuple[str, ...]) -> None:
    names = daily(shelf, 2)
    said = life.run("prune", *words).expect(0)
    why = "neither --max-reserved-time nor --max-backups is given"
    assert [f"keep   {name}  {why}" for name in names] == plan(said)
    assert said.events(f"{why}: only what was never published is removed")
    assert bool(words) == bool(said.events("--max-backups=0 is no limit"))
    assert set(names) == shelf.names()


@pytest.mark.parametrize(
    "word",
    [
        "--max-backups=-1",
        "--max-backups=2.5",
        "--max-backups=many",
        "--max-backups=99999999",
        "--max-reserved-time=0s",
        "--max-reserved-time=-1h",
        "--max-reserved-time=3d",
        "--max-reserved-time=10000000h",
        "--incomplete-after=0s",
    ],
)
def test_a_wrong_limit(shelf: Shelf, life: Life, word: str) -> None:
    assert word.partition("=")[0] in life.run("prune", word).expect(2, "InvalidSettings").message


def test_no_backup_at_all(shelf: Shelf, life: Life) -> None:
    said = life.run("prune", "--max-backups=1").expect(0)
    assert ([], "removed 0 backups, kept 0") == (plan(said), said.message)


def test_one_schedule(shelf: Shelf, life: Life) -> None:
    operators = make_of_operator(shelf, started=ago(days=10))
    alone = make_backup(shelf, started=ago(days=9))
    hourly = make_backup(shelf, started=ago(days=8), schedule="hourly")
    nightly = daily(shelf, 3, schedule="nightly")
    said = life.run("prune", "--schedule=nightly", "--max-backups=1").expect(0)
    assert [
        f"keep   {nightly[0]}  the newest",
        f"remove {nightly[1]}  1 newer one is whole",
        f"remove {nightly[2]}  1 newer one is whole",
        f"keep   {hourly}  of the schedule hourly",
        f"keep   {alone}  of no schedule",
        f"keep   {operators}  its schedule is not known",
    ] == plan(said)
    assert {nightly[0], hourly, alone, operators} == shelf.names()

    said = life.run("prune", "--max-backups=1").expect(0)
    assert {nightly[0]} == shelf.names()


def test_a_later_format_and_a_damaged_record(shelf: Shelf, life: Life) -> None:
    oldest = make_backup(shelf, started=ago(days=9), record={"format": 2})
    damaged = make_backup(shelf, started=ago(days=8), record={"id": "f" * 32})
    names = daily(shelf, 2)
    said = life.run("prune", "--max-backups=1").expect(0)
    *others, later = plan(said)
    assert [
        f"keep   {names[0]}  the newest",
        f"remove {names[1]}  1 newer one is whole",
        f"remove {damaged}  1 newer one is whole",
    ] == others
    assert later.startswith(f"keep   {oldest}  the record has format 2, and this version reads up")
    assert {names[0], oldest} == shelf.names()


# Clocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [DAY, -DAY])
@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_a_clock_that_is_a_day_off_removes_nothing_too_early(
    shelf: Shelf,
    times: Times,
    timed: Life,
    whose: str,
    off: timedelta,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """60 h old, and 72 h to stay: only if both clocks said so would it go."""
    names = [make_backup(shelf, started=ago(hours=hours)) for hours in (60, 1)]
    if whose == "theirs":
        times.later = off
    else:
        now = prune.our_clock
        monkeypatch.setattr(prune, "our_clock", lambda: now() + off)
    said = timed.run("prune", "--max-reserved-time=72h").expect(0)
    assert names[::-1] == kept(said)
    (warned,) = said.events("this machine's clock and the store's do not agree")
    assert "24h" == warned["apart"]

    at_once(times, monkeypatch, DAY)
    monkeypatch.setattr(prune, "our_clock", lambda: ago(days=-1))
    assert [names[1]] == kept(timed.run("prune", "--max-reserved-time=72h").expect(0))


@pytest.mark.parametrize("off", [DAY, -DAY])
def test_a_clock_that_was_a_day_off_when_a_backup_was_made(
    shelf: Shelf, times: Times, timed: Life, off: timedelta
) -> None:
    """The newest two stay, by what the store knows: that one came last but one."""
    true = {day: ago(days=day) for day in (1, 2, 3, 4)}
    names = {}
    for day in (4, 3, 2, 1):
        started = true[day] + (off if day == 2 else timedelta())
        names[day] = make_backup(shelf, started=started + timedelta(seconds=day))
        times.moments[names[day]] = true[day]
    said = timed.run("prune", "--max-backups=2").expect(0)
    assert {names[1], names[2]} <= set(kept(said))
    assert names[4] not in kept(said)


# What was never published ------------------------------------------------------------------


def test_incompletes_go_when_they_are_old(
    shelf: Shelf, times: Times, timed: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_backup(shelf, started=ago(days=1))
    old = [
        make_incomplete(shelf, started=ago(hours=1)),
        make_incomplete(shelf, started=ago(hours=2), archived=True),
    ]
    # Nothing but an upload; and what TiDB Operator's manager leaves when it is killed.
    old.append("backup-2026-10-01T00:00:00Z-aaaaaaaa")
    shelf.begin_upload(shelf.key(f"{old[-1]}/shop.orders.000000000.sql"), b"part")
    old.append("backup-2026-09-30T00:00:00Z-bbbbbbbb.tgz")
    shelf.begin_upload(shelf.key(old[-1]))
    old.append("backup-2026-09-29T00:00:00Z.tgz")
    shelf.put(shelf.key(f"{old[-1]}.tmp"), b"cut")

    said = timed.run("prune").expect(0)
    why = "incomplete, written to within the last 168h"
    assert [f"keep   {name}  {why}" for name in old] == [
        line for line in plan(said) if whole not in line
    ]

    at_once(times, monkeypatch, 8 * DAY)
    said = timed.run("prune", "--dry-run").expect(0)
    assert shelf.uploads()
    why = "incomplete, nothing written for 168h"
    assert [f"remove {name}  {why}" for name in old] == [
        line for line in plan(said) if whole not in line
    ]
    assert plan(said) == plan(timed.run("prune").expect(0))
    assert {whole} == shelf.names()
    assert [] == shelf.uploads()


@pytest.mark.parametrize("young", ["object", "upload", "part"])
def test_an_incomplete_that_was_written_to_stays(
    shelf: Shelf, times: Times, timed: Life, young: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = make_incomplete(shelf, started=ago(hours=1))
    shelf.begin_upload(shelf.key(f"{name}/shop.big.000000000.sql"), b"part")
    at_once(times, monkeypatch, 8 * DAY)
    recent = ago(days=-7)  # by the store's clock a day ago
    if young == "object":
        times.moments[f"{name}/metadata"] = recent
    elif young == "upload":
        times.moments[f"{name}/shop.big"] = recent
    else:
        times.parts[name] = recent
    said = timed.run("prune").expect(0)
    assert [name] == kept(said)
    assert 1 == len(shelf.uploads())
    assert plan(timed.run("prune", "--incomplete-after=12h").expect(0)) == [
        f"remove {name}  incomplete, nothing written for 12h"
    ]
    assert gone(shelf, name)


@pytest.mark.parametrize("meanwhile", ["written to", "published"])
def test_a_run_that_goes_on_with_an_incomplete_meanwhile(
    shelf: Shelf, times: Times, timed: Life, meanwhile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can see the tombstone; and it is looked at again once that stands."""
    name = make_incomplete(shelf, started=ago(hours=1))
    layout = Layout(shelf.key(name))

    def go_on(_: Request) -> None:
        if meanwhile == "published":
            shelf.put(layout.record, b"{}")
        else:
            times.moments[f"{name}/metadata"] = ago(days=-8)

    at_once(times, monkeypatch, 8 * DAY)
    times.before(operation("PutObject", containing="backup.json.deleted"), go_on)
    said = timed.run("prune").expect(0)
    assert [f"remove {name}  incomplete, nothing written for 168h"] == plan(said)
    assert "removed 0 backups, kept 1" == said.message
    (left,) = said.events("left alone after all")
    assert f"it was {meanwhile} meanwhile" == left["why"]
    left_there = shelf.keys()
    assert set(FILES) <= {key.partition("/")[2] for key in left_there}
    assert f"{name}/backup.json.deleted" not in left_there


def test_what_others_put_beside_an_archive_is_nobodys(shelf: Shelf, life: Life) -> None:
    """Somebody has unpacked it there, or copied it."""
    old = make_backup(shelf, started=ago(days=2), archived=True)
    make_backup(shelf, started=ago(days=1))
    others = [f"{old}-old", f"{old}.bak", f"{old}.unpacked/shop.orders.sql"]
    for key in others:
        shelf.put(shelf.key(key), b"x")
    life.run("prune", "--max-backups=1").expect(0)
    keys = shelf.keys()
    assert others == [key for key in keys if old in key]
    assert old not in life.run("list").expect(0).stdout
    life.run("clean", old, "--yes").expect(7)


@pytest.mark.parametrize("html", [False, True])
def test_a_record_that_is_listed_and_not_found_is_believed_to_be_there(
    shelf: Shelf, life: Life, *, html: bool
) -> None:
    old = make_backup(shelf, started=ago(days=2))
    answer = Answer(404, b"<html>no</html>", {"Content-Type": "text/html"})
    lie = answer if html else Answer.error("NoSuchKey", 404)
    with S3Proxy(shelf.server.http) as proxy:
        proxy.answer(operation("GetObject", containing="backup.json"), lie, times=99)
        said = life.but(endpoint=proxy.url).run("prune", "--incomplete-after=1s")
    assert (7 if html else 0) == said.exit_code
    assert is_whole(shelf, old)
    keys = shelf.keys()
    assert [] == [key for key in keys if key.endswith(".deleted")]


@pytest.mark.parametrize("code", ["RetentionPolicyNotMet", "FileImmutable", "InvalidRequest"])
def test_what_a_policy_of_another_name_holds_stays_as_it_was(
    shelf: Shelf, life: Life, code: str
) -> None:
    old, older = (make_backup(shelf, started=ago(days=days)) for days in (2, 3))
    make_backup(shelf)
    with S3Proxy(shelf.server.http) as proxy:
        held = operation("DeleteObject", containing=f"{older[-8:]}/backup.json")
        proxy.answer(
            lambda each: held(each) and not each.target.endswith(".deleted"),
            Answer.error(code, 409),
            times=9,
        )
        life.but(endpoint=proxy.url).run("prune", "--max-backups=1").expect(7)
    assert is_whole(shelf, older)
    assert gone(shelf, old)


# Deleting ----------------------------------------------------------------------------------


def test_the_order(shelf: Shelf, times: Times, timed: Life) -> None:
    """A tombstone, the record, the files, the uploads, the tombstone."""
    old = make_backup(shelf, started=ago(days=2))
    make_backup(shelf, started=ago(days=1))
    shelf.begin_upload(shelf.key(f"{old}/shop.big.000000000.sql"))
    timed.run("prune", "--max-backups=1").expect(0)
    writes = ordered(times.requests, lambda each: each.operation in {*REMOVES, "PutObject"})
    assert [
        "DeleteObject .backup-manager-probe-delete",
        "PutObject backup.json.deleted",
        "DeleteObject backup.json",
        f"DeleteObjects {shelf.bucket}",
        "AbortMultipartUpload shop.big.000000000.sql",
        "DeleteObject backup.json.deleted",
    ] == writes
    assert gone(shelf, old)


# The writes of `test_the_order`, before which it is killed.
KILLS = [
    operation("PutObject", containing="backup.json.deleted"),
    lambda each: each.method == "DELETE" and each.target.endswith("backup.json"),
    operation("DeleteObjects"),
    operation("AbortMultipartUpload"),
    operation("DeleteObject", containing="backup.json.deleted"),
]


@pytest.mark.parametrize("point", range(len(KILLS)))
@pytest.mark.parametrize("archived", [False, True])
def test_killed_anywhere_a_rerun_ends_it(
    shelf: Shelf, times: Times, timed: Life, point: int, *, archived: bool
) -> None:
    old = make_backup(shelf, started=ago(hours=2), archived=archived)
    new = make_backup(shelf, started=ago(hours=1))
    layout = Layout(shelf.key(old))
    shelf.begin_upload(layout.root if archived else f"{layout.root}/shop.big.000000000.sql")
    trouble = times.hold(KILLS[point])
    words = ("prune", "--max-backups=1")
    with timed.start(*words) as running:
        running.wait_until(trouble.reached.is_set)
        running.kill()
    times.forget()

    keys = shelf.keys()
    there = [shelf.key(key) for key in keys]
    assert (point < 2) == (layout.record in there)
    if point < 3:
        assert layout.key("metadata") in there  # all of it, while there may be a record
    # It is no good backup any more, once its removal was begun; and the other one is.
    assert (0 if point == 0 else 8 if point == 1 else 7) == timed.run("verify", old).exit_code
    assert timed.run("verify", "latest").expect(0).summary["backup"] == shelf.url(new)

    why = "1 newer one is whole" if point < 2 else "its removal was begun"
    said = timed.run(*words).expect(0)
    assert [f"keep   {new}  the newest", f"remove {old}  {why}"] == plan(said)
    assert gone(shelf, old)
    assert is_whole(shelf, new)


def test_what_was_begun_is_ended_with_any_words(shelf: Shelf, life: Life) -> None:
    """However young it is, and of whatever schedule it was."""
    name = make_incomplete(shelf)
    shelf.put(Layout(shelf.key(name)).tombstone, b"being removed")
    said = life.run("prune", "--schedule=nightly").expect(0)
    assert [f"remove {name}  its removal was begun"] == plan(said)
    assert [] == shelf.keys()


def test_sigterm(shelf: Shelf, times: Times, timed: Life) -> None:
    names = daily(shelf, 3)
    held = times.hold(operation("DeleteObjects"))
    with timed.start("prune", "--max-backups=1") as running:
        running.wait_until(held.reached.is_set)
        running.terminate()
        running.result().expect(143, "Terminated")
    times.forget()
    said = timed.run("prune", "--max-backups=1").expect(0)
    assert f"remove {names[2]}  its removal was begun" == plan(said)[2]
    assert {names[0]} == shelf.names()


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (400, "MalformedXML"), (501, "NotImplemented")]
)
def test_a_store_that_refuses_to_delete_in_bulk(
    shelf: Shelf, times: Times, timed: Life, status: int, code: str
) -> None:
    old, new = make_backup(shelf, started=ago(days=2)), make_backup(shelf, started=ago(days=1))
    times.refuse(operation("DeleteObjects"), times=99, status=status, code=code)
    timed.run("prune", "--max-backups=1").expect(0)
    assert {new} == shelf.names()
    assert gone(shelf, old)


def test_a_store_that_says_gone_of_what_stays(shelf: Shelf, times: Times, timed: Life) -> None:
    old = make_backup(shelf, started=ago(days=2))
    make_backup(shelf, started=ago(days=1))
    there = shelf.keys()
    named = "".join(
        f"<Deleted><Key>{shelf.key(key)}</Key></Deleted>" for key in there if old in key
    )
    lie = f"<DeleteResult>{named}</DeleteResult>".encode()
    times.answer(operation("DeleteObjects"), Answer(200, lie), times=99)
    said = timed.run("prune", "--max-backups=1").expect(7, "CleanBackupDataFailed")
    assert "is not empty" in said.message
    times.forget()
    timed.run("prune", "--max-backups=1").expect(0)
    assert gone(shelf, old)


def test_a_store_that_is_away(shelf: Shelf, times: Times, timed: Life) -> None:
    """Nothing is taken for gone that could not be asked for."""
    names = daily(shelf, 3)
    times.refuse(operation("DeleteObjects", "DeleteObject"), times=9999, status=400, code="Odd")
    said = timed.run("prune", "--max-backups=1").expect(7, "CleanBackupDataFailed")
    assert "Odd" in said.message
    assert set(names) == shelf.names()


# Permissions, locks, versions --------------------------------------------------------------


def limited(ceph: Ceph, shelf: Shelf, life: Life, *denied: str, below: str = "*") -> Life:
    """The commands with the keys of an account that may do everything but this."""
    access_key, secret_key = ceph.create_user(f"limited-{shelf.bucket}")
    who = {"AWS": [f"arn:aws:iam:::user/limited-{shelf.bucket}"]}
    arn = f"arn:aws:s3:::{shelf.bucket}"
    every = {"Effect": "Allow", "Principal": who, "Action": ["s3:*"], "Resource": [arn, f"{arn}/*"]}
    but = {
        "Effect": "Deny",
        "Principal": who,
        "Action": list(denied),
        "Resource": [arn, f"{arn}/{below}"],
    }
    ceph.set_policy(shelf.bucket, {"Version": "2012-10-17", "Statement": [every, but]})
    keys = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    return life.but(environment=keys)


def test_a_key_that_may_not_delete(shelf: Shelf, ceph: Ceph, life: Life) -> None:
    daily(shelf, 2)
    before = shelf.keys()
    narrow = limited(ceph, shelf, life, "s3:DeleteObject")
    said = narrow.run("prune", "--max-backups=1").expect(7, "CleanBackupDataFailed")
    assert "allow the key s3:DeleteObject" in said.message
    assert before == shelf.keys()


def test_one_backup_that_may_not_be_deleted(shelf: Shelf, ceph: Ceph, life: Life) -> None:
    """The others go all the same; and this one stays what it was."""
    names = daily(shelf, 4)
    golden = names[2]
    # A colon would be one of the ARN's own.
    below = shelf.key(golden).replace(":", "?") + "/*"
    narrow = limited(ceph, shelf, life, "s3:DeleteObject", below=below)
    said = narrow.run("prune", "--max-backups=1").expect(7, "CleanBackupDataFailed")
    assert {names[0], golden} == shelf.names()
    assert said.message.startswith(f"1 backup of 3 could not be removed: {shelf.url(golden)}: ")
    assert "s3:DeleteObject" in said.message
    life.run("verify", golden).expect(0)
    # Nor is it taken for one whose removal was begun.
    foretold = life.run("prune", "--dry-run", "--max-backups=2").expect(0)
    assert [names[0], golden] == kept(foretold)


def test_a_key_that_may_not_write(shelf: Shelf, ceph: Ceph, life: Life) -> None:
    """Then there is no tombstone."""
    names = daily(shelf, 2)
    limited(ceph, shelf, life, "s3:PutObject").run("prune", "--max-backups=1").expect(0)
    assert {names[0]} == shelf.names()


def test_a_key_that_may_not_list_uploads(shelf: Shelf, ceph: Ceph, life: Life) -> None:
    names = daily(shelf, 2)
    narrow = limited(ceph, shelf, life, "s3:ListBucketMultipartUploads")
    said = narrow.run("prune", "--max-backups=1").expect(0)
    assert {names[0]} == shelf.names()
    (warning,) = said.warnings
    assert "s3:ListBucketMultipartUploads" in warning


def lock(shelf: Shelf, name: str, *, hold: bool = False) -> None:
    where = {"Bucket": shelf.bucket, "Key": Layout(shelf.key(name)).record}
    if hold:
        shelf.client.put_object_legal_hold(**where, LegalHold={"Status": "ON"})  # type: ignore[arg-type]  # mypy sees no names
    else:
        until = {"Mode": "GOVERNANCE", "RetainUntilDate": ago(days=-1)}
        shelf.client.put_object_retention(**where, Retention=until)  # type: ignore[arg-type]  # the same


@pytest.fixture
def vault(ceph: Ceph, unique: str) -> Shelf:
    """A bucket with Object Lock, which keeps versions."""
    ceph.client().create_bucket(Bucket=unique, ObjectLockEnabledForBucket=True)
    return Shelf(ceph, unique)


def test_what_is_locked_stays_and_versions_are_told_of(vault: Shelf) -> None:
    older = daily(vault, 3)
    lock(vault, older[0])
    lock(vault, older[1], hold=True)
    # Made later: to Ceph's HeadObject what is locked was modified by that (seen on 16).
    names = [make_backup(vault, started=ago(hours=1)), *older]
    life = Life(vault)
    said = life.run("prune", "--max-backups=1").expect(0)
    until, held, free = plan(said)[1:]
    assert until.startswith(f"keep   {names[1]}  locked: GOVERNANCE until ")
    assert f"keep   {names[2]}  locked: legal hold" == held
    assert f"remove {names[3]}  1 newer one is whole" == free
    assert set(names[:3]) == vault.names()
    (warning,) = said.warnings
    assert f"s3://{vault.bucket}/" in warning
    assert "keeps versions" in warning
    assert "NoncurrentVersionExpiration" in warning


def test_versions_without_locks(shelf: Shelf, life: Life) -> None:
    shelf.client.put_bucket_versioning(
        Bucket=shelf.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    names = daily(shelf, 2)
    said = life.run("prune", "--max-backups=1").expect(0)
    assert {names[0]} == shelf.names()
    assert "keeps versions" in said.warnings[0]


# What others chose -------------------------------------------------------------------------


def test_a_name_of_a_file_does_not_move_the_cursor(shelf: Shelf, life: Life) -> None:
    names = daily(shelf, 2)
    shelf.put(shelf.key(f"{names[0]}/a\x1b[2J\nb"), b"x")
    said = life.run("prune", "--max-backups=1").expect(0)
    assert 2 == len(plan(said))
    assert "a\\x1b[2J b: it is no file of this backup" in plan(said)[0]


def test_without_a_prefix(ceph: Ceph, bucket: str) -> None:
    shelf = Shelf(ceph, bucket, prefix="")
    names = daily(shelf, 2)
    upload = "backup-2026-10-01T00:00:00Z-aaaaaaaa"
    shelf.begin_upload(f"{upload}/x")
    said = Life(shelf).run("prune", "--max-backups=1").expect(0)
    assert [names[0], upload] == kept(said)
    assert {names[0]} == shelf.names()


@pytest.mark.parametrize("server", ["rclone", "seaweedfs"])
def test_elsewhere(server: str, request: pytest.FixtureRequest, unique: str) -> None:
    store: Rclone | SeaweedFS = request.getfixturevalue(server)
    store.create_bucket(unique)
    shelf = Shelf(store, unique)
    archive = make_backup(shelf, started=ago(days=4), archived=True)
    names = daily(shelf, 3)
    begun = make_incomplete(shelf, started=ago(days=5))
    shelf.put(Layout(shelf.key(begun)).tombstone, b"being removed")
    said = Life(shelf).run("prune", "--max-backups=1").expect(0)
    assert [
        f"keep   {names[0]}  the newest",
        *(f"remove {name}  1 newer one is whole" for name in (*names[1:], archive)),
        f"remove {begun}  its removal was begun",
    ] == plan(said)
    assert {names[0]} == shelf.names()
    assert [] == said.warnings
