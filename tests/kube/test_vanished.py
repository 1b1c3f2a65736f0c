"""What goes away: the Pod with its object, and the API before the Pod has asked it anything."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.servers import Line, Toxiproxy, find_go, wait_until
from tests.servers.kubernetes import KubernetesAPI, Object

from . import paths
from .nightly import GATE, NAME, Nightly


@pytest.fixture
def line(kubernetes: KubernetesAPI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A way to the API for one Pod alone."""
    if find_go() is None:
        pytest.skip("not installed: go (scripts/install-packages)")
    with Toxiproxy(tmp_path_factory.mktemp("toxiproxy")) as toxiproxy:
        yield toxiproxy.proxy("api", kubernetes.url)


@pytest.mark.parametrize("made_anew", [False, True], ids=["for-good", "made-anew"])
def test_the_pod_is_deleted_with_its_object(nightly: Nightly, made_anew: bool) -> None:
    """As by `kubectl delete bk` and the garbage collector: nothing stays, and nothing is told."""
    cluster = nightly.cluster
    before = nightly.database.gc_row()
    pod = nightly.start(GATE)
    pod.wait_for_gate()
    wait_until(lambda: bool(nightly.objects()), seconds=30, what="a file has gone up")
    assert before != nightly.database.gc_row()
    old = cluster.backup(NAME)
    path = paths.backup(cluster.namespace, NAME)
    cluster.api.admin.delete(path)
    body: Object = {"apiVersion": "pingcap.com/v1alpha1", "kind": "Backup"}
    body |= {"metadata": {"name": NAME}, "spec": nightly.spec()}
    if made_anew:
        cluster.api.admin.create(paths.backup(cluster.namespace), body)
    there = cluster.api.admin.find(path)

    result = pod.delete().expect(143)

    assert before == nightly.database.gc_row()
    assert [] == nightly.objects()
    uploads = nightly.store.client().list_multipart_uploads(Bucket=nightly.bucket)
    assert [] == uploads.get("Uploads", [])
    # Another object of the name is left alone.
    assert there == cluster.api.admin.find(path)
    assert made_anew == (there is not None)
    assert there is None or there["metadata"]["uid"] != old["metadata"]["uid"]
    (warning,) = result.warnings
    assert f"Backup {cluster.namespace}/{NAME}" in warning


def test_an_api_that_is_away_when_the_pod_starts(nightly: Nightly, line: Line) -> None:
    """Without the object there are no settings: it is waited for."""
    line.disable()
    env = {"KUBERNETES_SERVICE_PORT": str(urlsplit(line.url).port)}
    pod = nightly.start(env=env)
    pod.wait_for("is tried again")
    assert ["Scheduled"] == nightly.kinds()
    assert [] == nightly.objects()
    line.enable()
    result = pod.end().expect(0)
    assert 1 == len(result.events("is tried again"))
    assert ["Scheduled", "Prepare", "Running", "Complete"] == nightly.kinds()
    assert "Complete" == nightly.cluster.columns(NAME)["STATUS"]


def test_an_api_that_is_away_when_the_pod_is_stopped(nightly: Nightly, line: Line) -> None:
    """The wait ends at once."""
    line.disable()
    pod = nightly.start(env={"KUBERNETES_SERVICE_PORT": str(urlsplit(line.url).port)})
    pod.wait_for("is tried again")
    pod.evict().expect(143)
    assert ["Scheduled"] == nightly.kinds()
