"""Whole runs whose object others write to as well, or whose API is away, or refuses."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import Result
from tests.doubles.kubernetes_double import FINALIZER, KubernetesDouble, backup_object
from tests.export.conftest import proxy
from tests.export.replays import LISTING, RECORD, replay
from tests.s3_proxy import S3Proxy, operation
from tests.servers import Ceph

from . import seen
from .conftest import Apply, MakeJob
from .jobs import NAME, NAMESPACE, OperatorJob

__all__ = ["proxy"]

# The first that is asked of the store, when the run is in Prepare.
PROBE = operation("ListObjectsV2")
ALL_PHASES = ["Scheduled", "Prepare", "Running", "Complete"]
WELL = [("Normal", "Started"), ("Normal", "Complete")]
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def one(apply: Apply, job: MakeJob, proxy: S3Proxy) -> OperatorJob:
    """A small run, through a proxy of the store that can stop it anywhere."""
    apply(tableFilter=["replay.*"])
    return job(environment={"S3_ENDPOINT": proxy.url}).with_double(replay(3))


def assert_told(api: KubernetesDouble, result: Result) -> None:
    """All is in the object that should be, and nothing is to be warned of."""
    assert [] == of_the_status(result.warnings)
    assert ALL_PHASES == list(seen.conditions(api))
    status = seen.status(api)
    assert ("Complete", result.summary["backup"]) == (status["phase"], status["backupPath"])
    assert result.summary["bytes"] == status["backupSize"]
    assert {"Dump": 100, "Upload": 100} == seen.progress(status)


def of_the_status(warnings: list[str]) -> list[str]:
    return [each for each in warnings if "Backup test1" in each or "Kubernetes" in each]


class Others:
    """Writers beside us, who change what is theirs before three of four PUTs."""

    def __init__(self) -> None:
        self.asked = self.written = 0

    def __call__(self, body: dict[str, Any]) -> None:
        self.asked += 1
        if self.asked % 4 == 0:
            return
        self.written += 1
        number = str(self.written)
        status = body["status"]
        body["metadata"].setdefault("annotations", {})["others.example.com/number"] = number
        body["metadata"].setdefault("labels", {})["others"] = number
        body["spec"]["storageSize"] = f"{number}Gi"
        status["logCheckpointTs"] = number
        theirs = {"type": "RetryFailed", "status": "False", "message": number}
        status["conditions"] = [
            *(each for each in status["conditions"] if each["type"] != "RetryFailed"),
            theirs,
        ]
        step = {"step": "Full Backup", "progress": float(number)}
        status["progresses"] = [
            *(each for each in status.get("progresses") or [] if each["step"] != step["step"]),
            step,
        ]

    @staticmethod
    def told(body: dict[str, Any]) -> list[str]:
        """Their number in each place where it stands."""
        status, metadata = body["status"], body["metadata"]
        found = [
            (metadata.get("annotations") or {}).get("others.example.com/number", "0"),
            (metadata.get("labels") or {}).get("others", "0"),
            body["spec"]["storageSize"].removesuffix("Gi"),
            status.get("logCheckpointTs", "0"),
        ]
        found += [each["message"] for each in status["conditions"] if each["type"] == "RetryFailed"]
        steps = seen.progress(status)
        return found + [f"{each:.0f}" for step, each in steps.items() if step == "Full Backup"]


def test_nothing_of_what_others_write_is_lost(api: KubernetesDouble, one: OperatorJob) -> None:
    others = Others()
    api.writer(others)
    result = one.run().expect(0)
    assert [] == of_the_status(result.warnings)
    numbers = []
    for state in api.history(NAME)[1:]:
        (number,) = set(Others.told(state))
        numbers.append(int(number))
    assert sorted(numbers) == numbers
    assert [others.written] * 6 == [int(number) for number in Others.told(api.backup(NAME))]
    assert others.written >= 9
    conditions = seen.conditions(api)
    assert {*ALL_PHASES, "RetryFailed"} == conditions.keys()
    assert "Complete" == seen.status(api)["phase"]


def test_the_operator_is_late(api: KubernetesDouble, one: OperatorJob, proxy: S3Proxy) -> None:
    """It tells that it has made the Job when that runs already: the next write mends the phase."""
    hold = proxy.hold(PROBE)
    with one.start() as running:
        running.wait_until(hold.reached.is_set)
        running.wait_until(lambda: "Prepare" == seen.status(api)["phase"])
        api.write(NAME, lambda body: body["status"].update(phase="Scheduled"))
        hold.released.set()
        result = running.result(60).expect(0)
    assert ["Scheduled", "Prepare", "Scheduled", "Running", "Complete"] == seen.phases(api)
    assert_told(api, result)


def at_the_record(one: OperatorJob, proxy: S3Proxy, do: Callable[[], object]) -> Result:
    """Run it; this is done just before it is published."""
    proxy.before(RECORD, lambda _: do())
    return one.run().expect(0)


def test_the_object_is_deleted_meanwhile(
    api: KubernetesDouble, one: OperatorJob, proxy: S3Proxy, ceph: Ceph, bucket: str
) -> None:
    result = at_the_record(one, proxy, lambda: api.remove(NAME))
    (warning,) = of_the_status(result.warnings)
    assert f"there is no Backup {NAMESPACE}/{NAME}" in warning
    with pytest.raises(KeyError):
        api.backup(NAME)
    assert 1 == len(seen.records(ceph.client(), bucket))


def test_the_object_is_made_anew_meanwhile(
    api: KubernetesDouble, one: OperatorJob, proxy: S3Proxy
) -> None:
    before = api.backup(NAME)["metadata"]["uid"]
    made: list[dict[str, Any]] = []

    def replace() -> None:
        api.remove(NAME)
        made.append(api.create(backup_object(NAME, NAMESPACE)))

    result = at_the_record(one, proxy, replace)
    (warning,) = of_the_status(result.warnings)
    assert "is another one now: it was deleted, and made anew" in warning
    assert made == [api.backup(NAME)]
    assert {before} == {event["involvedObject"]["uid"] for event in api.events}


def test_the_object_is_to_be_deleted(
    api: KubernetesDouble, apply: Apply, job: MakeJob, proxy: S3Proxy
) -> None:
    """Its finalizer keeps it: it is told as ever, and the finalizer stays."""
    apply(tableFilter=["replay.*"], cleanPolicy="Delete")
    one = job(environment={"S3_ENDPOINT": proxy.url}).with_double(replay(3))
    result = at_the_record(one, proxy, lambda: api.delete(NAME))
    assert_told(api, result)
    metadata = api.backup(NAME)["metadata"]
    assert [FINALIZER] == metadata["finalizers"]
    assert "deletionTimestamp" in metadata


def trouble(api: KubernetesDouble, how: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """What begins a trouble of the API, and what ends it."""
    if how == "silent":
        return api.silent, api.back
    if how == "token":
        return lambda: api.rotate(write=False), api.write_tokens
    return lambda: api.away(closing=how == "closing"), api.back


@pytest.mark.parametrize("how", ["away", "closing", "silent", "token"])
def test_an_api_that_is_away_in_mid_run(
    api: KubernetesDouble, one: OperatorJob, proxy: S3Proxy, how: str
) -> None:
    begin, end = trouble(api, how)
    probe, late = proxy.hold(PROBE, times=1), proxy.hold(LISTING)
    with one.start() as running:
        running.wait_until(probe.reached.is_set)
        running.wait_until(lambda: [] != api.events)
        begin()
        probe.released.set()
        running.wait_until(late.reached.is_set)
        running.wait_for(f"the status of Backup {NAMESPACE}/{NAME} could not be told")
        assert "Prepare" == seen.status(api)["phase"]
        end()
        late.released.set()
        result = running.result(60).expect(0)
    assert_told(api, result)
    assert WELL == seen.told(api)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_an_api_that_fails_for_a_while(
    api: KubernetesDouble, one: OperatorJob, proxy: S3Proxy, status: int
) -> None:
    hold = proxy.hold(PROBE)
    with one.start() as running:
        running.wait_until(hold.reached.is_set)
        running.wait_until(lambda: [] != api.events)
        for method in ("PUT", "GET"):
            api.fail_next(status, times=2, method=method)
        hold.released.set()
        result = running.result(60).expect(0)
    assert api.counts["failed"] >= 2
    assert_told(api, result)
    assert WELL == seen.told(api)


def test_the_last_event_is_tried_again_too(
    api: KubernetesDouble, one: OperatorJob, proxy: S3Proxy
) -> None:
    result = at_the_record(one, proxy, lambda: api.fail_next(503, 3, method="POST"))
    assert_told(api, result)
    assert WELL == seen.told(api)


def test_answers_that_are_lost(api: KubernetesDouble, one: OperatorJob) -> None:
    """What was written was written: it is found there, and not written again."""
    api.lose_next(2, method="PUT")
    result = one.run().expect(0)
    assert 2 == api.counts["lost"]
    assert_told(api, result)


def test_tokens_are_replaced_all_the_time(
    api: KubernetesDouble, one: OperatorJob, proxy: S3Proxy
) -> None:
    proxy.before(operation("PutObject"), lambda _: api.rotate(), times=100)
    result = one.run().expect(0)
    assert 401 in {each.status for each in api.requests}
    assert_told(api, result)
    assert [] == result.events("could not be told")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a run in this process waits for two seconds in place of a minute."""
    monkeypatch.setattr("backup_manager.kubernetes.telling.StatusSink.patience_seconds", 2.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["away", "silent"])
