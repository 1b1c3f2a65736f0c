"""The Pods of Jobs and of CronJobs: safe, and with all that the object asks for."""

from typing import Any

import pytest

from .rendering import BACKUP, IMAGE, SCHEDULE, changed, render, spec

BOTH = pytest.mark.parametrize("text", [BACKUP, SCHEDULE], ids=["Backup", "BackupSchedule"])
NAMES = {BACKUP: "demo1", SCHEDULE: "nightly"}


def secret(name: str, key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": name, "key": key}}


def label(name: str) -> dict[str, Any]:
    return {"fieldRef": {"fieldPath": f"metadata.labels['batch.kubernetes.io/{name}']"}}


# Pods --------------------------------------------------------------------------------------


@BOTH
def test_a_pod_passes_restricted_pod_security(text: str) -> None:
    made = render(spec("toolImage: pingcap/dumpling:v8.5.0", text))
    pod = made.pod["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"]
    containers = [*pod["initContainers"], *pod["containers"]]
    assert 2 == len(containers)
    for each in containers:
        assert {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        } == each["securityContext"]
    kinds = {name for volume in pod["volumes"] for name in volume if name != "name"}
    assert {"persistentVolumeClaim", "emptyDir"} == kinds


@BOTH
def test_a_pod_ends_in_time_and_is_not_started_again_in_place(text: str) -> None:
    pod = render(text).pod["spec"]
    assert "Never" == pod["restartPolicy"]
    assert pod["terminationGracePeriodSeconds"] >= 30
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod


@BOTH
def test_the_container_has_the_image_and_says_why_it_failed(text: str) -> None:
    made = render(text)
    assert ("backup", IMAGE) == (made.container["name"], made.container["image"])
    assert "command" not in made.container
    assert "FallbackToLogsOnError" == made.container["terminationMessagePolicy"]


@BOTH
def test_the_container_has_the_volume_and_a_place_for_small_files(text: str) -> None:
    made = render(text)
    assert {"/backup", "/tmp"} == {each["mountPath"] for each in made.container["volumeMounts"]}
    claims = [each for each in made.pod["spec"]["volumes"] if "persistentVolumeClaim" in each]
    assert [{"claimName": NAMES[text]}] == [each["persistentVolumeClaim"] for each in claims]
    assert made.one("PersistentVolumeClaim")["metadata"]["name"] == NAMES[text]


def test_the_order_of_the_arguments_is_that_of_the_help() -> None:
    text = changed(BACKUP, "    secretName: s3", "    prefix: a/b\n    secretName: s3")
    assert [
        "export",
        "--host=tidb",
        "--port=4000",
        "--user=root",
        "--provider=aws",
        "--region=eu-central-1",
        "--bucket=backups",
        "--prefix=a/b",
        "--name=$(JOB_NAME)",
        "--owner-uid=$(JOB_UID)",
    ] == render(text).args


def test_what_kubernetes_would_take_for_a_variable_is_escaped() -> None:
    where = "--where=a = '$(JOB_NAME) $$ $HOME'"
    quoted = where.replace("'", "''")
    (argument,) = [
        word
        for word in render(spec(f"dumpling:\n  options: ['{quoted}']")).args
        if word.startswith("--dumpling-option")
    ]
    assert "--dumpling-option=--where=a = '$$(JOB_NAME) $$$$ $$HOME'" == argument


@BOTH
def test_secrets_stay_references(text: str) -> None:
    env = render(text).env
    assert {
        "BACKUP_MANAGER_PASSWORD": secret("tidb-secret", "password"),
        "AWS_ACCESS_KEY_ID": secret("s3-secret", "access_key"),
        "AWS_SECRET_ACCESS_KEY": secret("s3-secret", "secret_key"),
        "JOB_NAME": label("job-name"),
        "JOB_UID": label("controller-uid"),
    } == {name: each["valueFrom"] for name, each in env.items()}


def test_without_a_secret_of_the_store_its_keys_come_from_elsewhere() -> None:
    env = render(changed(BACKUP, "    secretName: s3-secret\n", "")).env
    assert not [name for name in env if name.startswith("AWS")]


@BOTH
def test_variables_take_the_place_of_their_namesakes_and_others_follow(text: str) -> None:
    more = (
        "env:\n"
        "- {name: B, value: '1'}\n"
        "- {name: AWS_ACCESS_KEY_ID, value: own}\n"
        "- {name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}\n"
    )
    plain, made = render(text), render(spec(more, text))
    assert [*plain.env, "B", "A"] == list(made.env)
    assert "own" == made.env["AWS_ACCESS_KEY_ID"]["value"]
    assert "valueFrom" not in made.env["AWS_ACCESS_KEY_ID"]
    assert len(made.env) == len(made.container["env"])


@pytest.mark.parametrize(
    ("variable", "flag"),
    [
        ("BACKUP_MANAGER_PORT, value: '1'", "--port"),
        ("BACKUP_MANAGER_HOST, valueFrom: {configMapKeyRef: {name: a, key: b}}", "--host"),
        ("BACKUP_MANAGER_BUCKET, value: other", "--bucket"),
    ],
)
def test_a_variable_comes_before_what_the_spec_says(variable: str, flag: str) -> None:
    made = render(spec(f"env: [{{name: {variable}}}]"))
    assert not [word for word in made.args if word.startswith(f"{flag}=")]
    assert len(render(BACKUP).args) - 1 == len(made.args)


@BOTH
def test_passwords_encrypted_by_kms(text: str) -> None:
    env = render(spec("useKMS: true", text)).env
    assert "BACKUP_MANAGER_PASSWORD" not in env
    assert (
        secret("tidb-secret", "password")
        == env["KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD"]["valueFrom"]
    )
    assert "eu-central-1" == env["AWS_DEFAULT_REGION"]["value"]


@BOTH
def test_client_certificates_are_mounted_where_they_are_looked_for(text: str) -> None:
    own = "secretName: tidb-secret\n"
    indent = "      " if text == SCHEDULE else "    "
    made = render(changed(text, own, f"{own}{indent}tlsClientSecretName: tidb-tls\n"))
    assert "--client-tls" in made.args
    (volume,) = [each for each in made.pod["spec"]["volumes"] if "secret" in each]
    assert {"secretName": "tidb-tls"} == volume["secret"]
    (mount,) = [each for each in made.container["volumeMounts"] if each["name"] == volume["name"]]
    assert ("/var/lib/tidb-client-tls", True) == (mount["mountPath"], mount["readOnly"])


def test_dumpling_from_an_image_of_its_own() -> None:
    made = render(spec("toolImage: pingcap/dumpling:v8.5.0"))
    (init,) = made.pod["spec"]["initContainers"]
    assert "pingcap/dumpling:v8.5.0" == init["image"]
    (shared,) = init["volumeMounts"]
    assert shared in made.container["volumeMounts"]
    assert "/var/lib/dumpling-bin" == shared["mountPath"]
    assert "initContainers" not in render(BACKUP).pod["spec"]


@BOTH
def test_what_the_spec_says_of_the_pod_is_handed_on(text: str) -> None:
    more = """\
serviceAccount: backup
automountServiceAccountToken: true
priorityClassName: low
imagePullSecrets: [{name: registry}]
tolerations: [{key: a, operator: Exists}]
affinity: {nodeAffinity: {x: [y]}}
resources: {limits: {cpu: "2"}, requests: {memory: 1Gi}}
additionalVolumes: [{name: more, emptyDir: {}}]
additionalVolumeMounts: [{name: more, mountPath: /more}]
"""
    made = render(spec(more, text))
    pod = made.pod["spec"]
    assert "backup" == pod["serviceAccountName"]
    assert pod["automountServiceAccountToken"] is True
    assert "low" == pod["priorityClassName"]
    assert [{"name": "registry"}] == pod["imagePullSecrets"]
    assert [{"key": "a", "operator": "Exists"}] == pod["tolerations"]
    assert {"nodeAffinity": {"x": ["y"]}} == pod["affinity"]
    assert {"limits": {"cpu": "2"}, "requests": {"memory": "1Gi"}} == made.container["resources"]
    assert {"name": "more", "emptyDir": {}} in pod["volumes"]
    assert {"name": "more", "mountPath": "/more"} in made.container["volumeMounts"]


def test_a_security_context_is_merged_and_null_drops_what_is_there_without_it() -> None:
    made = render(
        spec("podSecurityContext: {runAsUser: null, fsGroup: 5, supplementalGroups: [7]}")
    )
    security = made.pod["spec"]["securityContext"]
    plain = render(BACKUP).pod["spec"]["securityContext"]
    assert "runAsUser" not in security
    assert (5, [7]) == (security["fsGroup"], security["supplementalGroups"])
    kept = set(plain) - {"runAsUser", "fsGroup"}
    assert {"runAsNonRoot", "seccompProfile"} <= kept
    assert {name: plain[name] for name in kept} == {name: security[name] for name in kept}
