"""What writes into a Backup object and tells events of it, each by itself."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backup_manager.errors import KubernetesError, Reason
from backup_manager.kubernetes import backup_object as reading
from backup_manager.kubernetes.backup_object import BackupObject, read_object
from backup_manager.kubernetes.status import Condition, Type, Wanted
from backup_manager.kubernetes.writing import Writer
from backup_manager.progress import Figures
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.telling import Phase, Telling, Traffic
from tests.doubles.kubernetes_double import WRITTEN, KubernetesDouble, backup_object

from . import seen
from .jobs import NAME, NAMESPACE

BACKUP = "s3://backups/nightly/backup-2026-11-22T10:00:00Z-1a2b3c4d"
RECORD = {
    "finished": "2026-11-22T10:00:00Z",
    "files": 3,
    "bytes": 4_000_000,
    "snapshot": {"tso": "429000000000000000"},
}


class Clock:
    """`time` for a module: it goes on only when it is told to, and by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.time = time.time

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("backup_manager.kubernetes.writing.time", made)
    return made


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def report(log: io.StringIO) -> Report:
    return Report(stream=log)


@pytest.fixture
def read(
    api: KubernetesDouble, tmp_path: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., BackupObject]:
    """Read the object, as a run does at its start."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return lambda seconds=0.0: read_object(NAME, NAMESPACE, report, Stop(), seconds)


@pytest.fixture
def backup(api: KubernetesDouble, read: Callable[..., BackupObject]) -> BackupObject:
    api.create(backup_object(NAME, NAMESPACE))
    return read()


@pytest.fixture
def writer(backup: BackupObject) -> Writer:
    return backup.writer()


def wanted(kind: Type = Type.RUNNING, **fields: Any) -> Wanted:
    return Wanted([Condition(kind, time.time())], fields=fields, at=time.time())


def annotate(body: dict[str, Any]) -> None:
    """Another writer, who never rests."""
    marks = body["metadata"].setdefault("annotations", {})
    marks["number"] = str(int(marks.get("number", 0)) + 1)


def test_while_only_progress_moves_it_writes_every_10_s(
    api: KubernetesDouble, writer: Writer, clock: Clock
) -> None:
    now = wanted()
    written: list[float] = []
    for second in range(61):
        now.progress = {"Dump": float(second)}
        writer.write(now)
        if len(seen.asked(api, "PUT")) > len(written):
            written.append(clock.now)
        clock.now += 1.0
    assert [0, 10, 20, 30, 40, 50, 60] == [at - written[0] for at in written]
    # What changes more than that is written at once, and the seconds count from there.
    clock.now -= 0.9
    now.progress = {"Dump": 61.0}
    writer.write(now)
    assert len(written) == len(seen.asked(api, "PUT"))
    now.conditions.append(Condition(Type.COMPLETE, time.time()))
    writer.write(now)
    assert len(written) + 1 == len(seen.asked(api, "PUT"))
    assert {"Dump": 61} == seen.progress(seen.status(api))
    clock.now += 9.9
    now.progress = {"Dump": 62.0}
    writer.write(now)
    assert {"Dump": 61} == seen.progress(seen.status(api))
    clock.now += 0.1
    writer.write(now)
    assert {"Dump": 62} == seen.progress(seen.status(api))


def test_what_is_there_is_not_written_again(
    api: KubernetesDouble, writer: Writer, clock: Clock
) -> None:
    now = wanted()
    for _ in range(3):
        writer.write(now)
        clock.now += 60
    assert 1 == len(seen.asked(api, "PUT"))


def test_conflicts_are_read_and_merged(api: KubernetesDouble, writer: Writer) -> None:
    api.conflict_next(5)
    writer.write(wanted(backupPath=BACKUP))
    assert [409] * 5 + [200] == [each.status for each in seen.asked(api, "PUT")]
    now = api.backup(NAME)
    assert "5" == now["metadata"]["annotations"][WRITTEN]
    assert ("Running", BACKUP) == (now["status"]["phase"], now["status"]["backupPath"])


def test_a_conflict_over_progress_alone(
    api: KubernetesDouble, writer: Writer, clock: Clock
) -> None:
    now = wanted()
    writer.write(now)
    clock.now += 10
    api.conflict_next(2)
    now.progress = {"Dump": 1.0}
    writer.write(now)
    assert {"Dump": 1} == seen.progress(seen.status(api))
    assert "2" == api.backup(NAME)["metadata"]["annotations"][WRITTEN]


def test_conflicts_without_an_end(api: KubernetesDouble, writer: Writer) -> None:
    """A bounded number of tries, and the next call tries again."""
    api.writer(annotate)
    with pytest.raises(KubernetesError) as caught:
        writer.write(wanted())
    assert (409, Reason.STATUS) == (caught.value.status, caught.value.reason)
    assert 10 == len(seen.asked(api, "PUT"))
    api.writer(None)
    writer.write(wanted())
    assert "10" == api.backup(NAME)["metadata"]["annotations"]["number"]
    assert "Running" == seen.status(api)["phase"]


def test_to_insist_outlasts_conflicts_and_has_a_bound(
    api: KubernetesDouble, writer: Writer, clock: Clock
) -> None:
    api.conflict_next(35)
    writer.insist(wanted(), 60, lambda rest: rest)
    assert "Running" == seen.status(api)["phase"]
    api.writer(annotate)
    begun = clock.now
    with pytest.raises(KubernetesError) as caught:
        writer.insist(wanted(Type.COMPLETE), 60, lambda rest: rest)
    assert 409 == caught.value.status
    assert 60 <= clock.now - begun < 70


@pytest.mark.parametrize("status", [500, 503, 504, 429, 502, 0])
def test_to_insist_outlasts_an_api_that_is_away(
    api: KubernetesDouble, writer: Writer, clock: Clock, status: int
) -> None:
    if status:
        api.fail_next(status, times=8, method="PUT", retry_after=0)
    else:
        api.lose_next(times=2)
    writer.insist(wanted(), 60, lambda rest: rest)
    assert "Running" == seen.status(api)["phase"]
    assert clock.now <= 1060


def test_to_insist_ends_with_the_run(api: KubernetesDouble, writer: Writer, clock: Clock) -> None:
    """A signal leaves it less time than there was."""
    api.away()
    with pytest.raises(KubernetesError) as caught:
        writer.insist(wanted(), 60, lambda rest: rest - 55)
    assert Reason.STATUS == caught.value.reason
    assert clock.now < 1010
    assert api.server in caught.value.message


@pytest.mark.parametrize("how", ["forbidden", "gone", "another", "invalid"])
def test_what_will_not_get_better_is_not_tried_again(
    api: KubernetesDouble, writer: Writer, clock: Clock, how: str
) -> None:
    fields: dict[str, Any] = {}
    if how == "forbidden":
        api.forbid("update", "backups")
    elif how == "invalid":
        fields["backupSize"] = "no number"
    else:
        api.remove(NAME)
    if how == "another":
        api.create(backup_object(NAME, NAMESPACE))
    before = len(api.requests)
    with pytest.raises(KubernetesError) as caught:
        writer.insist(wanted(**fields), 60, lambda rest: rest)
    assert [] == [pause for pause in clock.slept if pause]
    assert len(api.requests) - before <= 2
    said = {
        "forbidden": "does not let us update backups in namespace test1",
        "gone": f"there is no Backup test1/{NAME}",
        "another": f"Backup test1/{NAME} is another one now",
        "invalid": "status.backupSize",
    }[how]
    assert said in caught.value.message


def test_another_object_of_that_name_is_left_alone(api: KubernetesDouble, writer: Writer) -> None:
    api.remove(NAME)
    other = api.create(backup_object(NAME, NAMESPACE))
    for kind in (Type.RUNNING, Type.COMPLETE):
        with pytest.raises(KubernetesError):
            writer.write(wanted(kind))
        assert other == api.backup(NAME)


def test_a_token_that_is_replaced(api: KubernetesDouble, writer: Writer) -> None:
    writer.write(wanted(Type.PREPARE))
    api.rotate()
    writer.write(wanted(Type.RUNNING))
    assert [200, 401, 200] == [each.status for each in seen.asked(api, "PUT")]
    api.rotate(write=False)
    with pytest.raises(KubernetesError, match="does not accept our token"):
        writer.write(wanted(Type.COMPLETE))
    api.write_tokens()
    writer.write(wanted(Type.COMPLETE))
    assert "Complete" == seen.status(api)["phase"]


def test_events_hold_what_people_look_for(api: KubernetesDouble, backup: BackupObject) -> None:
    events = backup.events()
    events.add("Normal", "Started", "the backup has begun")
    events.add("Warning", "DumpTidbClusterFailed", "漢" * 2000)
    events.send()
    first, second = api.events
    assert {
        "apiVersion": "pingcap.com/v1alpha1",
        "kind": "Backup",
        "namespace": NAMESPACE,
        "name": NAME,
        "uid": backup.body["metadata"]["uid"],
    } == first["involvedObject"]
    assert ("Normal", "Started", "the backup has begun") == (
        first["type"],
        first["reason"],
        first["message"],
    )
    assert first["firstTimestamp"] == first["lastTimestamp"]
    assert 1 == first["count"]
    assert ("Warning", "DumpTidbClusterFailed") == (second["type"], second["reason"])
    # The API takes no longer ones.
    assert 1020 <= len(second["message"].encode()) <= 1024


def test_events_wait_for_an_api_that_is_away(api: KubernetesDouble, backup: BackupObject) -> None:
    events = backup.events()
    for number, status in enumerate((500, 503, 429, 502)):
        api.fail_next(status, method="POST", retry_after=0)
        events.add("Normal", "Started", str(number))
        events.send()
    events.send()
    assert ["0", "1", "2", "3"] == [event["message"] for event in api.events]


def test_events_that_are_not_allowed_are_not_asked_for_again(
    api: KubernetesDouble, backup: BackupObject
) -> None:
    api.forbid("create", "events")
    events = backup.events()
    for _ in range(3):
        events.add("Normal", "Started", "the backup has begun")
        events.send()
    assert [403] == [each.status for each in seen.asked(api, "POST")]
    assert [] == api.events


@pytest.fixture
def telling(backup: BackupObject, report: Report, monkeypatch: pytest.MonkeyPatch) -> Telling:
    """A run that tells in the object; its end waits for a second."""
    sink = backup.sink(Stop())
    sink.patience_seconds = 1.0
    monkeypatch.setattr("backup_manager.kubernetes.writing._RETRY_SECONDS", 0.05)
    return Telling([sink], report)


def run(telling: Telling, report: Report) -> None:
    """A run from its beginning to its end."""
    telling.enter(Phase.CONNECTING)
    telling.begin(BACKUP, resumed=False)
    telling.enter(Phase.DUMPING)
    telling.show(Figures(rows=5, rows_estimated=10, sent_bytes=1, known_bytes=2), Traffic())
    telling.publish(RECORD)
    telling.enter(Phase.CLEARING)
    report.succeed("published")
    telling.finish(report.summary)


@pytest.mark.parametrize("how", ["away", "silent", "closing"])
def test_an_api_that_is_away_at_the_end(
    api: KubernetesDouble, telling: Telling, report: Report, how: str
) -> None:
    if how == "silent":
        api.silent()
    else:
        api.away(closing=how == "closing")
    begun = time.monotonic()
    run(telling, report)
    assert time.monotonic() - begun < 5
    assert ("complete", 0) == (report.summary.status, report.summary.exit_code)
    (warning,) = report.summary.warnings
    assert f"the status of Backup test1/{NAME} does not tell how this run ended" in warning
    if how != "silent":
        assert api.server in warning
    assert "Scheduled" == seen.status(api)["phase"]


def test_an_api_that_is_back_at_the_end_is_told_all(
    api: KubernetesDouble, telling: Telling, report: Report, log: io.StringIO
) -> None:
    api.away()
    telling.enter(Phase.CONNECTING)
    while "could not be told of this run" not in log.getvalue():
        time.sleep(0.01)
    api.back()
    run(telling, report)
    assert [] == report.summary.warnings
    assert ["Scheduled", "Prepare", "Running", "Complete"] == list(seen.conditions(api))
    assert {"Dump": 100, "Upload": 100} == seen.progress(seen.status(api))
    assert [("Normal", "Started"), ("Normal", "Complete")] == seen.told(api)


def test_messages_are_cut_and_hold_no_secret(
    api: KubernetesDouble, telling: Telling, report: Report
) -> None:
    report.redact.add("canary-secret")
    telling.enter(Phase.CONNECTING)
    report.fail(KubernetesError("canary-secret " + "é" * 5000))
    telling.finish(report.summary)
    failed = seen.conditions(api)["Failed"]
    assert 4090 <= len(failed["message"].encode()) <= 4096
    assert "canary" not in failed["message"] + api.events[-1]["message"]
    assert len(api.events[-1]["message"].encode()) <= 1024


def test_the_start_waits_for_an_api_that_is_away(
    api: KubernetesDouble,
    read: Callable[..., BackupObject],
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "_FIRST_PAUSE", 0.05)
    api.create(backup_object(NAME, NAMESPACE))
    for status in (500, 503, 429, 502):
        api.fail_next(status, method="GET", retry_after=0)
    assert NAME == read(30.0).api.name
    assert 1 == log.getvalue().count("it is tried again")
    api.away()
    begun = time.monotonic()
    with pytest.raises(KubernetesError, match="does not answer as it should"):
        read(0.5)
    assert 0.3 < time.monotonic() - begun < 5


def test_the_start_does_not_wait_for_what_is_refused(
    api: KubernetesDouble, read: Callable[..., BackupObject]
) -> None:
    with pytest.raises(KubernetesError, match="there is no Backup"):
        read(30.0)
    api.forbid("get", "backups")
    with pytest.raises(KubernetesError, match="does not let us get backups in namespace test1"):
        read(30.0)
    assert 2 == len(api.requests)
