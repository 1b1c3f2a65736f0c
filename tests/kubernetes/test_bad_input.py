"""A Backup object that cannot be read, or that is not for this program."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.kubernetes_double import KubernetesDouble, backup_object
from tests.doubles.kubernetes_double.answers import text
from tests.doubles.kubernetes_double.server import Listener
from tests.running import assert_no_secret
from tests.servers import Certificates
from tests.servers.ports import free_port

from .conftest import Apply, MakeJob
from .jobs import NAME, NAMESPACE
from .told import assert_says, assert_told, assert_untouched

pytestmark = pytest.mark.usefixtures("nobody_asked")

# The object cannot be read -----------------------------------------------------------------


def test_it_is_missing(api: KubernetesDouble, job: MakeJob) -> None:
    result = job("another").refused().expect(11, "GetBackupCRFailed")

    assert_says(
        result,
        f"there is no Backup {NAMESPACE}/another",
        f"kubectl get backups --namespace {NAMESPACE}",
    )
    assert "another" == result.summary["name"]
    assert [] == api.events


def test_it_is_missing_as_a_process(api: KubernetesDouble, job: MakeJob) -> None:
    result = job("another").run(timeout=30).expect(11, "GetBackupCRFailed")

    assert f"there is no Backup {NAMESPACE}/another" in result.message
    assert ["GET"] == [each.method for each in api.requests]


@contextmanager
def cluster_without_crd(directory: Path) -> Iterator[Path]:
    """A cluster that has never heard of Backups answers so; yields the kubeconfig."""
    pair = Certificates.create(directory)
    port = free_port()
    words = "404 page not found\n"
    listener = Listener(
        port,
        pair.certificate,
        pair.key,
        lambda _: text(404, words, "text/plain; charset=utf-8"),
    )
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(
        f"""
current-context: c
clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:{port}",
            certificate-authority: "{pair.ca_file}"}}}}]
