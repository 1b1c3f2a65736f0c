"""What a Pod's specification asks of the node: user, environment, mounts, status."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime

from tests.servers.kubernetes import Client, KubernetesAPI, Object

from . import image
from .image import User
from .paths import core
from .volumes import Owner, field


class NotStartedError(Exception):
    """The kubelet would leave the container waiting, with this reason and message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def user_of(pod: Object, container: Object) -> User:
    """The user by the security contexts, else the image's."""
    context = pod["spec"].get("securityContext", {}) | container.get("securityContext", {})
    ours = image.settings().user
    uid = context.get("runAsUser", ours.uid)
    if context.get("runAsNonRoot") and not uid:
        message = "container has runAsNonRoot and image will run as root"
        raise NotStartedError("CreateContainerConfigError", message)
    gid = context.get("runAsGroup", 0 if "runAsUser" in context else ours.gid)
    groups = list(context.get("supplementalGroups", []))
    if "fsGroup" in context:
        groups.append(context["fsGroup"])
    return User(uid, gid, tuple(groups))


def owner_of(pod: Object) -> Owner:
    """Who has the files of its volumes; a user counts where the whole Pod names it."""
    context = pod["spec"].get("securityContext", {})
    always = context.get("fsGroupChangePolicy", "Always") == "Always"
    return Owner(context.get("runAsUser"), context.get("fsGroup"), always)


def environment_of(api: KubernetesAPI, pod: Object, container: Object) -> dict[str, str]:
    """The image's variables, the cluster's, then the container's own."""
    address = f"tcp://{api.host}:{api.port}"
    values = dict(image.settings().environment)
    values |= {
        "HOSTNAME": pod["metadata"]["name"],
        "KUBERNETES_SERVICE_HOST": api.host,
        "KUBERNETES_SERVICE_PORT": str(api.port),
        "KUBERNETES_SERVICE_PORT_HTTPS": str(api.port),
        "KUBERNETES_PORT": address,
    }
    for variable in container.get("env", []):
        values[variable["name"]] = _value(api.admin, pod, variable)
    return values


def _value(client: Client, pod: Object, variable: Object) -> str:
    source: Object | None = variable.get("valueFrom")
    if source is None:
        return str(variable.get("value", ""))
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"])
    wanted = source["secretKeyRef"]
    namespace, name, key = pod["metadata"]["namespace"], wanted["name"], wanted["key"]
    secret = client.find(core(namespace, "secrets", name))
    if secret is None:
        raise NotStartedError("CreateContainerConfigError", f'secret "{name}" not found')
    if key not in secret.get("data", {}):
        message = f"couldn't find key {key} in Secret {namespace}/{name}"
        raise NotStartedError("CreateContainerConfigError", message)
    return base64.b64decode(secret["data"][key]).decode()


def secrets_of(container: Object, environment: Mapping[str, str]) -> list[str]:
    """The values that came from Secrets; an access key's name is none."""
    named = [
        variable["name"]
        for variable in container.get("env", [])
        if "secretKeyRef" in variable.get("valueFrom", {})
    ]
    secrets = [environment[name] for name in named if name != "AWS_ACCESS_KEY_ID"]
    return [secret for secret in secrets if secret]


def status(phase: str, container: Object, state: Object, *, ready: bool = False) -> Object:
    """A Pod's status with its one container in this state."""
    described = {"name": container["name"], "image": container["image"], "imageID": ""}
    described |= {"restartCount": 0, "ready": ready, "started": ready, "state": state}
    return {"phase": phase, "containerStatuses": [described]}


def terminated(code: int, message: str, began: str) -> Object:
    """The state of a container that has ended."""
    reason = "Error" if code else "Completed"
    times = {"startedAt": began, "finishedAt": now()}
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, **times}}
