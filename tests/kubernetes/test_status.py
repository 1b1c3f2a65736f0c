"""The status of a Backup object, from the beginning of a run to its end."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.command import Running
from tests.doubles.kubernetes_double import KubernetesDouble
from tests.export.conftest import proxy
from tests.export.replays import RECORD, SMALL, replay
from tests.s3_proxy import S3Proxy
from tests.servers import Ceph, wait_until

from . import seen
from .conftest import Apply, MakeJob
from .jobs import NAME, OperatorJob

__all__ = ["proxy"]

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ALL_PHASES = ["Scheduled", "Prepare", "Running", "Complete"]


class Gate:
    """A dump of files that are made up; it stands still where the gate says."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "gate"
        self.reached = directory / "reached"

    def after(self, files: int, **plan: Any) -> list[dict[str, Any]]:
        stop = {"after_files": files, "path": str(self.path), "reached": str(self.reached)}
        return [replay(files * 2, **plan), {"gate": stop}]

    def open(self) -> None:
        self.path.touch()

    def wait(self, running: Running) -> None:
        running.wait_until(self.reached.exists)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def test_a_whole_run(
    api: KubernetesDouble, apply: Apply, job: MakeJob, ceph: Ceph, bucket: str
) -> None:
    apply()
    begun = datetime.now(UTC).replace(microsecond=0)
    result = job().run().expect(0)
    ended = datetime.now(UTC)

    assert ALL_PHASES == seen.phases(api)
    status, conditions = seen.status(api), seen.conditions(api)
    assert ALL_PHASES == list(conditions)
    for kind in ALL_PHASES[1:]:
        assert {"type", "status", "lastTransitionTime"} == conditions[kind].keys()
        assert "True" == conditions[kind]["status"]
    summary = result.summary
    assert {
        "backupPath": summary["backup"],
        "backupSize": summary["bytes"],
        "commitTs": summary["snapshot"]["tso"],
    } == {name: status[name] for name in ("backupPath", "backupSize", "commitTs")}
    assert isinstance(status["commitTs"], str)
    assert re.fullmatch(r"\d+ kB", status["backupSizeReadable"])
    assert f"{summary['bytes'] / 1000:.0f} kB" == status["backupSizeReadable"]
    times = [each["lastTransitionTime"] for each in (*conditions.values(), *status["progresses"])]
    for each in (status["timeStarted"], status["timeCompleted"], *times):
        assert TIME.fullmatch(each)
    started, completed = (
        datetime.fromisoformat(status[name]) for name in ("timeStarted", "timeCompleted")
    )
    assert begun <= started <= completed <= ended
    assert f"{(completed - started).seconds}s" == status["timeTaken"]
    assert {"Dump": 100, "Upload": 100} == seen.progress(status)
    assert 1 == len(seen.records(ceph.client(), bucket))


def test_each_state_holds_what_is_known_by_then(
    api: KubernetesDouble, apply: Apply, job: MakeJob
) -> None:
    apply()
    result = job().run().expect(0)
    late = ("timeCompleted", "timeTaken", "backupSize", "backupSizeReadable", "commitTs")
    for status in seen.statuses(api):
        known = {name for name, value in status.items() if value is not None}
        phase = status["phase"]
        assert ("timeStarted" in known) == (phase != "Scheduled")
        assert ("backupPath" in known) == (phase in {"Running", "Complete"})
        assert status.get("backupPath") in {None, result.summary["backup"]}
        assert (set(late) & known) == (set(late) if phase == "Complete" else set())
        assert (["Scheduled"] if phase == "Scheduled" else ["Scheduled", "Prepare"]) == [
            each["type"] for each in status["conditions"][:2]
        ]
        assert phase == status["conditions"][-1]["type"]


def test_the_path_is_there_while_it_runs(
    api: KubernetesDouble, apply: Apply, job: MakeJob, gate: Gate, ceph: Ceph, bucket: str
) -> None:
    """What is left of a run that dies now can be found, and cleaned away."""
    apply(tableFilter=["replay.*"])
    with job().with_double(*gate.after(2)).start() as running:
        gate.wait(running)
        running.wait_until(lambda: "Running" == seen.status(api)["phase"])
        running.wait_until(lambda: bool(seen.keys(ceph.client(), bucket)))
        path = seen.status(api)["backupPath"]
        assert [] == seen.records(ceph.client(), bucket)
        (written, *_) = seen.keys(ceph.client(), bucket)
        assert f"s3://{bucket}/{written}".startswith(f"{path}/")
        assert {"Dump", "Upload"} == seen.progress(seen.status(api)).keys()
        gate.open()
        assert path == running.result(60).expect(0).summary["backup"]


