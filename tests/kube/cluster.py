"""One namespace of the cluster as its users and its controllers see it."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.servers import wait_until
from tests.servers.kubernetes import Client, KubernetesAPI, Object

from . import paths
from .jobs import SERVICE_ACCOUNT
from .node import Node
from .operator import Operator

_RBAC = Path(__file__).with_name("rbac.yaml")
_SOON = 30


class Cluster:
    """A namespace with the operator's role in it, the operator, and a node."""

    def __init__(self, api: KubernetesAPI, namespace: str, node: Node) -> None:
        self.api = api
        self.namespace = namespace
        self.node = node
        self.operator = Operator(api, namespace)

    @staticmethod
    def prepare(api: KubernetesAPI, namespace: str) -> None:
        """Make the namespace, with what its controllers make and the operator's guide asks for."""
        Cluster.prepare_bare(api, namespace)
        api.kubectl("--namespace", namespace, "create", f"--filename={_RBAC}")

    @staticmethod
    def prepare_bare(api: KubernetesAPI, namespace: str, **labels: str) -> None:
        """Make the namespace, with what its controllers make and no more."""
        body: Object = {"metadata": {"name": namespace, "labels": labels}}
        api.admin.create("/api/v1/namespaces", body)
        authority: Object = {
            "metadata": {"name": "kube-root-ca.crt"},
            "data": {"ca.crt": api.certificates.ca_file.read_text()},
        }
        api.admin.create(paths.core(namespace, "configmaps"), authority)

    def secret(self, name: str, **values: str) -> str:
        """Make a Secret; returns its name."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        body: Object = {"metadata": {"name": name}, "data": data}
        self.api.admin.create(paths.core(self.namespace, "secrets"), body)
        return name

    def apply(self, name: str, spec: Object, **metadata: Any) -> Object:
        """`kubectl apply` a Backup, and let the operator see it."""
        meta = {"name": name, "namespace": self.namespace, **metadata}
        body = {"apiVersion": "pingcap.com/v1alpha1", "kind": "Backup", "metadata": meta}
        self.api.kubectl("apply", "--filename=-", given=json.dumps(body | {"spec": spec}))
        self.operator.reconcile(name)
        return self.backup(name)

    def backup(self, name: str) -> Object:
        return self.api.admin.get(paths.backup(self.namespace, name))

    def job(self, name: str) -> Object:
        return self.api.admin.get(paths.job(self.namespace, name))

    def wait_for_job(self, name: str, kind: str) -> None:
        """Wait until the Job has this condition: Complete or Failed."""
        self.wait_until(lambda: bool(self.job_condition(name, kind)), f"the Job {name} is {kind}")

    def job_condition(self, name: str, kind: str) -> Object:
        """The Job's condition of this type, if it holds; else empty."""
        conditions = self.job(name).get("status", {}).get("conditions", [])
        holding = (each for each in conditions if each["status"] == "True")
        return next((each for each in holding if each["type"] == kind), {})

    def wait_until(self, holds: Callable[[], bool], what: str, *, seconds: float = _SOON) -> None:
        wait_until(holds, seconds=seconds, what=what)

    def account(self, name: str = SERVICE_ACCOUNT) -> Client:
        """A client with a real token of a ServiceAccount."""
        path = f"{paths.core(self.namespace, 'serviceaccounts', name)}/token"
        answer = self.api.admin.create(path, {"spec": {"expirationSeconds": 3600}})
        return self.api.client(answer["status"]["token"])

    def events(self, name: str) -> dict[str, str]:
        """The messages of a Backup's Events by their reasons."""
        selected = f"fieldSelector=involvedObject.name%3D{name}"
        found = self.api.admin.items(f"{paths.core(self.namespace, 'events')}?{selected}")
        ours = [each for each in found if each["involvedObject"]["kind"] == "Backup"]
        return {event["reason"]: event.get("message", "") for event in ours}

    def columns(self, name: str) -> dict[str, str]:
        """What `kubectl get bk -owide` prints for one Backup, by column."""
        words = ["--namespace", self.namespace, "get", "bk", name, "--output=wide"]
        header, line = self.api.kubectl(*words).splitlines()
        spans = [(found.start(), found.end()) for found in re.finditer(r"\S+ *", header)]
        # The last column is as wide as its content.
        spans[-1] = (spans[-1][0], len(line))
        return {header[start:end].strip(): line[start:end].strip() for start, end in spans}
