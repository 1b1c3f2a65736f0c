"""Backup objects in a double of the API, and the command lines of the operator's Jobs."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.command import DOUBLE, find_dumpling
from tests.doubles.kubernetes_double import KubernetesDouble, backup_object
from tests.export.conftest import gc_as_it_was
from tests.servers import Ceph, Database

from .jobs import NAME, NAMESPACE, OperatorJob


@pytest.fixture
def api(tmp_path: Path) -> Iterator[KubernetesDouble]:
    with KubernetesDouble(tmp_path / "api", namespace=NAMESPACE) as running:
        running.kubeconfig(tmp_path / "kubeconfig")
        yield running


@pytest.fixture
def apply(
    api: KubernetesDouble, shop: Database, ceph: Ceph, bucket: str
) -> Callable[..., dict[str, Any]]:
    """Make a Backup object of the shop to a bucket of its own, as the operator has scheduled it."""

    def make(name: str = NAME, **spec: Any) -> dict[str, Any]:
        source = {"host": shop.host, "port": shop.port, "user": "backup"}
        storage = {"provider": "ceph", "endpoint": ceph.http, "bucket": bucket, "prefix": "nightly"}
        given: dict[str, Any] = {
            "tableFilter": ["shop.*", "stock.*"],
            **spec,
            "from_": source | spec.get("from_", {}),
            "s3": storage | spec.get("s3", {}),
        }
        return api.create(backup_object(name, NAMESPACE, **given))

    return make


@pytest.fixture
def job(
    api: KubernetesDouble,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    quick_double: Path,
    tmp_path: Path,
) -> Callable[..., OperatorJob]:
    """The export of the operator's Job for an object; keyword arguments change it."""

    def make(name: str = NAME, **settings: Any) -> OperatorJob:
        dumpling = quick_double if find_dumpling() == DOUBLE else find_dumpling()
        made = OperatorJob(
            namespace=NAMESPACE,
            backupName=name,
            bucket=bucket,
            storageType="s3",
            volume=volume,
            dumpling=dumpling,
            password_by="environment",
            access_key=ceph.access_key,
            secret_key=ceph.secret_key,
            environment={
                "S3_PROVIDER": "ceph",
                "S3_ENDPOINT": ceph.http,
                "AWS_REGION": "",
                "AWS_ACL": "",
                "AWS_STORAGE_CLASS": "",
                "KUBECONFIG": str(tmp_path / "kubeconfig"),
            },
        )
        return made.but(**settings)

    return make


@pytest.fixture
def put(api: KubernetesDouble) -> Callable[..., dict[str, Any]]:
    """Make an object that names servers which need not be there."""

    def make(s3: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
        storage = {"endpoint": "https://rgw.example.com:7443"} | (s3 or {})
        return api.create(backup_object(NAME, NAMESPACE, s3=storage, **spec))

    return make


@pytest.fixture
def nobody_asked(bucket: str, ceph: Ceph, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither the database of `put` nor a store is as much as connected to in this process.

    After `bucket`, whose own request is none of the program's.
    """
    addresses: list[Any] = []
    names: list[Any] = []
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def connecting(one: socket.socket, address: Any) -> None:
        addresses.append(address)
        connect(one, address)

    def resolving(host: Any, *others: Any, **named: Any) -> Any:
        names.append(host)
        return resolve(host, *others, **named)

    monkeypatch.setattr(socket.socket, "connect", connecting)
    monkeypatch.setattr(socket, "getaddrinfo", resolving)
    yield
    ports = {address[1] for address in addresses if isinstance(address, tuple)}
    assert not ports & {4000, urlsplit(ceph.http).port}
    # Its store has a name, which would be looked up first.
    assert set(names) <= {"127.0.0.1"}


Apply = Callable[..., dict[str, Any]]
MakeJob = Callable[..., OperatorJob]
__all__ = ["Apply", "MakeJob", "gc_as_it_was"]
