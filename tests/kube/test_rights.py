"""Roles that allow less than the operator's."""

import json

from tests.servers.kubernetes import Object

from . import paths
from .nightly import JOB, NAME, Nightly


def allow(nightly: Nightly, *rules: Object) -> None:
    """Put these rules in the place of the role's."""
    cluster = nightly.cluster
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces"
    role = f"{path}/{cluster.namespace}/roles/tidb-backup-manager"
    cluster.api.admin.merge(role, {"rules": list(rules)})


def backups(*verbs: str) -> Object:
    return {"apiGroups": ["pingcap.com"], "resources": ["backups"], "verbs": list(verbs)}


def test_nothing_is_said_of_what_is_a_courtesy(nightly: Nightly) -> None:
    """Events are a courtesy: not a word about it."""
    allow(nightly, backups("get", "update"))
    result = nightly.start().end().expect(0)
    assert {} == nightly.cluster.events(NAME)
    assert "Complete" == nightly.cluster.columns(NAME)["STATUS"]
    assert not [event for event in result.log if "events" in json.dumps(event)], result.stderr


def test_nothing_at_all(nightly: Nightly) -> None:
    allow(nightly)
    result = nightly.start().end().expect(11)
    assert "get backups" in result.message
    assert nightly.cluster.namespace in result.message
    nightly.cluster.wait_for_job(JOB, "Failed")
    assert ["Scheduled"] == nightly.kinds()
    assert [] == nightly.objects()


def test_reading_alone(nightly: Nightly) -> None:
    """The backup is made; that nobody could be told is a warning with the right that is missing."""
    allow(nightly, backups("get"))
    result = nightly.start().end().expect(0)
    assert any("the verb update on backups" in warning for warning in result.warnings)
    assert ["Scheduled"] == nightly.kinds()


def test_an_account_without_a_role(nightly: Nightly) -> None:
    cluster = nightly.cluster
    account = paths.core(cluster.namespace, "serviceaccounts")
    cluster.api.admin.create(account, {"metadata": {"name": "other"}})
    result = nightly.start(serviceAccount="other").end().expect(11)
    assert f"system:serviceaccount:{cluster.namespace}:other" in result.message
