"""`export --max-backups`: what is pruned after a backup is published, and what never fails it."""

from pathlib import Path

from tests.command import Result
from tests.export.conftest import Make
from tests.export.replays import RECORD_READ, replay
from tests.export.state import keys, left_on
from tests.life.backups import Shelf, ago, make_backup, make_incomplete
from tests.life.commands import Life
from tests.s3_proxy import S3Proxy, operation
from tests.servers import Ceph

FEW = replay(2)


def warnings(said: Result) -> list[str]:
    """Those of pruning."""
    return [text for text in said.warnings if "older ones stay" in text]


def test_the_newest_stay(double: Make, ceph: Ceph, bucket: str, volume: Path) -> None:
    shelf = Shelf(ceph, bucket)
    old = make_backup(shelf, started=ago(days=3))
    scheduled = make_backup(shelf, started=ago(days=2), schedule="nightly")
    running = make_incomplete(shelf)
    export = double(FEW, table_filter=[], max_backups=2)

    first = export.run().expect(0, "Complete")

    one = first.directory.removeprefix("nightly/")
    assert {one, old, scheduled, running} == shelf.names()
    assert [one, running, scheduled, old] == [
        event["backup"].rpartition("/")[2] for event in first.log if event["event"] == "keep"
    ]
    assert [] == [event for event in first.log if event["event"] == "remove"]

    second = export.run().expect(0, "Complete")

    two = second.directory.removeprefix("nightly/")
    assert {two, one, scheduled, running} == shelf.names()
    (removed,) = [event for event in second.log if event["event"] == "remove"]
    assert (shelf.url(old), "2 newer ones are whole") == (removed["backup"], removed["why"])
    # The summary is the new backup's.
    told = (second.summary["backup"], second.summary["files"], second.summary["bytes"])
    assert (shelf.url(two), first.summary["files"], first.summary["bytes"]) == told
    assert [] == warnings(second)
    assert second.stdout.count("\n") == 1

    of_schedule = export.but(schedule="nightly", max_backups=1).run().expect(0)

    three = of_schedule.directory.removeprefix("nightly/")
    assert {three, two, one, running} == shelf.names()
    for name in (one, two, three):
        Life(shelf).run("verify", name).expect(0)
    assert [] == left_on(volume)


def test_by_time_and_an_archive(double: Make, ceph: Ceph, bucket: str) -> None:
    shelf = Shelf(ceph, bucket)
    old = make_backup(shelf, started=ago(hours=3), archived=True)
    export = double(FEW, table_filter=[], format="archive", max_reserved_time="2h")
    result = export.run().expect(0)
    there = keys(ceph, bucket)
    assert not [key for key in there if old in key]
    assert 3 == len([key for key in there if key.startswith(result.directory)])


def test_nothing_is_pruned_unasked(double: Make, ceph: Ceph, bucket: str, proxy: S3Proxy) -> None:
    shelf = Shelf(ceph, bucket)
    old = make_backup(shelf, started=ago(days=300))
    export = double(FEW, table_filter=[], endpoint=proxy.url)
    export.run().expect(0)
    said = export.but(max_backups=0).run().expect(0)
    assert said.events("--max-backups=0 is no limit")
    assert old in shelf.names()
    asked = [each for each in proxy.requests if old in each.target or "delimiter" in each.target]
    assert [] == asked


def test_a_failure_is_a_warning(double: Make, ceph: Ceph, bucket: str, proxy: S3Proxy) -> None:
    shelf = Shelf(ceph, bucket)
    old = make_backup(shelf, started=ago(days=3))
    refused = operation("DeleteObject", containing=f"{old[-8:]}/")
    proxy.refuse(refused, status=403, code="AccessDenied", times=99)
    export = double(FEW, table_filter=[], endpoint=proxy.url, max_backups=1)
    said = export.run().expect(0, "Complete")
    (warning,) = warnings(said)
    assert warning.startswith("the backup is complete, but older ones stay: 1 backup of 1 could ")
    assert "s3:DeleteObject" in warning
    Life(shelf).run("verify", old).expect(0)


def test_a_signal_is_a_warning(
    double: Make, ceph: Ceph, bucket: str, volume: Path, proxy: S3Proxy
) -> None:
    shelf = Shelf(ceph, bucket)
    old = make_backup(shelf, started=ago(days=3))
    held = proxy.hold(operation("DeleteObjects"))
    export = double(FEW, table_filter=[], endpoint=proxy.url, max_backups=1)
    with export.start() as running:
        running.wait_until(held.reached.is_set)
        running.terminate()
        said = running.result().expect(0, "Complete")
    proxy.forget()
    (warning,) = warnings(said)
    assert "older ones stay: stopped by SIGTERM" in warning
    assert [] == left_on(volume)

    # What it had begun, the next one ends.
    two = export.run().expect(0)
    assert {two.directory.removeprefix("nightly/")} == shelf.names()
    assert old not in shelf.names()


def test_killed_while_pruning_the_next_run_is_a_new_backup(
    double: Make, ceph: Ceph, bucket: str, volume: Path, proxy: S3Proxy
) -> None:
    shelf = Shelf(ceph, bucket)
    make_backup(shelf, started=ago(days=3))
    held = proxy.hold(operation("DeleteObjects"))
    export = double(FEW, table_filter=[], endpoint=proxy.url, max_backups=1)
    with export.start() as running:
        running.wait_until(held.reached.is_set)
        running.kill()
    proxy.forget()
    # Published and cleared before that.
    assert [] == [name for name in left_on(volume) if not name.endswith(".lock")]
    said = export.run().expect(0)
    assert said.summary["resumed"] is False
    assert {said.directory.removeprefix("nightly/")} == shelf.names()


def test_a_backup_that_is_being_removed_does_not_come_back(
    double: Make, ceph: Ceph, bucket: str, proxy: S3Proxy
) -> None:
    """Killed as soon as its record was there; then half removed."""
    shelf = Shelf(ceph, bucket)
    held = proxy.hold(RECORD_READ)
    export = double(FEW, table_filter=[], endpoint=proxy.url)
    with export.start() as running:
        running.wait_until(held.reached.is_set)
        running.kill()
    proxy.forget()
    (name,) = shelf.names()
    held = proxy.hold(operation("DeleteObjects"))
    with Life(shelf, endpoint=proxy.url).start("clean", name, "--yes") as running:
        running.wait_until(held.reached.is_set)
        running.kill()
    proxy.forget()

    said = export.run().expect(10, "HeldByAnotherRun")

    assert "was removed by prune or clean" in said.message
    again = export.run().expect(0)
    assert again.summary["resumed"] is False
    assert shelf.url(name) != again.summary["backup"]