def test_an_api_that_stays_away(
    api: KubernetesDouble, one: OperatorJob, proxy: S3Proxy, how: str, ceph: Ceph, bucket: str
) -> None:
    begin, _ = trouble(api, how)
    ended: list[float] = []

    def published() -> None:
        begin()
        ended.append(time.monotonic())

    proxy.before(RECORD, lambda _: published())
    result = one.refused()
    assert 0 == result.exit_code, result.stderr
    assert time.monotonic() - ended[0] < 10
    (warning,) = of_the_status(result.warnings)
    assert f"the status of Backup {NAMESPACE}/{NAME} does not tell how this run ended" in warning
    assert "Running" == seen.status(api)["phase"]
    assert 1 == len(seen.records(ceph.client(), bucket))


def test_nobody_may_write(api: KubernetesDouble, one: OperatorJob) -> None:
    api.forbid("update", "backups")
    begun = time.monotonic()
    result = one.run().expect(0)
    assert time.monotonic() - begun < 30
    (warning,) = of_the_status(result.warnings)
    assert f"does not let us update backups in namespace {NAMESPACE}" in warning
    assert "the verb update on backups of pingcap.com" in warning
    assert "Scheduled" == seen.status(api)["phase"]
    assert WELL == seen.told(api)


def test_no_events_are_allowed(api: KubernetesDouble, one: OperatorJob) -> None:
    api.forbid("create", "events")
    result = one.run().expect(0)
    assert_told(api, result)
    assert [] == api.events
    assert [403] == [each.status for each in seen.asked(api, "POST")]
    said = [json.dumps(line) for line in result.log if line["level"] != "debug"]
    telling = ("forbidden", "create events", "does not let", "could not be told")
    assert [] == [line for line in said if any(words in line for words in telling)]


