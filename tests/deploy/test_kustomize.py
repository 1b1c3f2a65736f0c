"""The kustomize base and its example: a Pod that does what the one that render makes does."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no annotations of its own

from backup_manager import __version__
from tests.command import DOUBLE, ROOT
from tests.deploy import kustomize
from tests.kube.expansion import expanded
from tests.render.rendering import IMAGE, render

pytestmark = pytest.mark.skipif(bool(kustomize.ABSENT), reason=kustomize.ABSENT)

Object = dict[str, Any]

KUSTOMIZE = ROOT / "deploy" / "kustomize"
# What the example says.
SCHEDULE = """\
apiVersion: pingcap.com/v1alpha1
kind: BackupSchedule
metadata:
  name: demo1-tidb-backup
  namespace: test1
spec:
  schedule: "30 1 * * *"
  timeZone: Europe/Berlin
  maxReservedTime: 72h
  backupTemplate:
    from:
      host: demo1-tidb
      user: backup
      secretName: backup-demo1-tidb-secret
    s3:
      provider: ceph
      endpoint: http://rgw.ceph:7480
      bucket: backups
      prefix: demo1
      secretName: s3-secret
    dumpling:
      options: [--threads=8, --filesize=256MiB]
      tableFilter: ["shop.*", "!shop.tmp_*"]
    storageClassName: local-storage
    storageSize: 50Gi
    resources:
      requests: {cpu: "1", memory: 1Gi}
"""
UID = "5f0c0e9e-3b51-4f0e-9a5b-9f2a6f7f0c11"


def built(directory: Path) -> dict[str, Object]:
    """The objects that kustomize makes, by kind."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(directory)], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    # No name of a base is deprecated, and no field.
    assert "" == done.stderr
    return {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}


def overlay(directory: Path, text: str, **files: str) -> dict[str, Object]:
    """What an overlay of the base makes; kustomize wants a relative path to that."""
    for place in KUSTOMIZE.iterdir():
        shutil.copytree(place, directory / place.name)
    own = directory / "own"
    own.mkdir()
    (own / "kustomization.yaml").write_text(text, encoding="utf-8")
    for name, content in files.items():
        (own / name).write_text(content, encoding="utf-8")
    return built(own)


def pod_of(cron_job: Object) -> Object:
    template: Object = cron_job["spec"]["jobTemplate"]["spec"]["template"]
    return template


def environment(pod: Object, settings: dict[str, str]) -> dict[str, str]:
    """The container's variables, as the kubelet resolves them in a Pod of the Job `nightly-1`."""
    (container,) = pod["spec"]["containers"]
    found = dict(settings) if "envFrom" in container else {}
    labels = pod["metadata"]["labels"] | {
        "batch.kubernetes.io/job-name": "nightly-1",
        "batch.kubernetes.io/controller-uid": UID,
    }
    for one in container["env"]:
        source = one.get("valueFrom", {})
        if reference := source.get("secretKeyRef"):
            found[one["name"]] = f"{reference['name']}/{reference['key']}"
        elif "fieldRef" in source:
            (label,) = re.findall(r"metadata\.labels\['(.*)'\]", source["fieldRef"]["fieldPath"])
            found[one["name"]] = labels[label]
        else:
            found[one["name"]] = one["value"]
    return found


def dry_run(pod: Object, settings: dict[str, str]) -> list[str]:
    """What the Pod's own command line is about to do, without where each setting comes from."""
    variables = environment(pod, settings)
    args = [expanded(word, variables) for word in pod["spec"]["containers"][0]["args"]]
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    done = subprocess.run(
        [sys.executable, "-m", "backup_manager", *args, "--dry-run", f"--dumpling={DOUBLE}"],
        capture_output=True,
        check=False,
        cwd=ROOT,
        encoding="utf-8",
        env=variables | {"PATH": path, "LANG": "C.UTF-8"},
    )
    assert not done.returncode, done.stderr
    lines = done.stdout.splitlines()
    assert "Settings:" in lines
    # The last one is the summary, which has the seconds that it took.
    return [re.sub(r" +(default|--[a-z-]+|[A-Z0-9_]+)$", "", line) for line in lines[:-1]]


def test_the_example_does_what_render_makes_of_the_same() -> None:
    made = built(KUSTOMIZE / "example")
    rendered = render(SCHEDULE, f"--image={IMAGE}")
    expected = dry_run(rendered.pod, {})
    assert expected == dry_run(pod_of(made["CronJob"]), made["ConfigMap"]["data"])
    for flag, value in (
        ("name", "nightly-1"),
        ("owner-uid", UID),
        ("schedule", "demo1-tidb-backup"),
        ("table-filter", "'shop.*' '!shop.tmp_*'"),
    ):
        assert f"  --{flag:<20} {value}" in expected


def test_the_example_has_all_else_of_what_render_makes() -> None:
    made = built(KUSTOMIZE / "example")
    rendered = render(SCHEDULE, f"--image=REGISTRY/backup-manager:{__version__}")
    expected = {one["kind"]: one for one in rendered.objects}
    assert expected["PersistentVolumeClaim"] == made["PersistentVolumeClaim"]
    ours, theirs = (pod_of(each["CronJob"])["spec"]["containers"][0] for each in (made, expected))
    settings = {"configMapRef": {"name": made["ConfigMap"]["metadata"]["name"]}}
    assert [settings] == ours.pop("envFrom")
    (schedule,) = [one for one in ours["env"] if one not in theirs["env"]]
    assert "BACKUP_MANAGER_SCHEDULE" == schedule["name"]
    assert theirs["env"] == [one for one in ours.pop("env") if one is not schedule]
    assert theirs["args"][:1] + theirs["args"][-2:] == ours.pop("args")
    del theirs["env"], theirs["args"]
    assert expected["CronJob"] == made["CronJob"]


