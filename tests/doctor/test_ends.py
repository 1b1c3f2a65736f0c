"""Ended in the middle, by a signal or a failure: nothing stays."""

import signal
from typing import Any

import pytest

from backup_manager.doctor.probing import Probing
from backup_manager.store.probe import NAME
from tests.doctor.conftest import Examine
from tests.doctor.examination import stopped
from tests.s3_proxy import S3Proxy, operation

WRITING = [
    "PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "DeleteObject",
    "AbortMultipartUpload", "ListParts", "GetObject",
]  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", WRITING)
def test_sigterm(doctor: Examine, proxy: S3Proxy, name: str, after: bool) -> None:
    """While the store has a request: before it did what was asked, and before its answer."""
    stop, terminate = stopped()

    def answered(answer: Any) -> Any:
        terminate()
        return answer

    chosen = operation(name, containing=NAME)
    if after:
        proxy.change(chosen, answered)
    else:
        proxy.before(chosen, terminate)
    sick = doctor(endpoint=proxy.url)

    found = sick.run(stop=stop).expect(143, "Terminated")

    assert any(map(chosen, proxy.requests))
    assert "database" in [each["check"] for each in found.findings]
    sick.assert_nothing_left()


def test_sigterm_to_a_process(doctor: Examine, proxy: S3Proxy) -> None:
    hold = proxy.hold(operation("UploadPart"))
    sick = doctor(endpoint=proxy.url)
    with sick.start("--json") as running:
        running.wait_until(hold.reached.is_set)
        running.terminate()
        running.result().expect(143, "Terminated")
    proxy.forget()

    sick.assert_nothing_left()


def test_sigint_before_the_first_check(doctor: Examine) -> None:
    stop, _ = stopped()
    stop.request(signal.SIGINT)

    found = doctor().run(stop=stop).expect(130, "Interrupted")

    assert [] == found.findings


def test_a_defect_half_way(doctor: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Probing, "read", broken)
    sick = doctor()

    words = sick.words("--json")
    sick.run_words(words).expect(1, "InternalError")

    sick.assert_nothing_left()


def test_a_store_that_is_silent(
    doctor: Examine, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backup_manager.doctor.probing._CHECK_SECONDS", 0.3)
    hold = proxy.hold(operation("PutObject"))
    sick = doctor(endpoint=proxy.url)

    found = sick.run().expect(7, "StoreUnusable")

    assert ["write"] == found.failed
    assert hold.reached.is_set()
    proxy.forget()
    sick.assert_nothing_left()