def test_nothing_is_allowed_after_the_start(
    api: KubernetesDouble, one: OperatorJob, proxy: S3Proxy
) -> None:
    def forbid() -> None:
        for verb, resource in (("get", "backups"), ("update", "backups"), ("create", "events")):
            api.forbid(verb, resource)

    result = at_the_record(one, proxy, forbid)
    (warning,) = of_the_status(result.warnings)
    assert "does not let us update backups" in warning


def test_the_start_waits_for_an_api_that_is_away(
    api: KubernetesDouble, one: OperatorJob, volume: Path
) -> None:
    api.away()
    with one.start() as running:
        running.wait_for("it is tried again")
        assert [] == list(volume.iterdir())
        api.back()
        result = running.result(60).expect(0)
    assert_told(api, result)
    assert 1 == len(result.events("it is tried again"))


@pytest.mark.parametrize("how", ["away", "silent"])
def test_a_signal_while_the_start_waits(api: KubernetesDouble, one: OperatorJob, how: str) -> None:
    begin, _ = trouble(api, how)
    begin()
    with one.start() as running:
        if how == "away":
            running.wait_for("it is tried again")
        else:
            running.wait_until(lambda: api.counts["silent"] > 0)
        running.terminate()
        result = running.result(10).expect(143, "Terminated")
    assert [] == of_the_status(result.warnings)
    assert ["Scheduled"] == seen.phases(api)
