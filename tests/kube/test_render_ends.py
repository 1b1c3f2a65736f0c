"""Pods of a rendered Job that do not end well, and what the Job's next one makes of it."""

from tests.s3_proxy import S3Proxy, operation

from . import paths
from .nightly import GATE
from .rendering import Rendering

JOB = "nightly"


def pods_of(rendering: Rendering) -> int:
    """How many Pods the Job has made that are still there."""
    where = paths.core(rendering.cluster.namespace, "pods")
    return len(rendering.cluster.api.admin.items(f"{where}?labelSelector=job-name%3D{JOB}"))


def failed(rendering: Rendering) -> int:
    """How many of its Pods the Job counts as failed."""
    status = rendering.cluster.job(JOB).get("status", {})
    return int(status.get("failed", 0))


def test_a_kill_in_mid_upload(rendering: Rendering, proxy: S3Proxy) -> None:
    """The Job's next Pod goes on with the dump that is on the volume."""
    hold = proxy.hold(operation("PutObject", containing="/metadata"), times=1)
    rendering.apply(rendering.backup(JOB, s3={"endpoint": proxy.url}))
    pod = rendering.run(JOB)
    assert hold.reached.wait(60)
    pod.kill().expect(137)
    proxy.forget()
    assert set() == rendering.backups()
    # There was no time for a message: the log's end takes its place.
    described = rendering.kubectl("describe", "pod", pod.name)
    assert "OOMKilled" in described
    assert "sending the rest" in described

    result = rendering.complete(rendering.run(JOB), JOB)
    assert result.summary["resumed"], result.stderr
    assert {result.directory} == rendering.backups()
    assert 1 == failed(rendering)


def test_a_drain_in_mid_upload_does_not_count(rendering: Rendering, proxy: S3Proxy) -> None:
    """The API server itself marks a Pod that is evicted by it."""
    hold = proxy.hold(operation("PutObject", containing="/metadata"), times=1)
    rendering.apply(rendering.backup(JOB, s3={"endpoint": proxy.url}))
    pod = rendering.run(JOB)
    assert hold.reached.wait(60)
    pod.drain().expect(143)
    proxy.forget()
    result = rendering.complete(rendering.run(JOB), JOB)
    assert result.summary["resumed"], result.stderr
    assert 0 == failed(rendering)


def test_a_second_pod_beside_the_first(rendering: Rendering) -> None:
    """The first one's node is not heard of, and it goes on: each makes a backup, in turn."""
    rendering.apply(rendering.backup(JOB, GATE))
    first = rendering.run(JOB)
    first.wait_for_gate()
    first.lose_node()
    second = rendering.run(JOB)
    second.wait_for("another run of this backup holds the volume")
    second.open_gate()
    first.open_gate()
    made = first.container.result(120).expect(0)
    assert {made.directory} == rendering.backups()

    result = rendering.complete(second, JOB)
    assert not result.summary["resumed"]
    assert {made.directory, result.directory} == rendering.backups()


def test_a_second_pod_goes_on_when_the_first_is_dead(rendering: Rendering, proxy: S3Proxy) -> None:
    hold = proxy.hold(operation("PutObject", containing="/metadata"), times=1)
    rendering.apply(rendering.backup(JOB, s3={"endpoint": proxy.url}))
    first = rendering.run(JOB)
    assert hold.reached.wait(60)
    first.lose_node()
    second = rendering.run(JOB)
    second.wait_for("another run of this backup holds the volume")
    first.container.kill()
    proxy.forget()
    result = rendering.complete(second, JOB)
    assert result.summary["resumed"]
    assert {result.directory} == rendering.backups()


def test_a_wrong_setting_fails_the_job_at_once(rendering: Rendering) -> None:
    """What render cannot know: the key of the Secret is there, and empty."""
    cluster = rendering.cluster
    secret = paths.core(cluster.namespace, "secrets", "s3")
    cluster.api.admin.merge(secret, {"data": {"secret_key": ""}})
    rendering.apply(rendering.backup(JOB))
    pod = rendering.run(JOB)
    result = pod.end().expect(2)
    cluster.wait_for_job(JOB, "Failed")
    condition = cluster.job_condition(JOB, "Failed")
    assert "PodFailurePolicy" == condition["reason"]
    assert "exit code 2" in condition["message"]
    assert 1 == pods_of(rendering) == failed(rendering)
    # That is enough to see why.
    described = rendering.kubectl("describe", "pod", pod.name)
    assert "AWS_SECRET_ACCESS_KEY" in described
    assert result.message in described


def test_a_volume_that_belongs_to_root(rendering: Rendering) -> None:
    """What no examples say: fsGroup is rendered."""
    rendering.apply(rendering.backup(JOB))
    volume = rendering.cluster.node.volume(JOB)
    volume.chmod(0o755)
    owner = volume.stat()
    assert (0, 0) == (owner.st_uid, owner.st_gid)
    rendering.complete(rendering.run(JOB), JOB)
    assert 65532 == volume.stat().st_gid
