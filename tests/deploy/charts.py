"""The chart, and the same objects by `backup-manager render`.

made = template(BACKUP)
assert rendered(BACKUP) == made
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # it has no annotations of its own

from backup_manager import __version__
from tests.command import ROOT
from tests.render.rendering import IMAGE, render
from tests.servers.helm import find_helm

Object = dict[str, Any]

CHART = ROOT / "deploy" / "helm" / "backup-manager"
HELM = find_helm()
# Without a cluster it takes some version for the cluster's, and that may be any.
CLUSTER = "--kube-version=1.32"
TTL_SECONDS = 72 * 3600
_SHARED = ("storageClassName", "storageSize", "imagePullSecrets")


class _Strict(yaml.SafeLoader):  # type: ignore[misc]  # for want of PyYAML's annotations
    """Takes no key twice, as the API server does where it is strict."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Object:
        keys = [key.value for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"a key is there twice: {keys}"
        found: Object = super().construct_mapping(node, deep)
        return found


def helm(*words: str) -> "subprocess.CompletedProcess[str]":
    """One run, which asks no cluster."""
    assert HELM is not None
    return subprocess.run([HELM, *words], capture_output=True, text=True, check=False)


def values_of(body: Object) -> Object:
    """The chart's values that say what a Backup or a BackupSchedule does."""
    spec, metadata = body["spec"], body["metadata"]
    if body["kind"] == "BackupSchedule":
        shared = {name: spec[name] for name in _SHARED if name in spec}
        own = {name: value for name, value in spec.items() if name != "backupTemplate"}
        spec = own | shared | spec["backupTemplate"]
    marks = {name: metadata[name] for name in ("labels", "annotations") if name in metadata}
    return {**spec, **marks, "image": IMAGE}


def template(body: Object, directory: Path, **further: Any) -> dict[str, Object]:
    """What Helm makes for an object, by kind; `further` are more values."""
    file = directory / "values.yaml"
    # JSON is YAML, and has no two ways of writing a text.
    file.write_text(json.dumps(values_of(body) | further, ensure_ascii=False), encoding="utf-8")
    metadata = body["metadata"]
    words = [metadata["name"], str(CHART), f"--values={file}", CLUSTER]
    done = helm("template", *words, f"--namespace={metadata.get('namespace', 'default')}")
    assert not done.returncode, done.stderr
    made = [one for one in yaml.load_all(done.stdout, Loader=_Strict) if one]
    found = {one["kind"]: one for one in made}
    assert len(made) == len(found)
    return found


def rendered(body: Object, *flags: str) -> dict[str, Object]:
    """What render makes for it, by kind, with what the chart adds to that: Helm's own marks."""
    found = {}
    for one in render(json.dumps(body), f"--image={IMAGE}", *flags).objects:
        metadata = one["metadata"]
        metadata["labels"] |= {
            "app.kubernetes.io/managed-by": "Helm",
            "helm.sh/chart": f"backup-manager-{__version__}",
        }
        if one["kind"] == "PersistentVolumeClaim":
            metadata["annotations"] = {"helm.sh/resource-policy": "keep"}
        found[one["kind"]] = one
    return found


def refusal(*settings: str) -> str:
    """What Helm says to values that it does not take; without them, it would take the rest."""
    sound = f"image={IMAGE},from.host=tidb,from.secretName=tidb-secret,s3.bucket=backups"
    words = ["demo1", str(CHART), CLUSTER, f"--set={sound}"]
    done = helm("template", *words, *(f"--set={setting}" for setting in settings))
    assert done.returncode, "it is taken"
    return done.stderr


def without(body: Mapping[str, Any], path: str) -> Object:
    """The same without a field."""
    name, _, inner = path.partition(".")
    if not inner:
        return {key: value for key, value in body.items() if key != name}
    return {**body, name: without(body[name], inner)}
