"""The rendered Pod: what confines it on the node, and whatever an object may ask for it."""

from pathlib import Path
from typing import Any

import pytest

from tests.command import CANARY_PASSWORD
from tests.servers import Certificates, MariaDB
from tests.servers.kubernetes import Object

from . import paths
from .expansion import expanded
from .nightly import GATE
from .rendering import Rendering

JOB = "nightly"
_VOLUME: Object = {"name": "notes", "configMap": {"name": "notes", "optional": True}}
_TERM: Object = {
    "matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]
}
_REQUIRED: Object = {
    "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_TERM]}
}
# What goes to the Pod as it is, by the names that it has there.
ASKED: dict[str, Any] = {
    "affinity": {"nodeAffinity": _REQUIRED},
    "tolerations": [{"key": "backup", "operator": "Exists", "effect": "NoSchedule"}],
    "imagePullSecrets": [{"name": "registry"}],
    "priorityClassName": "backups-matter",
}
SECURITY: Object = {"runAsUser": 1000, "runAsGroup": 2000, "fsGroup": 3000}
RESOURCES: Object = {
    "requests": {"cpu": "500m", "memory": "1Gi"},
    "limits": {"cpu": "2", "memory": "2Gi"},
}


def every_field(rendering: Rendering) -> Object:
    """A Backup's spec with all that it may ask of a Pod."""
    changes: dict[str, Any] = {
        "storageClassName": "local-storage",
        "serviceAccount": "backups",
        "automountServiceAccountToken": True,
        "resources": RESOURCES,
        "podSecurityContext": SECURITY,
        "additionalVolumes": [_VOLUME],
        "additionalVolumeMounts": [{"name": "notes", "mountPath": "/notes", "readOnly": True}],
        "toolImage": "pingcap/dumpling:v8.5.1",
        "tikvGCLifeTime": "72h",
        "source": {"tlsClientSecretName": "client"},
        "env": {"TZ": "Europe/Berlin"},
    }
    made = rendering.backup(JOB, **changes, **ASKED)
    made["metadata"] |= {"labels": {"team": "shop"}, "annotations": {"example.org/why": "nightly"}}
    return made


def as_schedule(backup: Object) -> Object:
    spec: Object = {"schedule": "0 2 * * *", "timeZone": "Europe/Berlin", "pause": True}
    spec |= {"maxBackups": 3, "maxReservedTime": "72h", "backupTemplate": backup["spec"]}
    return backup | {"kind": "BackupSchedule", "spec": spec}


def test_every_field_is_one_that_the_api_knows(rendering: Rendering) -> None:
    backup = every_field(rendering)
    flags = ["--with-rbac", "--ttl=72h"]
    before = ["serviceaccount/backups", f"persistentvolumeclaim/{JOB}"]
    for document, last in (
        (backup, f"job.batch/{JOB}"),
        (as_schedule(backup), f"cronjob.batch/{JOB}"),
    ):
        applied = rendering.apply(document, *flags, dry=True)
        assert [f"{each} created (server dry run)" for each in [*before, last]] == applied
        as_json = rendering.apply(document, *flags, "--output=json", dry=True)
        assert applied == as_json


def test_every_field_comes_to_the_pod(rendering: Rendering) -> None:
    """The Pod is made, so it is as restricted as the namespace demands, and its class is known."""
    api = rendering.cluster.api
    priority = {"metadata": {"name": "backups-matter"}, "value": 1000}
    if api.admin.find("/apis/scheduling.k8s.io/v1/priorityclasses/backups-matter") is None:
        api.admin.create("/apis/scheduling.k8s.io/v1/priorityclasses", priority)
    rendering.apply(every_field(rendering), "--with-rbac", "--ttl=72h")
    pod = rendering.cluster.node.claim(JOB)
    spec = pod["spec"]
    assert ASKED == {name: spec[name] for name in ASKED} | {"tolerations": spec["tolerations"][:1]}
    assert 1000 == spec["priority"]
    assert SECURITY.items() < spec["securityContext"].items()
    assert ("backups", True) == (spec["serviceAccountName"], spec["automountServiceAccountToken"])
    (container,) = spec["containers"]
    assert RESOURCES == container["resources"]
    assert {"name": "TZ", "value": "Europe/Berlin"} in container["env"]
    assert {"name": "notes", "mountPath": "/notes", "readOnly": True} in container["volumeMounts"]
    assert "local-storage" == claim_of(rendering)["spec"]["storageClassName"]
    assert 72 * 3600 == rendering.cluster.job(JOB)["spec"]["ttlSecondsAfterFinished"]
    assert "shop" == pod["metadata"]["labels"]["team"]
    assert "nightly" == pod["metadata"]["annotations"]["example.org/why"]


def claim_of(rendering: Rendering) -> Object:
    where = paths.core(rendering.cluster.namespace, "persistentvolumeclaims", JOB)
    return rendering.cluster.api.admin.get(where)


