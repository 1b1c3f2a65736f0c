"""The status in an API that many write to, and that is away at times."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers import wait_until
from tests.servers.kubernetes import Client, Object

from . import paths
from .nightly import GATE, NAME, Nightly


@contextmanager
def storm(client: Client, path: str) -> Iterator[list[int]]:
    """Somebody who changes the object's status and annotations without a pause; counts of it."""
    over = threading.Event()
    written: list[int] = []

    def write() -> None:
        number = 0
        while not over.is_set():
            current = client.get(path)
            current["metadata"].setdefault("annotations", {})["storm"] = str(number + 1)
            current.setdefault("status", {})["logCheckpointTs"] = str(number + 1)
            if client.ask("PUT", path, current).ok:
                number += 1
                written[:] = [number]

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        over.set()
        thread.join()


def test_a_storm_of_conflicts(nightly: Nightly) -> None:
    cluster = nightly.cluster
    pod = nightly.start(GATE)
    with storm(cluster.api.admin, paths.backup(cluster.namespace, NAME)) as written:
        pod.wait_for_gate()
        wait_until(lambda: bool(written), seconds=10, what="the storm blows")
        pod.open_gate()
        pod.end().expect(0)
    backup = cluster.backup(NAME)
    assert "Complete" == backup["status"]["phase"]
    # Nothing of theirs is lost.
    last = str(written[0])
    assert last == backup["metadata"]["annotations"]["storm"]
    assert last == backup["status"]["logCheckpointTs"]
    assert ["Scheduled", "Prepare", "Running", "Complete"] == nightly.kinds()


def test_an_api_that_is_away_meanwhile(nightly: Nightly) -> None:
    api = nightly.cluster.api
    pod = nightly.start(GATE)
    pod.wait_for_gate()
    api.pause()
    try:
        pod.open_gate()
        pod.wait_for("GC is as it was")
    finally:
        api.resume()
    pod.end().expect(0)
    assert ["Scheduled", "Prepare", "Running", "Complete"] == nightly.kinds()
    assert "Complete" == nightly.cluster.columns(NAME)["STATUS"]


def test_progress_moves(nightly: Nightly) -> None:
    control: Object = {"replay": {"files": 30, "bytes": 1000}}
    pod = nightly.start(control, GATE, tableFilter=["replay.*"])
    pod.wait_for_gate()
    steps = {each["step"]: each["progress"] for each in nightly.status["progresses"]}
    assert {"Dump", "Upload"} == steps.keys()
    assert all(0 <= progress < 100 for progress in steps.values())
    pod.open_gate()
    pod.end().expect(0)
    done = {each["step"]: each["progress"] for each in nightly.status["progresses"]}
    assert {"Dump": 100, "Upload": 100} == done
