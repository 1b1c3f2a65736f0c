"""The objects that TiDB Operator v1.6 makes of a Backup, field by field: Jobs and the PVC."""

from typing import Any

from tests.servers.kubernetes import Object

SERVICE_ACCOUNT = "tidb-backup-manager"
IMAGE = "backup-manager"  # the image under test; any other is a toolImage
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_DUMPLING = "/var/lib/dumpling-bin"
# The alphabet in which Kubernetes writes what could else spell a word.
_SAFE = "bcdfghjklmnpqrstvwxz2456789"


def job_name(backup: Object) -> str:
    return f"backup-{backup['metadata']['name']}"


def clean_job_name(backup: Object) -> str:
    return f"clean-{backup['metadata']['name']}"


def claim_name(backup: Object) -> str:
    """One for each host and port, whichever Backups name them: by FNV-1."""
    source = backup["spec"]["from"]
    hashed = 0x811C9DC5
    for byte in f"{source['host']}_{source.get('port') or 4000}".encode():
        hashed = (hashed * 0x01000193 & 0xFFFFFFFF) ^ byte
    return "backup-pvc-" + "".join(_SAFE[ord(digit) % len(_SAFE)] for digit in str(hashed))


def claim(backup: Object) -> Object:
    spec = backup["spec"]
    size = spec.get("storageSize") or "100Gi"
    made: Object = {
        "metadata": {"name": claim_name(backup), "labels": _base_labels(backup)},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }
    if spec.get("storageClassName"):
        made["spec"]["storageClassName"] = spec["storageClassName"]
    return made


def export_job(backup: Object) -> Object:
    spec = backup["spec"]
    bucket = spec["s3"].get("bucket", "")
    arguments = [*_arguments("export", backup), f"--bucket={bucket}", "--storageType=s3"]
    volumes: list[Any] = [
        {"name": "backup", "persistentVolumeClaim": {"claimName": claim_name(backup)}}
    ]
    mounts: list[Any] = [{"name": "backup", "mountPath": "/backup"}]
    volumes += spec.get("additionalVolumes", [])
    mounts += spec.get("additionalVolumeMounts", [])
    if (secret := spec["from"].get("tlsClientSecretName")) is not None:
        arguments.append("--client-tls=true")
        name, path = "tidb-client-tls", "/var/lib/tidb-client-tls"
        volumes.append({"name": name, "secret": {"secretName": secret}})
        mounts.append({"name": name, "mountPath": path, "readOnly": True})
    first: list[Object] = []
    if image := spec.get("toolImage"):
        mount: Object = {"name": "dumpling-bin", "mountPath": _DUMPLING}
        volumes.append({"name": "dumpling-bin", "emptyDir": {}})
        mounts.append(mount)
        script = f"cp /dumpling {_DUMPLING}/dumpling; echo 'dumpling copy finished'"
        copy = {"name": "dumpling", "image": image, "command": ["/bin/sh", "-c"]}
        first.append({**copy, "args": [script], "volumeMounts": [mount]})
    variables = _overridden([*_password(backup), *_storage(backup)], spec.get("env", []))
    pod = _pod(backup, arguments, variables, volumes, mounts)
    if first:
        pod["initContainers"] = first
    return _job(backup, job_name(backup), "backup", pod, retries=0)


def clean_job(backup: Object) -> Object:
    spec = backup["spec"]
    variables = _overridden(_storage(backup), spec.get("env", []))
    volumes = [*spec.get("additionalVolumes", [])]
    mounts = [*spec.get("additionalVolumeMounts", [])]
    pod = _pod(backup, _arguments("clean", backup), variables, volumes, mounts)
    return _job(backup, clean_job_name(backup), "clean", pod, retries=6)


def _arguments(command: str, backup: Object) -> list[str]:
    meta = backup["metadata"]
    return [command, f"--namespace={meta['namespace']}", f"--backupName={meta['name']}"]


def _password(backup: Object) -> list[Object]:
    spec = backup["spec"]
    kms = "KMS_ENCRYPTED_" if spec.get("useKMS") else ""
    name = f"{kms}BACKUP_MANAGER_PASSWORD"
    return [_secret_variable(name, spec["from"]["secretName"], "password")]


