"""The doctor in a cluster: the object, its status and events are tried, and nothing is changed."""

from collections.abc import Callable, Iterator

import pytest

from tests.command import CANARY_PASSWORD
from tests.doctor.examination import Diagnosis, Doctor
from tests.doubles.kubernetes_double import KubernetesDouble, backup_object
from tests.servers import Ceph

from .conftest import Apply, MakeJob
from .jobs import NAME, NAMESPACE

OF_CLUSTER = ["backup object", "status", "events"]
Examine = Callable[..., Diagnosis]


@pytest.fixture
def examine(api: KubernetesDouble, job: MakeJob, ceph: Ceph, bucket: str) -> Iterator[Examine]:
    """Have the doctor try the Job; neither the cluster nor the store is as much as touched."""
    doctors: list[Doctor] = []

    def run(*further: str, **settings: object) -> Diagnosis:
        # Without the object, the database is where none is: not to be waited for.
        made = job(**{"connect_timeout": "100ms", **settings})
        doctors.append(Doctor(made, ceph, bucket))
        return doctors[-1].run(*further)

    yield run
    for doctor in doctors:
        doctor.assert_nothing_left()
    assert len(api.history(NAME)) <= 1
    assert [] == api.events


def test_all_is_well(apply: Apply, api: KubernetesDouble, examine: Examine) -> None:
    apply()
    before = api.backup(NAME)

    found = examine().expect(0, "Complete")

    assert OF_CLUSTER == [each["check"] for each in found.findings[:3]]
    seen = [found.one(check, "ok")["seen"] for check in OF_CLUSTER]
    assert f"Backup {NAMESPACE}/{NAME} is there, its phase is Scheduled" == seen[0]
    assert f"the status of Backup {NAMESPACE}/{NAME} can be written" == seen[1]
    assert "events can be told" == seen[2]
    assert "26 checks, none failed" == found.summary["message"]
    assert NAME == found.summary["name"]
    # Both were asked for real.
    assert ["GET", "PUT", "POST"] == [each.method for each in api.requests]
    assert all(each.path.endswith("dryRun=All") for each in api.requests[1:])
    assert before == api.backup(NAME)


def test_the_fields_are_told_as_what_they_are(apply: Apply, examine: Examine) -> None:
    """host, port, user, prefix, table filter, name and UID are of the object, of no variable."""
    apply()

    found = examine(environment={"BACKUP_MANAGER_FORMAT": "archive"}).expect(0)

    # BACKUP_MANAGER_FORMAT, S3_PROVIDER and S3_ENDPOINT.
    assert ", 3 from variables, " in found.one("settings", "ok")["seen"]


def test_without_an_object_none_is_looked_for(
    apply: Apply, api: KubernetesDouble, examine: Examine
) -> None:
    apply()

    found = examine(backupName=None)

    assert [] == [each for check in OF_CLUSTER for each in found.of(check)]
    assert [] == api.requests


def test_a_conflict_is_no_trouble(
    apply: Apply, api: KubernetesDouble, job: MakeJob, ceph: Ceph, bucket: str
) -> None:
    """Others write while it tries; what they write stays."""
    apply()
    api.conflict_next(2)

    found = Doctor(job(), ceph, bucket).run().expect(0)

    found.one("status", "ok")
    assert 2 == api.counts["conflict"]
    assert "Scheduled" == api.backup(NAME)["status"]["phase"]
    assert [] == api.events


@pytest.mark.parametrize(
    ("verb", "resource", "check"),
    [("get", "backups", "backup object"), ("update", "backups", "status")],
)
def test_a_right_is_missing(
    apply: Apply, api: KubernetesDouble, examine: Examine, verb: str, resource: str, check: str
) -> None:
    apply()
    api.forbid(verb, resource)

    found = examine()

    assert 11 == found.exit_code
    finding = found.one(check, "failed")
    assert f"does not let us {verb} {resource} in namespace {NAMESPACE}" in finding["seen"]
    assert api.user in finding["seen"]
    assert f"the verb {verb} on {resource} of pingcap.com" in finding["fix"]