def test_progress_moves(api: KubernetesDouble, apply: Apply, job: MakeJob, gate: Gate) -> None:
    apply(tableFilter=["replay.*"])
    with job().with_double(*gate.after(20)).start() as running:
        gate.wait(running)
        at_half = len(seen.asked(api, "PUT"))
        # The next look is some 15 s after the last.
        running.wait_until(lambda: 0 < seen.progress(seen.status(api)).get("Upload", 0))
        half = seen.progress(seen.status(api))
        assert len(seen.asked(api, "PUT")) <= at_half + 1
        gate.open()
        running.result(60).expect(0)
    for step in ("Dump", "Upload"):
        assert 0 < half[step] < 100
        told = [seen.progress(each) for each in seen.statuses(api)]
        moved = [each[step] for each in told if step in each]
        assert sorted(moved) == moved
        assert 100 == moved[-1]


def test_an_archive(
    api: KubernetesDouble, apply: Apply, job: MakeJob, ceph: Ceph, bucket: str
) -> None:
    """Its size is that of what lies in the store; the path is what the operator restores from."""
    apply()
    job(environment={"BACKUP_MANAGER_FORMAT": "archive"}).run().expect(0)
    status = seen.status(api)
    key = status["backupPath"].removeprefix(f"s3://{bucket}/")
    assert key.endswith(".tgz")
    head = ceph.client().head_object(Bucket=bucket, Key=key)
    assert head["ContentLength"] == status["backupSize"]


@pytest.mark.parametrize(
    ("misdeed", "code", "reason"),
    [
        ({"misdeed": "password-leak"}, 5, "DumpTidbClusterFailed"),
        ({"misdeed": "killed"}, 5, "DumpTidbClusterFailed"),
        ({"misdeed": "metadata-no-pos"}, 6, "GetCommitTsFailed"),
        ({"misdeed": "enospc-at-close"}, 6, "DumpInvalid"),
    ],
    ids=lambda value: value["misdeed"] if isinstance(value, dict) else None,
)
def test_a_dump_that_fails(
    api: KubernetesDouble,
    apply: Apply,
    job: MakeJob,
    misdeed: dict[str, Any],
    code: int,
    reason: str,
) -> None:
    apply()
    result = job().with_double(misdeed).run().expect(code)
    assert ["Scheduled", "Prepare", "Running", "Failed"] == seen.phases(api)
    failed = seen.conditions(api)["Failed"]
    assert ("True", result.summary["reason"], result.message) == (
        failed["status"],
        failed["reason"],
        failed["message"],
    )
    assert reason == failed["reason"]
    status = seen.status(api)
    assert status["timeCompleted"] is None
    assert not {"timeTaken", "backupSize", "backupSizeReadable", "commitTs"} & status.keys()
    assert [("Normal", "Started"), ("Warning", reason)] == seen.told(api)
    assert result.message == api.events[-1]["message"]
    seen.assert_nothing_secret(api, result)
    # It was in there, unless Dumpling had nothing to say.
    assert ("***" in result.message) == (misdeed["misdeed"] == "password-leak")


def test_a_login_that_is_refused(api: KubernetesDouble, apply: Apply, job: MakeJob) -> None:
    apply()
    result = job(password="another one's").run().expect(3, "ConnectTidbFailed")
    assert ["Scheduled", "Prepare", "Failed"] == seen.phases(api)
    assert "backupPath" not in seen.status(api)
    assert result.message == seen.conditions(api)["Failed"]["message"]
    seen.assert_nothing_secret(api, result)


def test_wrong_settings_are_told_too(api: KubernetesDouble, apply: Apply, job: MakeJob) -> None:
    apply(dumpling={"options": ["--no-such-option"]})
    result = job().run().expect(2)
    assert ["Scheduled", "Failed"] == seen.phases(api)
    failed = seen.conditions(api)["Failed"]
    assert (result.summary["reason"], result.message) == (failed["reason"], failed["message"])
    assert "--no-such-option" in failed["message"]


def test_a_failure_is_over_once_the_backup_is_complete(
    api: KubernetesDouble, apply: Apply, job: MakeJob
) -> None:
    """With the condition "True" the operator's cleanPolicy OnFailure would remove it."""
    apply()
    failed = job().with_double({"misdeed": "killed"}).run().expect(5)
    before = seen.conditions(api)["Failed"]
    job().run().expect(0)
    assert ["Scheduled", "Prepare", "Running", "Failed", *ALL_PHASES[1:]] == seen.phases(api)
    conditions = seen.conditions(api)
    assert {"Scheduled", "Prepare", "Running", "Failed", "Complete"} == conditions.keys()
    after = conditions["Failed"]
    since = conditions["Complete"]["lastTransitionTime"]
    assert before | {"status": "False", "lastTransitionTime": since} == after
    assert failed.message == after["message"]


