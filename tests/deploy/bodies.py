"""Objects that the chart and render are held against one another with."""

import random
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # it has no annotations of its own

from tests.render.rendering import GOOD_EXAMPLES, filled

Object = dict[str, Any]

# What quoting, templates, shells, Kubernetes' references and readers of YAML treat in their own
# ways.
HARD = "é \"q\" 'a' `b` $(HOST) $$x {{ .Values.image }} {{/* c */}} %s %d \\n <&> #!: - 1e3 ✓"
HARD_LINES = f"first: {HARD}\n\n  second\ttab\n"
TEXTS = (
    HARD,
    HARD_LINES,
    "1e3",
    "0o17",
    "012",
    "1:30",
    "true",
    "null",
    "~",
    "yes",
    "",
    " a ",
    "\n",
)


def _example(file: Path) -> Object:
    body: Object = yaml.safe_load(filled(file.read_text(encoding="utf-8")))
    if body["kind"] == "BackupSchedule" and "serviceAccount" in body["spec"]:
        # The guide's own slip, which render does not take.
        body["spec"]["backupTemplate"]["serviceAccount"] = body["spec"].pop("serviceAccount")
    return body


EXAMPLES = {file.stem: _example(file) for file in sorted(GOOD_EXAMPLES.glob("*.yaml"))}
TEMPLATE: Object = {
    "from": {
        "host": "demo1-tidb.$(X)",
        "port": 4001,
        "user": "back$up",
        "secretName": "tidb-secret",
        "tlsClientSecretName": "tls-secret",
    },
    "s3": {
        "provider": "ceph",
        "endpoint": "http://rgw.ceph:7480",
        "region": "1e3",
        "bucket": "backups",
        "prefix": "a/$(b)/{{ c }}/'\"é",
        "secretName": "s3-secret",
        "storageClass": "STANDARD_IA",
        "acl": "private",
        "sse": "AES256",
        "forcePathStyle": False,
        "options": ["--s3-upload-concurrency=3", "--s3-chunk-size=16M"],
    },
    "dumpling": {
        "options": ["--threads=4", f"--where=a = {HARD!r}", "--csv-separator=$$"],
        "tableFilter": ["a.*", "!a.tmp_$"],
    },
    "tableFilter": ["shop.*", "!shop.tmp_$", "/^[a-z]{2}$/.*"],
    "tikvGCLifeTime": "24h",
    "storageClassName": "local-storage",
    "storageSize": "50Gi",
    "useKMS": True,
    "toolImage": "example.com/dumpling:v8.5.1",
    "serviceAccount": "backups",
    "automountServiceAccountToken": True,
    "imagePullSecrets": [{"name": "registry"}],
    "podSecurityContext": {
        "runAsUser": 1000,
        "fsGroup": None,
        "fsGroupChangePolicy": "Always",
        "runAsNonRoot": False,
        "seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"},
        "sysctls": [{"name": "net.a", "value": "1"}],
    },
    "priorityClassName": "low",
    "resources": {"limits": {"cpu": 2, "memory": "1e9"}, "requests": {"cpu": "500m"}},
    "tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 3000000}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "z", "operator": "In", "values": ["1e3", "on"]}]}
                ]
            }
        }
    },
    "env": [
        *({"name": f"TEXT_{number}", "value": text} for number, text in enumerate(TEXTS)),
        {"name": "AWS_REGION", "value": "eu-central-1"},
        {"name": "AWS_ACCESS_KEY_ID", "value": "in place"},
        {
            "name": "BACKUP_MANAGER_USER",
            "valueFrom": {"secretKeyRef": {"name": "tidb-secret", "key": "user"}},
        },
        {"name": "TEXT_0", "value": "the last one counts"},
    ],
    "additionalVolumes": [{"name": "more", "emptyDir": {"sizeLimit": "1Gi"}}],
    "additionalVolumeMounts": [{"name": "more", "mountPath": "/more", "readOnly": True}],
}
METADATA: Object = {
    "name": "everything",
    "namespace": "test1",
    "labels": {"team": "1e3", "app.kubernetes.io/name": "not so"},
    "annotations": {"iam.amazonaws.com/role": "arn:aws:iam::1:role/b", "said": HARD_LINES},
}
API: Object = {"apiVersion": "pingcap.com/v1alpha1", "metadata": METADATA}
BACKUP: Object = {**API, "kind": "Backup", "spec": TEMPLATE}
SCHEDULE: Object = {
    **API,
    "kind": "BackupSchedule",
    "spec": {
        "schedule": "@every 1h30m",
        "timeZone": "Etc/GMT+1",
        "pause": True,
        "maxBackups": 0,
        "maxReservedTime": "1.5h",
        "storageSize": "20Gi",
        "backupTemplate": TEMPLATE,
    },
}
# Without these there is nothing to back up, or nowhere to.
_NEEDED = {
    "from.host",
    "from.secretName",
    "s3.bucket",
    "s3.endpoint",
    "schedule",
    "backupTemplate",
}


def some_of(body: Object, seed: int) -> Object:
    """The same with each field there or not, as the seed has it."""
    chance = random.Random(seed)

    def picked(fields: Object, path: str) -> Object:
        found: Object = {}
        for name, value in fields.items():
            inner = f"{path}.{name}".removeprefix(".")
            if name in {"from", "s3", "dumpling", "backupTemplate"}:
                found[name] = picked(value, inner.removeprefix("backupTemplate"))
            elif inner in _NEEDED or chance.random() < 1 / 2:
                found[name] = not value if value is True and chance.random() < 1 / 2 else value
        return found

    named = {key: METADATA[key] for key in ("name", "namespace")}
    return {**body, "metadata": named | picked(METADATA, ""), "spec": picked(body["spec"], "")}