def test_without_the_object_the_rest_is_tried(
    apply: Apply, api: KubernetesDouble, examine: Examine
) -> None:
    apply()
    api.forbid("get", "backups")

    found = examine()

    assert {"seen": "not tried: the Backup object was not read"}.items() <= found.one(
        "status", "skipped"
    ).items()
    found.one("events", "skipped")
    found.one("volume", "ok")
    # The variables of the Job say where the store is.
    found.one("bucket", "ok")


def test_events_may_be_forbidden(apply: Apply, api: KubernetesDouble, examine: Examine) -> None:
    """A backup goes on without them."""
    apply()
    api.forbid("create", "events")

    found = examine().expect(0)

    warning = found.one("events", "warning")
    assert "no events will be told" in warning["seen"]
    assert "the verb create on events" in warning["fix"]


def test_the_object_is_missing(examine: Examine) -> None:
    found = examine().expect(11, "GetBackupCRFailed")

    assert f"there is no Backup {NAMESPACE}/{NAME}" in found.one("backup object", "failed")["seen"]
    found.one("volume", "ok")


def test_a_server_that_is_away_is_not_waited_for(
    apply: Apply, api: KubernetesDouble, examine: Examine
) -> None:
    apply()
    api.away()

    found = examine().expect(11, "GetBackupCRFailed")

    assert api.server in found.one("backup object", "failed")["seen"]
    api.back()


def test_no_cluster(api: KubernetesDouble, examine: Examine) -> None:
    found = examine(environment={"KUBECONFIG": None}).expect(11)

    assert "no cluster can be reached" in found.one("backup object", "failed")["seen"]


def test_a_complete_object(
    apply: Apply, api: KubernetesDouble, job: MakeJob, ceph: Ceph, bucket: str
) -> None:
    apply()

    def complete(backup: dict[str, object]) -> None:
        conditions = [{"type": "Complete", "status": "True"}]
        backup["status"] = {"phase": "Complete", "conditions": conditions}

    api.write(NAME, complete)

    found = Doctor(job(), ceph, bucket).run().expect(0)

    well, warning = found.of("backup object")
    assert ("ok", "warning") == (well["verdict"], warning["verdict"])
    assert "its phase is Complete" in well["seen"]
    assert "is complete already: export would end with 10" in warning["seen"]
    assert 2 == len(api.history(NAME))
    assert [] == api.events


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"br": {"cluster": "demo1"}}, "is no backup with Dumpling"),
        ({"tikvGCLifeTime": "3 days"}, "3 days"),
    ],
)
def test_a_wrong_spec_is_found_beside_all_else(
    apply: Apply, examine: Examine, spec: dict[str, object], words: str
) -> None:
    apply(**spec)

    found = examine()

    assert 2 == found.exit_code
    assert words in found.of("settings", "failed")[0]["seen"]
    found.one("database", "ok")
    found.one("status", "ok")


def test_a_spec_of_wrong_types(api: KubernetesDouble, examine: Examine) -> None:
    made = backup_object(NAME, NAMESPACE)
    made["spec"]["tableFilter"] = "a.*"
    api.create(made, checked=False)

    found = examine().expect(2, "InvalidSpec")

    assert "spec.tableFilter of Backup" in found.one("backup object", "failed")["seen"]
    found.one("bucket", "ok")


def test_a_secret_that_is_missing(apply: Apply, examine: Examine) -> None:
    apply(from_={"secretName": "my-secret"})

    found = examine(password=None)

    (failed, *_) = found.of("settings", "failed")
    assert "the key password of the Secret my-secret" in failed["seen"]
    assert CANARY_PASSWORD not in found.stdout


def test_a_switch_that_is_neither_true_nor_false(apply: Apply, examine: Examine) -> None:
    """It is one finding among the others, as with every wrong setting."""
    apply()

    found = examine("--client-tls=maybe")

    assert 2 == found.exit_code
    assert any("--client-tls is wrong" in each["seen"] for each in found.findings)
    found.one("volume", "ok")
