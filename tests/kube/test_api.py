"""What the operator's role may do with a Backup, and what the API answers where it may not.

The double of the API that `make test` uses gives the same answers.
"""

import pytest

from tests.servers.kubernetes import Client, Object

from . import paths
from .cluster import Cluster

SPEC: Object = {
    "from": {"host": "127.0.0.1", "secretName": "tidb"},
    "s3": {"provider": "aws", "bucket": "backups"},
    "storageSize": "1Gi",
}


@pytest.fixture
def role(cluster: Cluster) -> Client:
    body: Object = {"apiVersion": "pingcap.com/v1alpha1", "kind": "Backup"}
    body |= {"metadata": {"name": "nightly"}, "spec": SPEC}
    cluster.api.admin.create(paths.backup(cluster.namespace), body)
    return cluster.account()


@pytest.fixture
def path(cluster: Cluster) -> str:
    return paths.backup(cluster.namespace, "nightly")


def test_the_object_is_read_and_updated(role: Client, path: str) -> None:
    answer = role.ask("GET", path)
    assert 200 == answer.code
    answer.body["status"] = {"phase": "Running", "nobodys": "field"}
    assert 200 == role.ask("PUT", path, answer.body).code
    assert {"phase": "Running"} == role.get(path)["status"]


def test_a_stale_version_is_a_conflict(role: Client, path: str) -> None:
    stale = role.get(path)
    fresh = role.get(path)
    fresh["status"] = {"phase": "Prepare"}
    role.replace(path, fresh)
    stale["status"] = {"phase": "Running"}
    answer = role.ask("PUT", path, stale)
    assert (409, "Conflict") == (answer.code, answer.body["reason"])


def test_an_update_names_its_version(role: Client, path: str) -> None:
    current = role.get(path)
    del current["metadata"]["resourceVersion"]
    answer = role.ask("PUT", path, current)
    assert (422, "Invalid") == (answer.code, answer.body["reason"])


def test_a_field_of_a_wrong_type_is_refused(role: Client, path: str) -> None:
    current = role.get(path)
    current["status"] = {"backupSize": "12 GB"}
    assert 422 == role.ask("PUT", path, current).code


def test_what_the_role_does_not_name_is_forbidden(
    role: Client, path: str, cluster: Cluster
) -> None:
    current = role.get(path)
    merge = "application/merge-patch+json"
    asked = [
        role.ask("PUT", f"{path}/status", current),
        role.ask("PATCH", path, {"status": {"phase": "Running"}}, merge),
        role.ask("DELETE", path),
        role.ask("GET", paths.core(cluster.namespace, "secrets", "tidb")),
        role.ask("GET", paths.core(cluster.namespace, "pods")),
    ]
    assert [403] * len(asked) == [answer.code for answer in asked]
    assert {"Forbidden"} == {answer.body["reason"] for answer in asked}
    assert "phase" not in role.get(path).get("status", {})


def test_an_unknown_name_is_not_found(role: Client, cluster: Cluster) -> None:
    answer = role.ask("GET", paths.backup(cluster.namespace, "weekly"))
    assert (404, "NotFound") == (answer.code, answer.body["reason"])


def test_an_event_is_written(role: Client, cluster: Cluster, path: str) -> None:
    meta = role.get(path)["metadata"]
    about = {"apiVersion": "pingcap.com/v1alpha1", "kind": "Backup", "name": "nightly"}
    event: Object = {
        "metadata": {"generateName": "nightly."},
        "involvedObject": about | {"namespace": cluster.namespace, "uid": meta["uid"]},
        "reason": "Started",
        "type": "Normal",
    }
    assert 201 == role.ask("POST", paths.core(cluster.namespace, "events"), event).code
    words = ["--namespace", cluster.namespace, "events", "--for=backup.pingcap.com/nightly"]
    assert "Started" in cluster.api.kubectl(*words)


def test_another_token_is_nobody(cluster: Cluster, path: str) -> None:
    assert 401 == cluster.api.client("of nobody").ask("GET", path).code