def _storage(backup: Object) -> list[Object]:
    spec = backup["spec"]
    s3 = spec["s3"]
    endpoint, region = s3.get("endpoint", ""), s3.get("region", "")
    acl, storage_class = s3.get("acl", ""), s3.get("storageClass", "")
    if s3["provider"] == "ceph" and "://" not in endpoint:
        endpoint = f"http://{endpoint}"
    if s3["provider"] == "aws":
        acl, storage_class = acl or "private", storage_class or "STANDARD_IA"
    values = {
        "S3_PROVIDER": s3["provider"],
        "S3_ENDPOINT": endpoint,
        "AWS_REGION": region,
        "AWS_ACL": acl,
        "AWS_STORAGE_CLASS": storage_class,
    }
    if spec.get("useKMS"):
        values["AWS_DEFAULT_REGION"] = region
    variables: list[Object] = [{"name": name, "value": value} for name, value in values.items()]
    if secret := s3.get("secretName"):
        variables.append(_secret_variable("AWS_ACCESS_KEY_ID", secret, "access_key"))
        variables.append(_secret_variable("AWS_SECRET_ACCESS_KEY", secret, "secret_key"))
    return variables


def _secret_variable(name: str, secret: str, key: str) -> Object:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _overridden(variables: list[Object], others: list[Object]) -> list[Object]:
    """Those of spec.env take the place of their namesakes; new ones stand at the end."""
    by_name = {variable["name"]: variable for variable in variables}
    return list((by_name | {variable["name"]: variable for variable in others}).values())


def _pod(
    backup: Object,
    arguments: list[str],
    variables: list[Object],
    volumes: list[Any],
    mounts: list[Any],
) -> Object:
    spec = backup["spec"]
    container: Object = {"name": "backup", "image": IMAGE, "imagePullPolicy": "IfNotPresent"}
    container |= {"args": arguments, "env": variables, "volumeMounts": mounts}
    pod: Object = {
        "restartPolicy": "Never",
        "serviceAccountName": spec.get("serviceAccount") or SERVICE_ACCOUNT,
        "containers": [container],
        "volumes": volumes,
    }
    if context := spec.get("podSecurityContext"):
        pod["securityContext"] = context
    automount = spec.get("automountServiceAccountToken")
    if automount is not None:
        pod["automountServiceAccountToken"] = automount
    if automount is False:
        volumes.append(token_volume("kube-api-access"))
        mounts.append({"name": "kube-api-access", "mountPath": TOKEN_PATH, "readOnly": True})
    return pod


def token_volume(name: str) -> Object:
    """What stands at the usual path, here as the operator asks for it."""
    authority = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources: list[Object] = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": authority},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]
    return {"name": name, "projected": {"sources": sources}}


def _base_labels(backup: Object) -> dict[str, str]:
    meta = backup["metadata"]
    instance = meta.get("labels", {}).get("app.kubernetes.io/instance", meta["name"])
    return {
        "app.kubernetes.io/name": "backup",
        "app.kubernetes.io/managed-by": "backup-operator",
        "app.kubernetes.io/instance": instance,
    }


def _job(backup: Object, name: str, component: str, pod: Object, *, retries: int) -> Object:
    meta = backup["metadata"]
    labels = _base_labels(backup) | {
        "app.kubernetes.io/component": component,
        "tidb.pingcap.com/backup": meta["name"],
    }
    marks: Object = {"labels": labels | meta.get("labels", {})}
    if "annotations" in meta:
        marks["annotations"] = meta["annotations"]
    owner = {"apiVersion": backup["apiVersion"], "kind": "Backup", "name": meta["name"]}
    owner |= {"uid": meta["uid"], "controller": True, "blockOwnerDeletion": True}
    return {
        "metadata": {"name": name, "ownerReferences": [owner], **marks},
        "spec": {"backoffLimit": retries, "template": {"metadata": marks, "spec": pod}},
    }
