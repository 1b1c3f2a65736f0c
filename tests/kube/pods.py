"""What a Pod's specification asks of the node: user, environment, mounts, status."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime

from tests.servers.kubernetes import Client, KubernetesAPI, Object

from . import image
from .expansion import expanded
from .image import Confinement, User
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


def confinement_of(container: Object) -> Confinement:
    context = container.get("securityContext", {})
    dropped = context.get("capabilities", {}).get("drop", [])
    assert dropped in ([], ["ALL"]), f"not played here: capabilities.drop {dropped}"
    return Confinement(
        bool(context.get("readOnlyRootFilesystem")),
        bool(dropped),
        context.get("allowPrivilegeEscalation") is False,
    )


def environment_of(pod: Object, variables: Mapping[str, str]) -> dict[str, str]:
    """The image's variables, then what the kubelet gives."""
    return {**image.settings().environment, "HOSTNAME": pod["metadata"]["name"], **variables}


def variables_of(api: KubernetesAPI, pod: Object, container: Object) -> dict[str, str]:
    """The cluster's variables, then the container's own: the kubelet's, which arguments may name.

    enableServiceLinks takes away those of Services beside the Pod, and there are none here.
    """
    address = f"tcp://{api.host}:{api.port}"
    cluster = {
        "KUBERNETES_SERVICE_HOST": api.host,
        "KUBERNETES_SERVICE_PORT": str(api.port),
        "KUBERNETES_SERVICE_PORT_HTTPS": str(api.port),
        "KUBERNETES_PORT": address,
    }
    own: dict[str, str] = {}
    for variable in container.get("env", []):
        own[variable["name"]] = _value(api.admin, pod, variable, cluster | own)
    return cluster | own


def words_of(container: Object, variables: Mapping[str, str]) -> list[str]:
    """Its command line: the image's entry point where it has no command of its own."""
    own = [*container.get("command", []), *container.get("args", [])]
    words = [expanded(word, variables) for word in own]
    return words if "command" in container else [*image.settings().entrypoint, *words]


def _value(client: Client, pod: Object, variable: Object, known: Mapping[str, str]) -> str:
    source: Object | None = variable.get("valueFrom")
    if source is None:
        return expanded(str(variable.get("value", "")), known)
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


def disrupted(reason: str) -> Object:
    """The condition of a Pod that ends for no fault of its own."""
    moment = {"lastTransitionTime": now(), "lastProbeTime": None}
    return {"type": "DisruptionTarget", "status": "True", "reason": reason, **moment}


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