def test_each_prefix_and_suffix_is_a_schedule_of_its_own(tmp_path: Path) -> None:
    text = "resources: [../base]\nnamePrefix: demo2-\nnameSuffix: -weekly\n"
    made = overlay(tmp_path, text)
    name = "demo2-tidb-backup-weekly"
    pod = pod_of(made["CronJob"])
    assert name == made["CronJob"]["metadata"]["name"]
    assert name == made["PersistentVolumeClaim"]["metadata"]["name"]
    assert name == pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert name == environment(pod, {})["BACKUP_MANAGER_SCHEDULE"]
    for labels in (
        made["CronJob"]["metadata"]["labels"],
        made["CronJob"]["spec"]["jobTemplate"]["metadata"]["labels"],
        made["PersistentVolumeClaim"]["metadata"]["labels"],
        pod["metadata"]["labels"],
    ):
        assert name == labels["tidb.pingcap.com/backup-schedule"]
        assert name == labels["app.kubernetes.io/instance"]
        assert "backup" == labels["app.kubernetes.io/name"]


def test_an_overlay_of_an_overlay_is_one_too(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "kustomization.yaml").write_text("resources: [../base]\nnamePrefix: a-\n")
    made = overlay(tmp_path, "resources: [../inner]\nnamePrefix: b-\n")
    variables = environment(pod_of(made["CronJob"]), {})
    assert "b-a-tidb-backup" == variables["BACKUP_MANAGER_SCHEDULE"]


def test_values_of_settings_are_taken_as_they_stand(tmp_path: Path) -> None:
    hard = "$(HOST) $$ 'a' \"b\" {{ c }} #d \\n é 1e3"
    text = """\
resources: [../base]
configMapGenerator:
- name: backup-settings
  behavior: merge
  envs: [settings]
  files: [BACKUP_MANAGER_S3_OPTION=options]
"""
    given = {"BUCKET": "backups", "PREFIX": hard, "USER": "1e3"}
    settings = "".join(f"BACKUP_MANAGER_{name}={value}\n" for name, value in given.items())
    options = "--s3-chunk-size=16M\n--s3-upload-concurrency=3\n"
    made = overlay(tmp_path, text, settings=settings, options=options)
    shown = dry_run(pod_of(made["CronJob"]), made["ConfigMap"]["data"])
    assert f"  --prefix               {hard}" in shown
    assert "  --user                 1e3" in shown
    assert "  --s3-option            --s3-chunk-size=16M --s3-upload-concurrency=3" in shown


COMPONENTS: dict[str, Object] = {
    "role": {"s3": {}},
    "client-tls": {
        "from": {
            "secretName": "backup-tidb",
            "tlsClientSecretName": "backup-tidb-client-tls",
        }
    },
    "dumpling": {"toolImage": "pingcap/dumpling"},
}


def _by_name(pod: Object) -> dict[str, Any]:
    """What the components change, whatever the order."""
    (container,) = pod["spec"]["containers"]
    lists = [container["env"], container["volumeMounts"], pod["spec"]["volumes"]]
    return {
        "lists": [{one["name"]: one for one in each} for each in lists],
        "before": pod["spec"].get("initContainers"),
    }


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_does_what_the_field_does_in_render(name: str, tmp_path: Path) -> None:
    template = {"from": {"secretName": "backup-tidb"}, "s3": {"secretName": "backup-s3"}}
    template |= COMPONENTS[name]
    template["from"] = template["from"] | {"host": "tidb"}
    template["s3"] = template["s3"] | {"bucket": "backups"}
    body = {
        "apiVersion": "pingcap.com/v1alpha1",
        "kind": "BackupSchedule",
        "metadata": {"name": "tidb-backup"},
        "spec": {"schedule": "0 2 * * *", "backupTemplate": template},
    }
    text = f"resources: [../base]\ncomponents: [../{name}]\n"
    settings = {"BACKUP_MANAGER_HOST": "tidb", "BACKUP_MANAGER_BUCKET": "backups"}
    pod = pod_of(overlay(tmp_path, text)["CronJob"])
    rendered = render(json.dumps(body), f"--image={IMAGE}").pod
    assert environment(rendered, {}).items() <= environment(pod, settings).items()
    changed = _by_name(pod)
    for variable in ("BACKUP_MANAGER_SCHEDULE", "BACKUP_MANAGER_CLIENT_TLS"):
        changed["lists"][0].pop(variable, None)
    assert _by_name(rendered) == changed
    said = environment(pod, {}).get("BACKUP_MANAGER_CLIENT_TLS")
    assert ("true" if "--client-tls" in rendered["spec"]["containers"][0]["args"] else None) == said


def test_components_are_all_tried() -> None:
    assert {"base", "example", *COMPONENTS} == {place.name for place in KUSTOMIZE.iterdir()}
