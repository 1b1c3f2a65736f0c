"""What a Pod may look like: its user, its Dumpling, its token."""

import pytest

from tests.command import CANARY_PASSWORD

from . import paths
from .jobs import TOKEN_PATH
from .nightly import GATE, JOB, NAME, SECURITY, Nightly
from .pods import NotStartedError


@pytest.mark.parametrize("group", [0, 2000])
def test_any_user_with_the_volumes_group(nightly: Nightly, group: int) -> None:
    context = {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": group, "fsGroup": 1000}
    pod = nightly.start(GATE, podSecurityContext=context)
    pod.wait_for_gate()
    status = pod.path("/proc/1/status").read_text()
    assert "Uid:\t1000\t1000\t1000\t1000\n" in status
    assert f"Gid:\t{group}\t{group}\t{group}\t{group}\n" in status
    pod.open_gate()
    pod.end().expect(0)
    assert "Complete" == nightly.status["phase"]


def test_a_volume_that_the_user_may_not_write_to(nightly: Nightly) -> None:
    """As with a new ext4 and no fsGroup: said before anything is dumped."""
    pod = nightly.start(podSecurityContext={"runAsUser": 1000})
    result = pod.end().expect(9)
    failed = nightly.condition("Failed")
    assert "True" == failed["status"]
    assert "fsGroup" in failed["message"], failed
    assert not nightly.objects(), result


def test_dumpling_of_a_tool_image(nightly: Nightly) -> None:
    """The image's own is not taken."""
    spec = nightly.spec(GATE, toolImage="pingcap/dumpling:v8.5.1")
    node = nightly.cluster.node
    node.images = {"pingcap/dumpling:v8.5.1": nightly.double}
    nightly.cluster.apply(NAME, spec)
    pod = node.run(JOB)
    pod.wait_for_gate()
    assert pod.path("/var/lib/dumpling-bin/dumpling").exists()
    assert not pod.path("/dumpling").exists()
    pod.open_gate()
    pod.end().expect(0)


@pytest.mark.parametrize("automount", [True, False])
def test_a_token_that_rotates(nightly: Nightly, automount: bool) -> None:
    pod = nightly.start(GATE, automountServiceAccountToken=automount)
    pod.wait_for_gate()
    path = pod.path(f"{TOKEN_PATH}/token")
    old = path.read_text()
    pod.rotate_token()
    assert old != path.read_text()
    pod.open_gate()
    pod.end().expect(0)
    assert "Complete" == nightly.status["phase"]


def test_two_backups_share_a_volume(nightly: Nightly) -> None:
    """The operator makes one claim for each host and port."""
    cluster = nightly.cluster
    pods = []
    for name in ("first", "second"):
        cluster.apply(name, nightly.spec(GATE))
        pods.append(cluster.node.run(f"backup-{name}"))
    claims = {pod.pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] for pod in pods}
    assert 1 == len(claims)
    for pod in pods:
        pod.wait_for_gate()
    pods[1].evict().expect(143)
    pods[0].open_gate()
    result = pods[0].end().expect(0)
    assert "Complete" == cluster.columns("first")["STATUS"]
    assert result.summary["backup"] == cluster.columns("first")["BACKUPPATH"]
    assert {result.directory} == {key.rpartition("/")[0] for key in nightly.objects()}


def test_a_secret_without_the_key(nightly: Nightly) -> None:
    """The kubelet says so, and nothing runs."""
    cluster = nightly.cluster
    cluster.apply(NAME, nightly.spec())
    secret = paths.core(cluster.namespace, "secrets", "tidb")
    cluster.api.admin.merge(secret, {"data": {"password": None, "pasword": "eA=="}})
    with pytest.raises(NotStartedError, match="couldn't find key password in Secret") as caught:
        cluster.node.run(JOB)
    assert "CreateContainerConfigError" == caught.value.reason
    words = ["--namespace", cluster.namespace, "get", "pods", "--no-headers"]
    assert "CreateContainerConfigError" in cluster.api.kubectl(*words)


def test_a_user_who_may_not_be_root(nightly: Nightly) -> None:
    context = SECURITY | {"runAsUser": 0}
    with pytest.raises(NotStartedError, match="image will run as root"):
        nightly.start(podSecurityContext=context)


def test_the_environment_is_the_pods_alone(
    nightly: Nightly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_MANAGER_USER", "of the test")
    pod = nightly.start(GATE)
    pod.wait_for_gate()
    variables = pod.path("/proc/1/environ").read_bytes().decode().split("\0")
    assert f"BACKUP_MANAGER_PASSWORD={CANARY_PASSWORD}" in variables
    assert "S3_PROVIDER=ceph" in variables
    assert "AWS_ACL=" in variables
    assert "HOME=/tmp" in variables
    assert not [each for each in variables if each.startswith("BACKUP_MANAGER_USER")]
    pod.open_gate()
    pod.end().expect(0)
