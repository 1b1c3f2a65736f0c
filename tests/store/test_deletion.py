"""Many objects are deleted: in bulk, or one by one where a store does not take that."""

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from backup_manager.errors import InterruptedBySignalError, StoreError
from backup_manager.signals import Stop
from backup_manager.store import deletion
from backup_manager.store.client import Store
from backup_manager.store.deletion import Deletion
from backup_manager.store.locks import lock_of
from tests.s3_proxy import Answer, Request, S3Proxy, operation
from tests.servers import Ceph
from tests.stores import new_store

BULK = operation("DeleteObjects")
NAMES = ["a b", "ü", "c<>&'\"", "d", "e"]


@pytest.fixture(params=[True, False], ids=["side by side", "one after the other"])
def stop(request: pytest.FixtureRequest) -> Stop | None:
    return Stop() if request.param else None


@pytest.fixture
def proxy(ceph: Ceph) -> Iterator[S3Proxy]:
    with S3Proxy(ceph.http) as running:
        yield running


@pytest.fixture
def proxied(proxy: S3Proxy, bucket: str, keys: None) -> Store:
    del keys
    return new_store(proxy.url, bucket)


def fill(store: Store) -> None:
    for name in NAMES:
        store.put(f"p/{name}", b"12")
    store.put("stays", b"")


def delete(store: Store, stop: Stop | None = None) -> Deletion:
    made = Deletion(store, stop)
    gone = list(made.delete(store.objects("p/")))
    assert (5, 10) == (sum(one.objects for one in gone), sum(one.bytes for one in gone))
    assert ["stays"] == [item.key for item in store.objects("")]
    return made