def test_a_pod_that_wants_more_is_not_what_the_namespace_takes(rendering: Rendering) -> None:
    """So what is said of all others here, that nobody has anything to warn of, means something."""
    root = {"runAsUser": 0, "runAsNonRoot": False}
    done = rendering.try_to_apply(rendering.backup(JOB, podSecurityContext=root), dry=True)
    assert 0 == done.returncode, done.stderr
    assert 'would violate PodSecurity "restricted:latest"' in done.stderr


def test_what_confines_the_container(rendering: Rendering) -> None:
    rendering.apply(rendering.backup(JOB, GATE))
    pod = rendering.run(JOB)
    pod.wait_for_gate()
    lines = pod.path("/proc/1/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert 4 * ["65532"] == status["Uid"].split()
    assert "65532" in status["Groups"].split()
    sets = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    assert {0} == {int(status[name], 16) for name in sets}
    assert "1" == status["NoNewPrivs"]
    mounts = [line.split() for line in pod.path("/proc/1/mounts").read_text().splitlines()]
    writable = {where for _, where, kind, options, *_ in mounts if "rw" in options.split(",")}
    assert "/" not in writable
    assert {"/tmp", "/backup", "/dev/termination-log"} <= writable
    # The API is none of its business.
    assert not pod.path("/var/run/secrets").exists()
    pod.open_gate()
    rendering.complete(pod, JOB)


def test_dumpling_of_a_tool_image(rendering: Rendering) -> None:
    """It is copied from there by a container that is no less confined."""
    image = "pingcap/dumpling:v8.5.1"
    document = rendering.backup(JOB, GATE, toolImage=image)
    rendering.cluster.node.images = {image: rendering.nightly.double}
    rendering.apply(document)
    pod = rendering.run(JOB)
    pod.wait_for_gate()
    assert pod.path("/var/lib/dumpling-bin/dumpling").exists()
    assert not pod.path("/dumpling").exists()
    pod.open_gate()
    rendering.complete(pod, JOB)


def test_a_volume_of_ones_own_at_tmp(rendering: Rendering) -> None:
    """As in an object that was written for a cluster with read-only roots: it takes our place."""
    asked = {
        "additionalVolumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
        "additionalVolumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    rendering.apply(rendering.backup(JOB, **asked), dry=True)


def test_a_client_certificate(
    rendering: Rendering, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("tls")
    certificates = Certificates.create(directory / "certificates")
    with MariaDB(directory, tls=certificates) as server:
        server.create_account("backup", CANARY_PASSWORD, require="X509")
        schema = rendering.nightly.schema
        server.execute(f"CREATE DATABASE {schema}")
        server.execute(f"CREATE TABLE {schema}.orders (id INT PRIMARY KEY)")
        server.execute(f"INSERT INTO {schema}.orders VALUES (1)")
        files: dict[str, Path] = {
            "ca.crt": certificates.ca_file,
            "tls.crt": certificates.client_certificate,
            "tls.key": certificates.client_key,
        }
        texts = {name: files[name].read_text() for name in files}
        rendering.cluster.secret("client", **texts)
        where = {"host": server.host, "port": server.port, "tlsClientSecretName": "client"}
        rendering.apply(rendering.backup(JOB, source=where))
        rendering.complete(rendering.run(JOB), JOB)


def test_a_dollar_is_no_variable(rendering: Rendering) -> None:
    """Kubernetes would put the value of $(NAME) into an argument."""
    prefix = "a$$b/$(JOB_NAME)/c$"
    rendering.apply(rendering.backup(JOB, s3={"prefix": prefix}))
    result = rendering.complete(rendering.run(JOB), JOB)
    assert result.directory.startswith(f"{prefix}/backup-")


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        # k8s.io/kubernetes, third_party/forked/golang/expansion/expand_test.go
        ("$(VAR_A)", "A"),
        ("___$(VAR_B)___", "___B___"),
        ("$(VAR_A)-1", "A-1"),
        ("f000-$$VAR_A", "f000-$VAR_A"),
        ("foo\\$(VAR_C)bar", "foo\\Cbar"),
        ("$$$$$$(BAR_BAZ)", "$$$(BAR_BAZ)"),
        ("$$$$$$$(VAR_A)", "$$$A"),
        ("$VAR_A)", "$VAR_A)"),
        ("$(VAR_B", "$(VAR_B"),
        ("$", "$"),
        ("$(", "$("),
        ("a$", "a$"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$(VAR_A))", "A)"),
        ("$(VAR_EMPTY)!", "!"),
        ("$()", "$()"),
    ],
)
def test_arguments_are_filled_in_as_kubernetes_does_it(text: str, becomes: str) -> None:
    variables = {"VAR_A": "A", "VAR_B": "B", "VAR_C": "C", "VAR_EMPTY": ""}
    assert becomes == expanded(text, variables)