users: [{{name: u, user: {{token: t}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
"""
    )
    listener.open()
    try:
        yield kubeconfig
    finally:
        listener.close()


def test_the_cluster_knows_no_backups(job: MakeJob, tmp_path: Path) -> None:
    with cluster_without_crd(tmp_path / "other") as kubeconfig:
        result = job(environment={"KUBECONFIG": str(kubeconfig)}).refused()

    result.expect(11, "GetBackupCRFailed")
    assert_says(result, "this cluster knows no Backup objects", "CRDs", "--backupName")


NO_CLUSTER = "--backupName names an object of a cluster, and no cluster can be reached from here"


@pytest.mark.parametrize("variables", [{}, {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}])
def test_there_is_no_cluster(job: MakeJob, variables: dict[str, str]) -> None:
    """Nor is one looked for in the home directory: it may be any."""
    result = job(environment={"KUBECONFIG": None, **variables}).refused()

    result.expect(11, "GetBackupCRFailed")
    assert_says(result, NO_CLUSTER, "KUBECONFIG", "ServiceAccount")


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        "clusters: 5",
        "clusters: [",
        "\t",
        "apiVersion: v1\nkind: Config\ncurrent-context: gone\nclusters: []\ncontexts: []\n",
    ],
)
def test_a_kubeconfig_that_is_none(job: MakeJob, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "broken"
    if content is not None:
        file.write_text(content)

    result = job(environment={"KUBECONFIG": str(file)}).refused()

    result.expect(11, "GetBackupCRFailed")
    assert_says(result, NO_CLUSTER, "KUBECONFIG")


def test_an_account_without_rights(put: Apply, api: KubernetesDouble, job: MakeJob) -> None:
    put()
    api.forbid("get", "backups")

    result = job().refused().expect(11, "GetBackupCRFailed")

    assert_says(
        result,
        f"does not let us get backups in namespace {NAMESPACE}",
        f"the verb get on backups of pingcap.com in namespace {NAMESPACE}",
        api.user,
        "docs/kubernetes.md",
    )
    assert_untouched(api)


def test_another_namespace_is_forbidden(put: Apply, api: KubernetesDouble, job: MakeJob) -> None:
    put()

    result = job(namespace="other").refused().expect(11, "GetBackupCRFailed")

    assert_says(result, "does not let us get backups in namespace other")
    assert_untouched(api)


def test_a_token_that_is_valid_no_more(put: Apply, api: KubernetesDouble, job: MakeJob) -> None:
    put()
    token = api.token
    api.rotate(write=False)

    result = job().refused().expect(11, "GetBackupCRFailed")

    assert_says(result, "does not accept our token", "ServiceAccount")
    assert_no_secret([token], "the output", (result.stdout + result.stderr).encode())
    assert_untouched(api)


@pytest.mark.parametrize("flag", ["backupName", "namespace"])
@pytest.mark.parametrize(
    "name", ["../x", "a/b", "A", "a_b", "-a", "a-", "x" * 254, "a?b", "ä", "."]
)
def test_a_wrong_name(api: KubernetesDouble, job: MakeJob, flag: str, name: str) -> None:
    """It would be a part of the API's path."""
    result = job().but(**{flag: name}).refused().expect(2, "InvalidSettings")

    assert_says(result, f"--{flag} is wrong", "is no name of an object", "kubectl get")
    assert [] == api.requests


@pytest.mark.parametrize(
    "status", [5, [], "x", {"conditions": 5}, {"conditions": [5]}, {"phase": 5}]
)
def test_a_status_of_another_type(api: KubernetesDouble, job: MakeJob, status: Any) -> None:
    """It is the object that is wrong then, and not this program."""
    made = backup_object(NAME, NAMESPACE)
    made["status"] = status
    api.create(made, checked=False)

    result = job(connect_timeout="1s", host="127.0.0.1", port=free_port()).refused()

    assert 1 != result.exit_code, result.message
    assert "a defect of backup-manager" not in result.message


# It is not for this program ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"br": {"cluster": "demo1"}}, ["spec.br is for BR"]),
        ({"backupMode": "volume-snapshot"}, ["spec.backupMode volume-snapshot is for BR"]),
        ({"backupMode": "log"}, ["spec.backupMode log is for BR"]),
        ({"backupMode": "log", "br": {"cluster": "demo1"}}, ["is for BR"]),
    ],
)
def test_another_mode(
    put: Apply, api: KubernetesDouble, job: MakeJob, spec: dict[str, Any], words: list[str]
) -> None:
    put(**spec)

    result = job().refused().expect(2, "InvalidSpec")

    assert_says(result, f"Backup {NAMESPACE}/{NAME} is no backup with Dumpling", *words)
    assert_says(result, "tidbBackupManagerImage", "logical backup")
    assert_told(api, result)


def without(api: KubernetesDouble, *fields: str, checked: bool = True, **spec: Any) -> None:
    """Make an object of the spec less these fields."""
    made = backup_object(NAME, NAMESPACE, **spec)
    for field in fields:
        del made["spec"][field]
    api.create(made, checked=checked)


@pytest.mark.parametrize("store", [None, "gcs", "azblob", "local"])
def test_no_store_of_ours(api: KubernetesDouble, job: MakeJob, store: str | None) -> None:
    spec: dict[str, Any] = {store: {"prefix": "nightly"}} if store else {}
    without(api, "s3", **spec)

    result = job(storageType=store).refused().expect(2, "UnsupportedStorageType")

    why = f"spec.{store} is none" if store else "there is no spec.s3"
    assert_says(
        result, f"Backup {NAMESPACE}/{NAME} names no S3-compatible store", why, "give spec.s3"
    )
    assert_told(api, result)


def test_another_store_by_flag(put: Apply, api: KubernetesDouble, job: MakeJob) -> None:
    put()

    result = job(storageType="gcs").refused().expect(2, "InvalidSettings")

    assert_says(result, "--storageType is wrong", "'gcs'", "spec.s3")
    assert_told(api, result)


def test_nothing_to_back_up(api: KubernetesDouble, job: MakeJob) -> None:
    without(api, "from")

    result = job().refused().expect(2, "InvalidSpec")

    assert_says(result, "does not say what to back up", "spec.from", "secretName")
    assert_told(api, result)


def test_an_empty_object(api: KubernetesDouble, job: MakeJob) -> None:
    """As one may stand there from the time of an older schema."""
    made = backup_object(NAME, NAMESPACE)
    del made["spec"], made["status"]
    api.create(made, checked=False)

    result = job().refused().expect(2, "UnsupportedStorageType")

    assert_says(result, "there is no spec.s3")


@pytest.mark.parametrize("command", ["backup", "restore", "import", "compact"])
def test_commands_of_the_operators_own_image(
    put: Apply, api: KubernetesDouble, job: MakeJob, command: str
) -> None:
    put()

    result = job().mistaken(command).expect(2, "InvalidSettings")

    assert_says(result, f"there is no command {command}", "BR", "tidbBackupManagerImage")
    assert_untouched(api)


# As a process, and a dry run ---------------------------------------------------------------


def test_as_a_process(put: Apply, api: KubernetesDouble, job: MakeJob) -> None:
    put(br={"cluster": "demo1"})

    result = job().run(timeout=30).expect(2, "InvalidSpec")

    assert_told(api, result)


def test_a_dry_run_tells_nobody(put: Apply, api: KubernetesDouble, job: MakeJob) -> None:
    put(br={"cluster": "demo1"})

    result = job().refused("--dry-run").expect(2, "InvalidSpec")

    assert "is no backup with Dumpling" in result.message
    assert_untouched(api)
