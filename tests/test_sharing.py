"""The Ceph for all workers: one, however many ask, and none once the run has ended."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import sharing
from tests.servers import Ceph, ServerError
from tests.sharing import CephForAll, ceph_of_all

_started: list[Path] = []
_stopped: list[Path] = []


class Counted(Ceph):
    """As Ceph, without its programs."""

    def start(self) -> None:
        _started.append(self.directory)

    def stop(self) -> None:
        _stopped.append(self.directory)


class Broken(Ceph):
    def start(self) -> None:
        raise ServerError("ceph-mon ended with 1")


@pytest.fixture(autouse=True)
def _no_daemons(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sharing, "Ceph", Counted)
    yield
    _started.clear()
    _stopped.clear()


def test_it_starts_when_it_is_asked_for_and_once() -> None:
    with CephForAll() as owner:
        assert [] == _started
        found: list[Ceph] = []
        workers = [
            threading.Thread(target=lambda: found.append(ceph_of_all(owner.where)))
            for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert 1 == len(_started)
        assert 4 == len(found)
        assert 1 == len({(each.http, each.https, each.access_key) for each in found})
        # What a worker has cannot stop anything.
        assert [[]] * 4 == [each.pids for each in found]
        assert [] == _stopped
    assert _started == _stopped
    assert not _started[0].exists()


def test_nobody_asked() -> None:
    with CephForAll():
        pass
    assert [] == _started == _stopped


def test_a_worker_hears_why_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "Ceph", Broken)
    with CephForAll() as owner, pytest.raises(ServerError, match="ceph-mon ended with 1"):
        ceph_of_all(owner.where)
