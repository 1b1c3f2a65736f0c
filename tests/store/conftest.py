"""A store on Ceph for these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_manager.store import parts, upload
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
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files above 6 MiB go up in parts of 5 MiB, the least that a store takes."""
    monkeypatch.setattr(parts, "PART_BYTES", 5 << 20)
    monkeypatch.setattr(upload, "MULTIPART_FROM_BYTES", 6 << 20)


@pytest.fixture
def engine(
    ceph: Ceph, bucket: str, tmp_path: Path, keys: None, small_parts: None
) -> Iterator[Engine]:
    """An upload engine, not started yet."""
    del keys, small_parts
    (tmp_path / "dump").mkdir()
    made = Engine(ceph, bucket, tmp_path / "dump")
    yield made
    made.close()
