"""A store on Ceph, a journal, and a publisher over both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_manager.catalog import publish
from backup_manager.store.client import Store
from backup_manager.store.retries import Patience
from backup_manager.volume.journal import Journal
from tests.servers import Ceph
from tests.stores import new_store, use_keys


@pytest.fixture
def store(ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    use_keys(monkeypatch, ceph.access_key, ceph.secret_key)
    monkeypatch.setattr(publish, "_PAUSE_SECONDS", 0.0)
    made = new_store(ceph.http, bucket)
    made.patience = Patience(60)
    return made


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite", create=True)
    yield made
    made.close()
