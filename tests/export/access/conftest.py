"""Services that issue credentials, and a store that accepts just those."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Ceph, Gateway
from tests.servers.moto import Issuer, Moto


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with Moto() as running:
        yield running


@pytest.fixture
def gateway(ceph: Ceph) -> Iterator[Gateway]:
    """Knows no account yet."""
    with Gateway(ceph) as running:
        yield running


@pytest.fixture
def sts(moto: Moto, gateway: Gateway) -> Iterator[Issuer]:
    with Issuer(moto.url, gateway) as running:
        yield running


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "token"