def test_a_run_beside_another_leaves_the_object_to_it(
    api: KubernetesDouble, apply: Apply, job: MakeJob, gate: Gate
) -> None:
    apply(tableFilter=["replay.*"])
    one = job(lock_timeout="1s").with_double(*gate.after(2))
    with one.start() as running:
        gate.wait(running)
        running.wait_until(lambda: "Running" == seen.status(api)["phase"])
        before, requests = seen.statuses(api), len(api.requests)
        one.run().expect(10, "HeldByAnotherRun")
        of_both = [each.method for each in api.requests[requests:]]
        without = [{**status, "progresses": None} for status in (before[-1], seen.status(api))]
        assert without[0] == without[1]
        # The first may have told of its progress; the second has only read.
        assert of_both.count("PUT") <= 1
        assert "POST" not in of_both
        gate.open()
        running.result(60).expect(0)
    assert ALL_PHASES == seen.phases(api)
    assert [("Normal", "Started"), ("Normal", "Complete")] == seen.told(api)


def test_an_object_that_is_complete_already(
    api: KubernetesDouble, apply: Apply, job: MakeJob, ceph: Ceph, bucket: str
) -> None:
    apply()
    job().run().expect(0)
    before, kept = api.backup(NAME), seen.keys(ceph.client(), bucket)
    requests, events = len(api.requests), api.events
    result = job().run().expect(10, "PublishedByAnotherRun")
    assert before["status"]["backupPath"] in result.message
    assert before == api.backup(NAME)
    assert ["GET"] == [each.method for each in api.requests[requests:]]
    assert events == api.events
    assert kept == seen.keys(ceph.client(), bucket)


def _dumping(one: OperatorJob, gate: Gate, proxy: S3Proxy) -> tuple[OperatorJob, Running]:
    del proxy
    made = one.with_double(*gate.after(2))
    running = made.start()
    gate.wait(running)
    return made, running


def _uploading(one: OperatorJob, gate: Gate, proxy: S3Proxy) -> tuple[OperatorJob, Running]:
    del gate
    hold = proxy.hold(SMALL)
    made = one.with_double(replay(4))
    running = made.start()
    running.wait_for("sending the rest")
    running.wait_until(hold.reached.is_set)
    return made, running


@pytest.mark.parametrize(("prepare", "resumed"), [(_dumping, False), (_uploading, True)])
def test_sigterm_and_the_same_command_again(
    api: KubernetesDouble,
    apply: Apply,
    job: MakeJob,
    gate: Gate,
    proxy: S3Proxy,
    prepare: Any,
    resumed: bool,
) -> None:
    """As in an eviction: with the condition Failed the operator would not start it again."""
    apply(tableFilter=["replay.*"])
    made, running = prepare(job(environment={"S3_ENDPOINT": proxy.url}), gate, proxy)
    with running:
        running.wait_until(lambda: "Running" == seen.status(api)["phase"])
        running.terminate()
        result = running.result().expect(143, "Terminated")
    conditions = seen.conditions(api)
    assert "Running" == seen.status(api)["phase"]
    assert ["Scheduled", "Prepare", "Running"] == list(conditions)
    assert ("True", "Terminated", result.message) == (
        conditions["Running"]["status"],
        conditions["Running"]["reason"],
        conditions["Running"]["message"],
    )
    assert "run the same command again" in result.message
    assert ("Warning", "Terminated") == seen.told(api)[-1]

    proxy.forget()
    gate.open()
    again = made.run().expect(0)
    assert resumed == again.summary["resumed"]
    assert again.summary["backup"] == seen.status(api)["backupPath"]
    assert "Complete" == seen.status(api)["phase"]
    conditions = seen.conditions(api)
    assert ALL_PHASES == list(conditions)
    assert "reason" not in conditions["Running"]
    assert {"Dump": 100, "Upload": 100} == seen.progress(seen.status(api))


def test_sigterm_before_anything_runs(api: KubernetesDouble, apply: Apply, job: MakeJob) -> None:
    apply(from_={"port": 1})
    with job(connect_timeout="5m").start() as running:
        running.wait_for("waiting for the database")
        running.wait_until(lambda: "Prepare" == seen.status(api)["phase"])
        running.terminate()
        running.result().expect(143)
    assert ["Scheduled", "Prepare"] == seen.phases(api)
    assert "Terminated" == seen.conditions(api)["Prepare"]["reason"]


def test_killed_after_it_was_published(
    api: KubernetesDouble,
    apply: Apply,
    job: MakeJob,
    proxy: S3Proxy,
    ceph: Ceph,
    bucket: str,
) -> None:
    """Nobody has told of it: the same command again does, and makes no second backup."""
    apply(tableFilter=["replay.*"])
    one = job(environment={"S3_ENDPOINT": proxy.url}).with_double(replay(2))
    hold = proxy.hold(RECORD)
    with one.start() as running:
        running.wait_until(hold.reached.is_set)
        running.kill()
    assert "Running" == seen.status(api)["phase"]
    hold.released.set()
    wait_until(
        lambda: bool(seen.records(ceph.client(), bucket)), seconds=20, what="the record is there"
    )
    path = seen.status(api)["backupPath"]
    one.run().expect(0)
    assert ("Complete", path) == (seen.status(api)["phase"], seen.status(api)["backupPath"])
    assert 1 == len(seen.records(ceph.client(), bucket))
    assert {"Dump": 100, "Upload": 100} == seen.progress(seen.status(api))
