"""Jobs that do not end well: a dump that fails, an eviction, an object that is deleted."""

import pytest

from tests.command import CANARY_PASSWORD
from tests.running import spellings
from tests.s3_proxy import S3Proxy, operation

from . import paths
from .nightly import GATE, JOB, NAME, SECURITY, Nightly


def test_a_dump_that_fails(nightly: Nightly) -> None:
    cluster = nightly.cluster
    pod = nightly.start({"misdeed": "password-leak"})
    pod.end().expect(5)
    cluster.wait_for_job(JOB, "Failed")
    assert "Failed" == cluster.columns(NAME)["STATUS"]
    failed = nightly.condition("Failed")
    assert ("True", "DumpTidbClusterFailed") == (failed["status"], failed["reason"])
    assert failed["message"]
    everything = str(cluster.backup(NAME)).encode() + str(cluster.events(NAME)).encode()
    assert not any(spelling in everything for spelling in spellings(CANARY_PASSWORD))
    # The operator leaves it at that.
    cluster.operator.reconcile(NAME)
    assert "Failed" == nightly.status["phase"]


def test_an_eviction_in_mid_dump_and_another_run(nightly: Nightly) -> None:
    cluster = nightly.cluster
    before = nightly.database.gc_row()
    pod = nightly.start(GATE)
    pod.wait_for_gate()
    assert "Running" == nightly.status["phase"]
    first = nightly.status["backupPath"]
    pod.evict().expect(143)
    assert before == nightly.database.gc_row()
    cluster.wait_for_job(JOB, "Failed")
    assert "Failed" not in nightly.kinds()

    cluster.operator.reconcile(NAME)
    again = cluster.node.run(JOB)
    again.wait_for_gate()
    again.open_gate()
    result = again.end().expect(0)
    cluster.wait_for_job(JOB, "Complete")
    assert "Complete" == cluster.columns(NAME)["STATUS"]
    assert result.summary["backup"] == nightly.status["backupPath"] != first
    assert {result.directory} == {key.rpartition("/")[0] for key in nightly.objects()}


@pytest.mark.parametrize("policy", ["Always", "OnRootMismatch"])
def test_an_eviction_in_mid_upload_and_a_run_that_resumes(
    nightly: Nightly, proxy: S3Proxy, policy: str
) -> None:
    """Always: the kubelet touches every file's owner and mode before the second run."""
    cluster = nightly.cluster
    context = SECURITY | {"fsGroupChangePolicy": policy}
    hold = proxy.hold(operation("PutObject", containing="/metadata"), times=1)
    pod = nightly.start(s3={"endpoint": proxy.url}, podSecurityContext=context)
    assert hold.reached.wait(60)
    first = nightly.status["backupPath"]
    pod.evict().expect(143)
    proxy.forget()
    cluster.wait_for_job(JOB, "Failed")

    cluster.operator.reconcile(NAME)
    result = cluster.node.run(JOB).end().expect(0)
    assert result.summary["resumed"], result.stderr
    assert first == result.summary["backup"] == nightly.status["backupPath"]
    assert "Complete" == nightly.status["phase"]


def test_the_object_is_deleted_in_the_middle(nightly: Nightly) -> None:
    cluster = nightly.cluster
    pod = nightly.start(GATE)
    pod.wait_for_gate()
    cluster.api.admin.delete(paths.backup(cluster.namespace, NAME))
    # Nobody took the Pod away: what has begun is finished.
    pod.open_gate()
    result = pod.end().expect(0)
    assert any("nightly" in warning for warning in result.warnings), result.warnings
    assert cluster.api.admin.find(paths.backup(cluster.namespace, NAME)) is None