def test_in_bulk(
    proxied: Store, proxy: S3Proxy, stop: Stop | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "_MOST", 2)
    fill(proxied)
    assert not delete(proxied, stop).marked
    assert (3, 0) == (proxy.count("DeleteObjects"), proxy.count("DeleteObject"))
    assert all("content-md5" in each.headers for each in proxy.requests if BULK(each))
    assert [] == list(Deletion(proxied, stop).delete([]))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (501, "NotImplemented"),
        (400, "MalformedXML"),
        (400, "InvalidRequest"),
        (403, "AccessDenied"),
        (405, "MethodNotAllowed"),
    ],
)
def test_where_bulk_is_refused(
    proxied: Store,
    proxy: S3Proxy,
    stop: Stop | None,
    status: int,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is asked for no more then: of 5 batches, those that were on their way at most."""
    monkeypatch.setattr(deletion, "_MOST", 1)
    monkeypatch.setattr(deletion, "_BATCHES_AT_ONCE", 1)
    fill(proxied)
    proxy.refuse(BULK, times=1_000_000, status=status, code=code)
    delete(proxied, stop)
    assert (1, 5) == (proxy.count("DeleteObjects"), proxy.count("DeleteObject"))


def test_a_store_that_has_no_bulk_delete(
    proxy: S3Proxy, proxied: Store, bucket: str, keys: None
) -> None:
    del keys
    fill(proxied)
    delete(new_store(proxy.url, bucket, provider="google"))
    assert (0, 5) == (proxy.count("DeleteObjects"), proxy.count("DeleteObject"))


def test_what_the_answer_does_not_name_is_deleted_by_itself(
    proxied: Store, proxy: S3Proxy, stop: Stop | None
) -> None:
    """A key that was refused, and one that was forgotten: only what is named is gone."""

    def without(answer: Answer) -> Answer:
        text = re.sub("<Deleted><Key>p/[de]</Key>.*?</Deleted>", "", answer.body.decode())
        error = "<Error><Key>p/d</Key><Code>InternalError</Code><Message/></Error>"
        return replace(
            answer, body=text.replace("</DeleteResult>", error + "</DeleteResult>").encode()
        )

    fill(proxied)
    proxy.change(BULK, without)
    delete(proxied, stop)
    assert 2 == proxy.count("DeleteObject")


def test_a_refusal_of_one_key_is_told(proxied: Store, proxy: S3Proxy, stop: Stop | None) -> None:
    fill(proxied)
    proxy.refuse(BULK, status=400, code="MalformedXML")
    proxy.refuse(operation("DeleteObject", containing="p/d"), status=403, code="AccessDenied")
    with pytest.raises(StoreError, match="cannot delete p/d") as caught:
        list(Deletion(proxied, stop).delete(proxied.objects("p/")))
    assert "s3:DeleteObject" in caught.value.fix


@pytest.mark.parametrize("hold", [False, True])
def test_a_lock_is_named(proxied: Store, proxy: S3Proxy, hold: bool) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    headers = {"x-amz-object-lock-mode": "COMPLIANCE"}
    headers["x-amz-object-lock-retain-until-date"] = f"{until:%Y-%m-%dT%H:%M:%SZ}"
    if hold:
        headers = {"x-amz-object-lock-legal-hold": "ON"}
    proxied.put("k", b"")
    proxy.refuse(operation("DeleteObject"), status=403, code="AccessDenied")
    proxy.change(
        operation("HeadObject"),
        lambda answer: replace(answer, headers={**answer.headers, **headers}),
    )
    with pytest.raises(StoreError, match="cannot delete it") as caught:
        Deletion(proxied).one("k")
    said = "legal hold" if hold else f"COMPLIANCE until {until:%Y-%m-%dT%H:%M:%SZ}"
    assert f"it is locked: {said}" == caught.value.why


def test_versions(ceph: Ceph, store: Store, stop: Stop | None) -> None:
    """What was deleted only got a marker, in bulk or by itself; it takes its space as before."""
    bucket = store.settings.bucket
    ceph.client().put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    fill(store)
    assert delete(store, stop).marked
    alone = Deletion(store)
    alone.one("stays")
    assert alone.marked
    assert 6 == len(ceph.client().list_object_versions(Bucket=bucket)["Versions"])


def test_a_signal_ends_it(proxied: Store, proxy: S3Proxy) -> None:
    stop, over = Stop(), threading.Event()
    proxied.put("p/x", b"")

    def silent(_: Request) -> None:
        stop.request(15)
        over.wait()

    proxy.before(BULK, silent)
    with pytest.raises(InterruptedBySignalError):
        list(Deletion(proxied, stop).delete(proxied.objects("p/")))
    over.set()


# Locks in words ----------------------------------------------------------------------------

DATE = "Sun, 22 Nov 2026 10:00:00 GMT"
MODE, UNTIL = "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"
HOLD = "x-amz-object-lock-legal-hold"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, ""),
        ({HOLD: "OFF"}, ""),
        ({HOLD: "ON"}, "legal hold"),
        (
            {MODE: "GOVERNANCE", UNTIL: "2026-11-22T10:00:01Z"},
            "GOVERNANCE until 2026-11-22T10:00:01Z",
        ),
        # Told after its end too; Ceph writes nanoseconds.
        ({MODE: "GOVERNANCE", UNTIL: "2026-11-22T10:00:00.000000000Z"}, ""),
        ({MODE: "GOVERNANCE", UNTIL: "2026-11-22T09:00:00Z", HOLD: "ON"}, "legal hold"),
        (
            {MODE: "COMPLIANCE", UNTIL: "2027-01-01T00:00:00Z", HOLD: "ON"},
            "COMPLIANCE until 2027-01-01T00:00:00Z and legal hold",
        ),
        # What cannot be told counts as locked.
        ({MODE: "COMPLIANCE"}, "COMPLIANCE until None"),
        ({MODE: "COMPLIANCE", UNTIL: "2026-01-01"}, "COMPLIANCE until 2026-01-01"),
    ],
)
def test_how_a_lock_is_told(headers: dict[str, str], said: str) -> None:
    assert said == lock_of({"date": DATE, **headers})
