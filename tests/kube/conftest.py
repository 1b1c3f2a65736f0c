"""The cluster that these tests share, and a namespace of it for each; where it cannot be: skipped.

`make test-kube` builds the API server first, which takes longer than one test may.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import DOUBLE
from tests.s3_proxy import S3Proxy
from tests.servers import Ceph, Database, missing
from tests.servers.kubernetes import KubernetesAPI, absent
from tests.servers.process import program

from .cluster import Cluster
from .jobs import IMAGE
from .nightly import Nightly
from .node import Node
from .rendering import RESTRICTED, Rendering

_CRDS = Path(__file__).with_name("crds.yaml")


def _lacking() -> list[str]:
    lacking = [*absent(), *missing("unshare", "setpriv", "mount", "chroot", "hostname")]
    if lacking:
        return lacking
    if os.geteuid():
        return ["root"]
    namespaces = ["--mount", "--pid", "--uts", "--fork"]
    words = [program("unshare"), *namespaces, "mount", "--bind", "/", "/mnt"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return [f"mount namespaces ({done.stderr.strip()})"] if done.returncode else []


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesAPI]:
    if lacking := _lacking():
        pytest.skip(f"no cluster to test with; missing: {', '.join(lacking)}")
    with KubernetesAPI(tmp_path_factory.mktemp("kubernetes")) as api:
        api.kubectl("create", f"--filename={_CRDS}")
        names = [f"crd/{kind}.pingcap.com" for kind in ("backups", "backupschedules")]
        api.kubectl("wait", "--for=condition=Established", *names)
        yield api


@pytest.fixture(scope="session")
def double(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The double of Dumpling as a file that can stand alone in an image."""
    script = tmp_path_factory.mktemp("image") / "dumpling"
    script.write_text(f'#!/bin/sh\nexec {DOUBLE} "$@"\n')
    script.chmod(0o755)
    return script


@pytest.fixture
def images(dumpling: Path, double: Path) -> dict[str, Path]:
    return {IMAGE: double if dumpling == DOUBLE else dumpling}


@pytest.fixture
def cluster(
    kubernetes: KubernetesAPI, unique: str, tmp_path: Path, images: dict[str, Path]
) -> Iterator[Cluster]:
    """A namespace of its own, with the operator and a node for it."""
    Cluster.prepare(kubernetes, unique)
    with Node(kubernetes, unique, tmp_path, images) as node:
        yield Cluster(kubernetes, unique, node)


@pytest.fixture
def restricted_cluster(
    kubernetes: KubernetesAPI, unique: str, tmp_path: Path, images: dict[str, Path]
) -> Iterator[Cluster]:
    """A namespace without the operator, and with the strictest demands on Pods."""
    Cluster.prepare_bare(kubernetes, unique, **RESTRICTED)
    with Node(kubernetes, unique, tmp_path, images) as node:
        yield Cluster(kubernetes, unique, node)


@pytest.fixture
def proxy(ceph: Ceph) -> Iterator[S3Proxy]:
    """A proxy before Ceph that can be told to misbehave."""
    with S3Proxy(ceph.http) as running:
        yield running


@pytest.fixture
def nightly(
    cluster: Cluster, tidb: Database, ceph: Ceph, bucket: str, unique: str, double: Path
) -> Nightly:
    """A schema with one small table, the account that backs it up, and the Secrets for a Backup."""
    made = Nightly(cluster, tidb, ceph, bucket, unique.replace("-", "_"), double)
    made.prepare()
    return made


@pytest.fixture
def rendering(
    restricted_cluster: Cluster,
    tidb: Database,
    ceph: Ceph,
    bucket: str,
    unique: str,
    double: Path,
    tmp_path: Path,
) -> Rendering:
    """The same for who renders."""
    made = Nightly(restricted_cluster, tidb, ceph, bucket, unique.replace("-", "_"), double)
    made.prepare()
    directory = tmp_path / "rendering"
    directory.mkdir()
    return Rendering(made, directory)
