"""Backups that are none with Dumpling to S3: `kubectl get bk` says so, not only a Pod's log."""

import pytest

from tests.servers.kubernetes import Object

from . import paths
from .nightly import JOB, NAME, Nightly


@pytest.mark.parametrize(
    ("changes", "reason", "named"),
    [
        ({"br": {"cluster": "demo1"}}, "InvalidSpec", "spec.br"),
        ({"backupMode": "log"}, "InvalidSpec", "spec.backupMode log"),
        ({"backupMode": "volume-snapshot"}, "InvalidSpec", "spec.backupMode volume-snapshot"),
        ({"s3": None}, "UnsupportedStorageType", "spec.s3"),
        ({"s3": None, "gcs": {"bucket": "b"}}, "UnsupportedStorageType", "spec.gcs"),
    ],
    ids=["br", "log", "volume-snapshot", "no-store", "another-store"],
)
def test_a_backup_of_another_kind(
    nightly: Nightly, changes: Object, reason: str, named: str
) -> None:
    """Edited before the Pod starts: for most of these the operator makes no Job with export."""
    cluster = nightly.cluster
    cluster.apply(NAME, nightly.spec())
    cluster.api.admin.merge(paths.backup(cluster.namespace, NAME), {"spec": changes})
    result = cluster.node.run(JOB).end().expect(2, reason)
    cluster.wait_for_job(JOB, "Failed")
    assert "Failed" == cluster.columns(NAME)["STATUS"]
    failed = nightly.condition("Failed")
    assert ("True", reason) == (failed["status"], failed["reason"])
    assert named in failed["message"]
    assert result.message == failed["message"]
    assert "backupPath" not in nightly.status
    assert [] == nightly.objects()
    # The operator leaves it at that.
    cluster.operator.reconcile(NAME)
    assert "Failed" == nightly.status["phase"]
