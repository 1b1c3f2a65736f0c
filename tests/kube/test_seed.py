"""The eight examples of the operator's guide to backups with Dumpling (seed/), as they stand there.

Filled in is what they leave open, and the endpoint, since this is not Amazon. What a cluster has of
its own for roles, a metadata service or EKS's webhook, comes in by fields that add to the Pod.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # of moto's requirements, without annotations

from tests.command import CANARY_PASSWORD
from tests.servers import Account, Gateway
from tests.servers.kubernetes import Object
from tests.servers.metadata import Metadata
from tests.servers.moto import Issuer, Moto

from .jobs import claim_name
from .nightly import Nightly, variables
from .running_pod import RunningPod
from .test_access import AT_EKS, REGION

_EXAMPLES = Path(__file__).with_name("seed")
ACCESS = ["key", "ceph", "pod-role", "account-role"]
AT = "2026-11-22t19-40-05"


class Guide:
    """A user who has done what stands before the examples, and fills them in."""

    def __init__(self, nightly: Nightly, gateway: Gateway, stack: ExitStack) -> None:
        self.cluster = nightly.cluster
        self._nightly = nightly
        self._gateway = gateway
        self._stack = stack
        store = nightly.store
        gateway.add(Account(store.access_key, store.secret_key))
        self.cluster.secret("backup-demo1-tidb-secret", password=CANARY_PASSWORD)
        self.cluster.secret("s3-secret", access_key=store.access_key, secret_key=store.secret_key)

    def example(self, name: str) -> Object:
        nightly = self._nightly
        values = {
            "tidb_host": nightly.database.host,
            "tidb_port": str(nightly.database.port),
            "tidb_user": "backup",
            "region": REGION,
            "bucket": nightly.bucket,
            "endpoint": nightly.store.http,
        }
        text = (_EXAMPLES / f"{name}.yaml").read_text()
        text = re.sub(r"\$\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)
        text = text.replace("# endpoint:", f"endpoint: {self._gateway.url}")
        document: Object = yaml.safe_load(text)
        document["metadata"]["namespace"] = self.cluster.namespace
        return document

    def around(self, access: str) -> Object:
        """What the cluster adds to a Pod that has credentials by a role."""
        if access == "pod-role":
            service = self._stack.enter_context(Metadata(self._gateway))
            return {"env": variables({"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url})}
        if access != "account-role":
            return {}
        moto = self._stack.enter_context(Moto())
        sts = self._stack.enter_context(Issuer(moto.url, self._gateway))
        subject = f"system:serviceaccount:{self.cluster.namespace}:tidb-backup-manager"
        self.cluster.secret("eks", token=sts.token(subject))
        name = "aws-iam-token"
        env = {
            "AWS_ROLE_ARN": sts.trust("backup", subject),
            "AWS_WEB_IDENTITY_TOKEN_FILE": f"{AT_EKS}/token",
            "AWS_ENDPOINT_URL_STS": sts.url,
        }
        return {
            "env": variables(env),
            "additionalVolumes": [{"name": name, "secret": {"secretName": "eks"}}],
            "additionalVolumeMounts": [{"name": name, "mountPath": AT_EKS, "readOnly": True}],
        }

    def apply(self, document: Object, validate: str = "strict") -> Object:
        """What the API has made of it."""
        words = ["apply", "--filename=-", f"--validate={validate}", "--output=json"]
        applied: Object = json.loads(self.cluster.api.kubectl(*words, given=json.dumps(document)))
        return applied

    def run(self, backup: Object) -> RunningPod:
        """The Pod that the operator has made of a Backup, on a volume that anybody may write to."""
        name = backup["metadata"]["name"]
        self.cluster.node.volume(claim_name(backup)).chmod(0o1777)
        self.cluster.operator.reconcile(name)
        return self.cluster.node.run(f"backup-{name}")


@pytest.fixture
def guide(nightly: Nightly) -> Iterator[Guide]:
    with ExitStack() as stack:
        yield Guide(nightly, stack.enter_context(Gateway(nightly.store)), stack)


def assert_annotated(pod: RunningPod, access: str) -> None:
    """The role that the user names has come to where kube2iam looks."""
    annotations = pod.pod["metadata"].get("annotations", {})
    role = "arn:aws:iam::123456789012:role/user" if access == "pod-role" else None
    assert role == annotations.get("iam.amazonaws.com/role")


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
