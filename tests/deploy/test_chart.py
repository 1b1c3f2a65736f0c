"""The Helm chart makes what render makes, of values that say the same."""

from pathlib import Path
from typing import Any

import pytest

from backup_manager.definitions import DEFINITIONS
from tests.deploy.bodies import BACKUP, EXAMPLES, SCHEDULE, TEXTS, some_of
from tests.deploy.charts import (
    CHART,
    CLUSTER,
    HELM,
    TTL_SECONDS,
    helm,
    refusal,
    rendered,
    template,
    without,
)
from tests.servers.helm import ABSENT

pytestmark = pytest.mark.skipif(HELM is None, reason=ABSENT)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_of_the_guide_becomes_what_render_makes_of_it(
    name: str, tmp_path: Path
) -> None:
    body = EXAMPLES[name]
    assert rendered(body) == template(body, tmp_path)


@pytest.mark.parametrize("body", [BACKUP, SCHEDULE], ids=["Backup", "BackupSchedule"])
def test_every_field_does_what_it_does_in_render(body: dict[str, Any], tmp_path: Path) -> None:
    made = template(body, tmp_path, createServiceAccount=True, ttlSecondsAfterFinished=TTL_SECONDS)
    assert rendered(body, "--with-rbac", f"--ttl={TTL_SECONDS}s") == made
    assert 3 == len(made)


@pytest.mark.parametrize("seed", range(12))
def test_fields_do_so_whatever_else_is_given(seed: int, tmp_path: Path) -> None:
    body = some_of(SCHEDULE if seed % 2 else BACKUP, seed)
    assert rendered(body) == template(body, tmp_path)


@pytest.mark.parametrize("of", ["own_variable", "variable"])
@pytest.mark.parametrize("body", [BACKUP, SCHEDULE], ids=["Backup", "BackupSchedule"])
def test_variables_take_the_place_of_fields(body: dict[str, Any], of: str, tmp_path: Path) -> None:
    names = [name for definition in DEFINITIONS if (name := getattr(definition, of))]
    source = {"configMapKeyRef": {"name": "settings", "key": "any"}}
    env = [{"name": name, "valueFrom": source} for name in names]
    template_of = body["spec"].get("backupTemplate")
    spec = body["spec"] | {"env": env}
    if template_of:
        spec = body["spec"] | {"backupTemplate": template_of | {"env": env}}
    given = {**body, "spec": spec}
    made = template(given, tmp_path)
    assert rendered(given) == made
    job = made.get("Job") or made["CronJob"]["spec"]["jobTemplate"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    flags = {word.partition("=")[0] for word in container["args"]}
    assert not flags & {"--region", "--acl"}


def test_texts_arrive_as_they_are(tmp_path: Path) -> None:
    made = template(BACKUP, tmp_path)["Job"]["spec"]["template"]
    variables = {one["name"]: one for one in made["spec"]["containers"][0]["env"]}
    assert list(TEXTS[1:]) == [variables[f"TEXT_{n}"]["value"] for n in range(1, len(TEXTS))]
    assert BACKUP["metadata"]["annotations"] == made["metadata"]["annotations"]


def test_a_role_comes_with_the_account(tmp_path: Path) -> None:
    body = EXAMPLES["account-role"]
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/backup"}
    made = template(body, tmp_path, createServiceAccount=True, serviceAccountAnnotations=role)
    expected = rendered(body, "--with-rbac")
    expected["ServiceAccount"]["metadata"]["annotations"] = role
    assert expected == made


def test_another_name_than_that_of_the_release_is_that_of_all(tmp_path: Path) -> None:
    body = EXAMPLES["schedule-ceph"]
    named = {**body, "metadata": body["metadata"] | {"name": "other"}}
    made = template(body, tmp_path, fullnameOverride="other")
    assert rendered(named) == made


def test_the_volume_outlives_the_release(tmp_path: Path) -> None:
    claim = template(EXAMPLES["ceph"], tmp_path)["PersistentVolumeClaim"]
    assert "keep" == claim["metadata"]["annotations"]["helm.sh/resource-policy"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("image=", "image is not set: name the image of backup-manager"),
        ("from.host=", "from.host is not set: name the host of TiDB"),
        ("from.secretName=", "from.secretName is not set: name the Secret"),
        ("s3.bucket=", "s3.bucket is not set: name the bucket"),
        ("fullnameOverride=" + "a" * 64, "has 64 characters, and may have 63"),
        (
            "schedule=@daily,fullnameOverride=" + "a" * 53,
            "has 53 characters, and may have 52: give a shorter one, as fullnameOverride",
        ),
        ("createServiceAccount=true", "serviceAccount is not: name the account"),
        (
            r"labels.tidb\.pingcap\.com/backup-schedule=a",
            "labels has tidb.pingcap.com/backup-schedule, which is the name of the release",
        ),
        ("tableFiler={a.*}", "tableFiler is not allowed"),
        ("s3.buckets=a", "s3: Additional property buckets is not allowed"),
        ("s3.provider=cehp", "s3.provider must be one of the following"),
        ("from.port=a", "from.port: Invalid type"),
        ("from.port=65536", "from.port: Must be less than or equal to 65535"),
        ("schedule=12", "schedule: Invalid type. Expected: string"),
        ("maxReservedTime=3d", "maxReservedTime: Does not match pattern"),
        ("maxBackups=-1", "maxBackups: Must be greater than or equal to 0"),
        ("env[0].value=a", "env.0: name is required"),
        ("env[0].name=A,env[0].value=1", "env.0.value: Invalid type"),
        ("backupMode=volume-snapshot", "backupMode must be one of the following"),
        ("from=null", "from is required"),
    ],
)
def test_what_would_fail_later_is_refused(setting: str, said: str) -> None:
    assert said in refusal(setting)


@pytest.mark.parametrize("path", ["from.host", "from.secretName", "s3.bucket"])
def test_what_is_needed_may_come_from_variables(path: str, tmp_path: Path) -> None:
    variables = {
        "from.host": "BACKUP_MANAGER_HOST",
        "from.secretName": "BACKUP_MANAGER_PASSWORD",
        "s3.bucket": "BACKUP_MANAGER_BUCKET",
    }
    backup = EXAMPLES["ceph"]
    spec = without(backup["spec"], path)
    body = {**backup, "spec": spec | {"env": [{"name": variables[path], "value": "given"}]}}
    assert rendered(body) == template(body, tmp_path)


@pytest.mark.parametrize("kind", ["ceph", "schedule-ceph"])
def test_lint_has_nothing_against_it(kind: str, tmp_path: Path) -> None:
    template(EXAMPLES[kind], tmp_path)
    done = helm("lint", str(CHART), "--strict", CLUSTER, f"--values={tmp_path / 'values.yaml'}")
    assert 0 == done.returncode, done.stdout
    assert "[WARNING]" not in done.stdout
    assert "[ERROR]" not in done.stdout
