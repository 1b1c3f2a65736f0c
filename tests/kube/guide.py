"""The operator's guide to backups with Dumpling: its examples in seed/, and who follows it."""

import json
import re
from contextlib import ExitStack
from pathlib import Path

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
        document: Object = yaml.safe_load(self.text(name))
        return document

    def text(self, name: str) -> str:
        """The file, in the namespace of this test."""
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
        return text.replace("namespace: test1\n", f"namespace: {self.cluster.namespace}\n")

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


def assert_annotated(pod: RunningPod, access: str) -> None:
    """The role that the user names has come to where kube2iam looks."""
    annotations = pod.pod["metadata"].get("annotations", {})
    role = "arn:aws:iam::123456789012:role/user" if access == "pod-role" else None
    assert role == annotations.get("iam.amazonaws.com/role")
