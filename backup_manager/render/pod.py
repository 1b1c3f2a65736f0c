"""The Pod of a rendered Job: as little as it needs, and what the object asks for."""

from typing import Any

from backup_manager.definitions.kubernetes import CLIENT_TLS
from backup_manager.render.wanted import Wanted
from backup_manager.settings import ENCRYPTED_PASSWORD_VARIABLE, PASSWORD_VARIABLE

Object = dict[str, Any]

_UID = 65532  # the image's
# The end after SIGTERM takes up to 25 s.
_GRACE_SECONDS = 30
# Unless spec.env has a word of its own.
_OF_THE_JOB = {"name": "--name=$(JOB_NAME)", "owner_uid": "--owner-uid=$(JOB_UID)"}
_DUMPLING = "/var/lib/dumpling-bin"
_POD_SECURITY: Object = {
    "runAsNonRoot": True,
    "runAsUser": _UID,
    "fsGroup": _UID,
    # On a volume full of files the kubelet would else change each of them before each Pod.
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}


def _security() -> Object:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pod_spec(wanted: Wanted, image: str) -> Object:
    """Return the Pod's ``spec``; Secrets stay references."""
    spec = wanted.spec
    made: Object = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "automountServiceAccountToken": bool(spec.get("automountServiceAccountToken")),
    }
    if account := spec.get("serviceAccount"):
        made["serviceAccountName"] = account
    for name in ("priorityClassName", "imagePullSecrets", "affinity", "tolerations"):
        if spec.get(name):
            made[name] = spec[name]
    chosen = _POD_SECURITY | (spec.get("podSecurityContext") or {})
    made["securityContext"] = {name: value for name, value in chosen.items() if value is not None}
    volumes, mounts = _volumes(wanted)
    if spec.get("toolImage"):
        made["initContainers"] = [_copy_of_dumpling(spec["toolImage"], spec.get("resources"))]
    return made | {"containers": [_container(wanted, image, mounts)], "volumes": volumes}


def _container(wanted: Wanted, image: str, mounts: list[Object]) -> Object:
    made: Object = {
        "name": "backup",
        "image": image,
        "args": _arguments(wanted),
        "env": _variables(wanted),
        # What a crash says last, where there was no time for a message.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if resources := wanted.spec.get("resources"):
        made["resources"] = resources
    return made | {"securityContext": _security(), "volumeMounts": mounts}


def _arguments(wanted: Wanted) -> list[str]:
    found = ["export"]
    for definition, field in wanted.settings.values():
        values = (field.value,) if isinstance(field.value, str) else field.value
        found += [f"--{definition.flag}={_literal(value)}" for value in values]
    secret = wanted.backup.text("spec.from.tlsClientSecretName")
    if secret and not wanted.sets("client_tls"):
        found.append("--client-tls")
    # The next Pod of the same Job takes its dump up; no other one does.
    for setting, flag in _OF_THE_JOB.items():
        if not wanted.sets(setting):
            found.append(flag)
    return found


def _literal(text: str) -> str:
    """Keep Kubernetes from putting a variable in the place of $(NAME)."""
    return text.replace("$", "$$")


def _variables(wanted: Wanted) -> list[Object]:
    spec, text = wanted.spec, wanted.backup.text
    own: list[Object] = []
    if secret := text("spec.from.secretName"):
        encrypted = spec.get("useKMS")
        name = ENCRYPTED_PASSWORD_VARIABLE if encrypted else PASSWORD_VARIABLE
        own.append(_secret(name, secret, "password"))
        if encrypted and (region := text("spec.s3.region")):
            own.append({"name": "AWS_DEFAULT_REGION", "value": region})
    if secret := text("spec.s3.secretName"):
        own.append(_secret("AWS_ACCESS_KEY_ID", secret, "access_key"))
        own.append(_secret("AWS_SECRET_ACCESS_KEY", secret, "secret_key"))
    own.append(_label("JOB_NAME", "batch.kubernetes.io/job-name"))
    own.append(_label("JOB_UID", "batch.kubernetes.io/controller-uid"))
    # As the operator has it: spec.env takes the place of its namesakes, the last of them.
    others = {entry["name"]: entry for entry in spec.get("env") or []}
    return _merged(own, list(others.values()), "name")


def _secret(variable: str, secret: str, key: str) -> Object:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _label(variable: str, label: str) -> Object:
    path = f"metadata.labels['{label}']"
    return {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _copy_of_dumpling(image: str, resources: Object | None) -> Object:
    made: Object = {
        "name": "dumpling",
        "image": image,
        "command": ["/bin/sh", "-c"],
        "args": [f"cp /dumpling {_DUMPLING}/dumpling"],
    }
    if resources:
        # A quota may ask for them; of the two containers' only the greater counts.
        made["resources"] = resources
    return made | {
        "securityContext": _security(),
        "volumeMounts": [{"name": "dumpling-bin", "mountPath": _DUMPLING}],
    }


def _volumes(wanted: Wanted) -> tuple[list[Object], list[Object]]:
    """Return the Pod's volumes, and where its container has them."""
    spec = wanted.spec
    volumes: list[Object] = [
        {"name": "backup", "persistentVolumeClaim": {"claimName": wanted.name}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts: list[Object] = [
        {"name": "backup", "mountPath": "/backup"},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the Pod's; its root is read-only
    ]
    if secret := wanted.backup.text("spec.from.tlsClientSecretName"):
        volumes.append({"name": "tidb-client-tls", "secret": {"secretName": secret}})
        mounts.append({"name": "tidb-client-tls", "mountPath": CLIENT_TLS, "readOnly": True})
    if spec.get("toolImage"):
        volumes.append({"name": "dumpling-bin", "emptyDir": {}})
        mounts.append({"name": "dumpling-bin", "mountPath": _DUMPLING})
    return (
        _merged(volumes, spec.get("additionalVolumes"), "name"),
        _merged(mounts, spec.get("additionalVolumeMounts"), "mountPath"),
    )


def _merged(own: list[Object], others: list[Object] | None, key: str) -> list[Object]:
    """Put what the user has in the place of its namesake, else at the end."""
    keys = [each[key] for each in own]
    found = {other[key]: other for other in others or [] if other.get(key) in keys}
    used = [id(other) for other in found.values()]
    left = [other for other in others or [] if id(other) not in used]
    return [*(found.get(each[key], each) for each in own), *left]
