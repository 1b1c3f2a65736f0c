"""A Backup whose data go with it: the operator's clean Job, and its finalizer."""

import pytest

from . import paths
from .nightly import CLEAN_JOB, JOB, NAME, Nightly
from .operator import FINALIZER


@pytest.fixture
def deleted(nightly: Nightly) -> Nightly:
    """A complete backup, deleted by `kubectl delete`: its clean Job is there."""
    cluster = nightly.cluster
    nightly.start(cleanPolicy="Delete").end().expect(0)
    cluster.wait_for_job(JOB, "Complete")
    assert nightly.objects()
    delete(nightly)
    return nightly


def delete(nightly: Nightly) -> None:
    cluster = nightly.cluster
    assert [FINALIZER] == cluster.backup(NAME)["metadata"]["finalizers"]
    cluster.api.admin.delete(paths.backup(cluster.namespace, NAME))
    cluster.operator.reconcile(NAME)


def gone(nightly: Nightly) -> bool:
    """Whether the operator lets the object go now."""
    cluster = nightly.cluster
    cluster.operator.reconcile(NAME)
    return cluster.api.admin.find(paths.backup(cluster.namespace, NAME)) is None


def test_the_object_goes_once_its_data_are_gone(deleted: Nightly) -> None:
    node = deleted.cluster.node
    assert not gone(deleted)
    pod = node.run(CLEAN_JOB)
    assert not pod.path("/backup").exists()
    pod.end().expect(0)
    deleted.cluster.wait_for_job(CLEAN_JOB, "Complete")
    assert [] == deleted.objects()
    assert ("True", "Clean") == (deleted.condition("Clean")["status"], deleted.status["phase"])
    assert gone(deleted)


@pytest.mark.parametrize("made_by", ["this program", "the operator's manager"])
def test_an_archive(nightly: Nightly, made_by: str) -> None:
    cluster = nightly.cluster
    nightly.start(cleanPolicy="Delete", env={"BACKUP_MANAGER_FORMAT": "archive"}).end().expect(0)
    cluster.wait_for_job(JOB, "Complete")
    assert nightly.status["backupPath"].endswith(".tgz")
    store, other = nightly.store.client(), "nightly/backup-2026-11-22T10:00:00Z.tgz"
    store.put_object(Bucket=nightly.bucket, Key=other, Body=b"an archive")
    left = {other}
    if made_by != "this program":
        left = {key for key in nightly.objects() if key != other}
        current = cluster.backup(NAME)
        current["status"]["backupPath"] = f"s3://{nightly.bucket}/{other}"
        cluster.api.admin.replace(paths.backup(cluster.namespace, NAME), current)
    delete(nightly)
    cluster.node.run(CLEAN_JOB).end().expect(0)
    assert left == set(nightly.objects())
    assert gone(nightly)


def test_again_when_it_is_gone_already(deleted: Nightly) -> None:
    """As after a Pod that was lost before it could say so."""
    cluster = deleted.cluster
    cluster.node.run(CLEAN_JOB).end().expect(0)
    cluster.wait_for_job(CLEAN_JOB, "Complete")
    current = cluster.backup(NAME)
    for condition in current["status"]["conditions"]:
        if condition["type"] == "Clean":
            condition["status"] = "False"
    cluster.api.admin.replace(paths.backup(cluster.namespace, NAME), current)
    cluster.operator.delete_job(CLEAN_JOB)
    assert not gone(deleted)
    cluster.node.run(CLEAN_JOB).end().expect(0)
    assert gone(deleted)


def test_a_store_that_refuses(deleted: Nightly) -> None:
    """CleanFailed says why, the object stays, and the Job's next Pod goes on."""
    cluster = deleted.cluster
    secret = paths.core(cluster.namespace, "secrets", "s3")
    right = cluster.api.admin.get(secret)["data"]
    cluster.api.admin.merge(secret, {"data": {"secret_key": "d3Jvbmc="}})
    cluster.node.run(CLEAN_JOB).end().expect(7)
    failed = deleted.condition("CleanFailed")
    assert ("True", "CleanBackupDataFailed") == (failed["status"], failed["reason"])
    assert deleted.objects()
    assert not gone(deleted)

    cluster.api.admin.merge(secret, {"data": right})
    cluster.node.run(CLEAN_JOB).end().expect(0)
    assert [] == deleted.objects()
    assert "True" != deleted.condition("CleanFailed")["status"]
    assert gone(deleted)


@pytest.mark.parametrize("path", ["s3://{bucket}/nightly", "s3://{bucket}/other/file", "{bucket}"])
def test_a_path_that_is_none_of_ours(nightly: Nightly, path: str) -> None:
    cluster = nightly.cluster
    nightly.start(cleanPolicy="Delete").end().expect(0)
    cluster.wait_for_job(JOB, "Complete")
    nightly.store.client().put_object(Bucket=nightly.bucket, Key="other/file", Body=b"theirs")
    before = nightly.objects()
    current = cluster.backup(NAME)
    current["status"]["backupPath"] = path.format(bucket=nightly.bucket)
    cluster.api.admin.replace(paths.backup(cluster.namespace, NAME), current)
    delete(nightly)
    cluster.node.run(CLEAN_JOB).end().expect(2)
    assert before == nightly.objects()
    assert "True" == nightly.condition("CleanFailed")["status"]
    assert not gone(nightly)
