"""The eight examples of the operator's guide to backups with Dumpling (seed/), as they stand there.

Filled in is what they leave open, and the endpoint, since this is not Amazon. What a cluster has of
its own for roles, a metadata service or EKS's webhook, comes in by fields that add to the Pod.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.servers import Gateway
from tests.servers.kubernetes import Object

from .guide import ACCESS, Guide, assert_annotated
from .jobs import claim_name
from .nightly import Nightly
from .running_pod import RunningPod

AT = "2026-11-22t19-40-05"


@pytest.fixture
def guide(nightly: Nightly) -> Iterator[Guide]:
    with ExitStack() as stack:
        yield Guide(nightly, stack.enter_context(Gateway(nightly.store)), stack)


def assert_complete(guide: Guide, nightly: Nightly, name: str, pod: RunningPod) -> dict[str, Any]:
    """`kubectl get bk -owide` says so; the record in the store."""
    result = pod.end().expect(0)
    columns = guide.cluster.columns(name)
    assert "Complete" == columns["STATUS"]
    assert result.summary["backup"] == columns["BACKUPPATH"]
    keys = nightly.objects(f"{result.directory}/")
    assert any(f"/{nightly.schema}.orders." in key for key in keys)
    answer = nightly.store.client().get_object(
        Bucket=nightly.bucket, Key=f"{result.directory}/backup.json"
    )
    record: dict[str, Any] = json.loads(answer["Body"].read())
    assert name == record["name"]
    return record


@pytest.mark.parametrize("access", ACCESS)
def test_an_ad_hoc_backup(guide: Guide, nightly: Nightly, access: str) -> None:
    document = guide.example(access)
    document["spec"] |= guide.around(access)
    pod = guide.run(guide.apply(document))
    assert_annotated(pod, access)
    record = assert_complete(guide, nightly, "demo1-backup-s3", pod)
    assert record["schedule"] is None


@pytest.mark.parametrize("access", ACCESS)
def test_a_scheduled_backup(guide: Guide, nightly: Nightly, access: str) -> None:
    document = guide.example(f"schedule-{access}")
    # serviceAccount stands where a BackupSchedule has no such field; it is the default anyway.
    validate = "warn" if access == "account-role" else "strict"
    document["spec"]["backupTemplate"] |= guide.around(access)
    schedule = guide.apply(document, validate)
    backup = guide.apply(of_schedule(schedule))
    pod = guide.run(backup)
    assert_annotated(pod, access)
    name = schedule["metadata"]["name"]
    record = assert_complete(guide, nightly, f"{name}-{AT}", pod)
    assert name == record["schedule"]

    selected = f"--selector=tidb.pingcap.com/backup-schedule={name}"
    words = ["--namespace", guide.cluster.namespace, "get", "--output=name"]
    listed = guide.cluster.api.kubectl(*words, "bk", selected)
    assert f"backup.pingcap.com/{name}-{AT}\n" == listed


def of_schedule(schedule: Object) -> Object:
    """The Backup that the operator makes when a schedule is due."""
    meta = schedule["metadata"]
    name = meta["name"]
    annotations = dict(meta.get("annotations", {}))
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration")
    labels = {
        "app.kubernetes.io/name": "backup-schedule",
        "app.kubernetes.io/managed-by": "backup-schedule-operator",
        "app.kubernetes.io/instance": name,
        "tidb.pingcap.com/backup-schedule": name,
    }
    owner = {"apiVersion": schedule["apiVersion"], "kind": "BackupSchedule", "name": name}
    owner |= {"uid": meta["uid"], "controller": True, "blockOwnerDeletion": True}
    return {
        "apiVersion": schedule["apiVersion"],
        "kind": "Backup",
        "metadata": {
            "name": f"{name}-{AT}",
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": schedule["spec"]["backupTemplate"],
    }


def test_a_volume_that_only_root_may_write_to(guide: Guide, nightly: Nightly) -> None:
    """As the examples have no podSecurityContext, a new volume of some classes is like that."""
    backup = guide.apply(guide.example("ceph"))
    name = backup["metadata"]["name"]
    volume = guide.cluster.node.volume(claim_name(backup))
    volume.chmod(0o755)
    guide.cluster.operator.reconcile(name)
    guide.cluster.node.run(f"backup-{name}").end().expect(9, "VolumeUnusable")
    guide.cluster.wait_for_job(f"backup-{name}", "Failed")
    assert "Failed" == guide.cluster.columns(name)["STATUS"]
    conditions = guide.cluster.backup(name)["status"]["conditions"]
    (failed,) = (each for each in conditions if each["type"] == "Failed")
    assert ("True", "VolumeUnusable") == (failed["status"], failed["reason"])
    assert "fsGroup" in failed["message"]
    assert "podSecurityContext" in failed["message"]
    assert [] == list(volume.iterdir())
    assert [] == nightly.objects()
