"""A store on Ceph for these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_manager.store.client import Store
from tests.servers import Ceph
from tests.stores import Engine, new_store, use_keys


@pytest.fixture
def keys(ceph: Ceph, monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch, ceph.access_key, ceph.secret_key)


@pytest.fixture
def store(ceph: Ceph, bucket: str, keys: None) -> Store:
    del keys
    return new_store(ceph.http, bucket)


@pytest.fixture
def engine(ceph: Ceph, bucket: str, tmp_path: Path, keys: None) -> Iterator[Engine]:
    """An upload engine, not started yet."""
    del keys
    (tmp_path / "dump").mkdir()
    made = Engine(ceph, bucket, tmp_path / "dump")
    yield made
    made.close()
