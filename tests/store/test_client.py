"""One bucket of Ceph through the client: what it does, and what it says where it cannot."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from backup_manager.errors import (
    ExitCode,
    InterruptedBySignalError,
    Reason,
    StoreError,
)
from backup_manager.signals import Stop
from backup_manager.store import probe
from backup_manager.store.client import Listed, Store
from backup_manager.store.deletion import Deletion
from backup_manager.store.faults import code_of, status_of
from backup_manager.store.multipart import Multipart, etag_of_parts
from backup_manager.store.retries import Patience
from backup_manager.store.sender import UploadGoneError
from tests.servers import Ceph
from tests.stores import Impatient, new_report, new_store, use_keys

PART = 5 << 20


# Objects -----------------------------------------------------------------------------------


def test_listing_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ["a", "a b", "a/1", "a/2%", "aü", "b"]
    etags = {key: store.put(f"p/{key}", key.encode()) for key in keys}
    store.put("q", b"")
    pages = []
    list_page = store.client.list_objects_v2

    def two(**arguments: Any) -> Any:
        pages.append(arguments)
        return list_page(**arguments, MaxKeys=2)

    monkeypatch.setattr(store.client, "list_objects_v2", two)
    found = list(store.objects("p/"))
    expected = [Listed(f"p/{key}", len(key.encode()), etags[key]) for key in keys]
    assert sorted(expected, key=lambda one: one.key.encode()) == found
    assert 3 == len(pages)
    assert [] == list(store.objects("nothing/"))


def test_deleting_one(store: Store) -> None:
    store.put("k ü", b"")
    store.delete_one("k ü")
    store.delete_one("k ü")
    assert [] == list(store.objects(""))


def test_reading(store: Store) -> None:
    store.put("k", b"0123456789")
    assert (b"0123456789", b"01234", None) == (
        store.get("k", limit=100),
        store.get("k", limit=5),
        store.get("gone", limit=5),
    )


def test_a_conditional_put(store: Store) -> None:
    store.put("k", b"first", if_none_match=True)
    with pytest.raises(ClientError) as caught:
        store.put("k", b"second", if_none_match=True)
    assert 412 == status_of(caught.value)
    assert b"first" == store.get("k", limit=10)
    store.put("k", b"third")
    assert b"third" == store.get("k", limit=10)


def test_over_https(ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch, ceph.access_key, ceph.secret_key)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(ceph.ca_file))
    store = new_store(ceph.https, bucket)
    store.put("k", b"data", if_none_match=True)
    assert b"data" == store.get("k", limit=10)
    assert [(1, 4)] == list(Deletion(store).delete(store.objects("")))
    upload = Multipart(store).create("m")
    Multipart(store).abort("m", upload)
    assert [] == list(store.objects(""))


# Refusals ----------------------------------------------------------------------------------


def refusal(call: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        call()
    assert ExitCode.STORE == caught.value.exit_code
    assert caught.value.why
    return caught.value


def listing(store: Store) -> StoreError:
    return refusal(lambda: list(store.objects("")))


def test_a_wrong_key(ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch, "X" * 20, ceph.secret_key)
    error = listing(new_store(ceph.http, bucket))
    assert f"s3://{bucket}/ at {ceph.http}: cannot list " == error.what
    assert "the store answered InvalidAccessKeyId to ListObjectsV2" == error.why
    assert "check AWS_ACCESS_KEY_ID: the store does not know this key" == error.fix


def test_a_wrong_secret(ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch, ceph.access_key, "canary" * 7)
    error = listing(new_store(ceph.http, bucket))
    assert "check AWS_SECRET_ACCESS_KEY, --region and the clock" == error.fix
    assert "canary" not in error.message


def test_no_bucket(ceph: Ceph, keys: None) -> None:
    del keys
    error = listing(new_store(ceph.http, "no-such-bucket"))
    assert "create the bucket, or correct --bucket (and --endpoint and --region)" == error.fix


def test_a_key_without_rights(ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch, *ceph.create_user(f"nobody-{bucket}"))
    store = new_store(ceph.http, bucket)
    error = listing(store)
    assert "the store answered AccessDenied to ListObjectsV2" == error.why
    assert "s3:ListBucket, s3:PutObject" in error.fix
    upload = refusal(lambda: Multipart(store).create("k"))
    assert (Reason.UPLOAD, True) == (
        upload.reason,
        "cannot begin a multipart upload" in upload.what,
    )


def nothing_listens() -> str:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_nobody_listens(keys: None) -> None:
    del keys
    error = listing(new_store(nothing_listens(), "bucket"))
    fix = "check --endpoint (https or http?), its port, the network, and that the store is up"
    assert fix == error.fix


def test_a_certificate_that_is_not_trusted(ceph: Ceph, bucket: str, keys: None) -> None:
    del keys
    error = listing(new_store(ceph.https, bucket))
    assert "the store's certificate is not trusted" in error.why
    assert "--s3-ca" in error.fix


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch, "", "")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    error = refusal(lambda: new_store("http://127.0.0.1:1", "bucket"))
    assert error.why.startswith("no credentials were found; tried in this order: AWS_ACCESS_KEY_ID")
    assert "switched off by AWS_EC2_METADATA_DISABLED" in error.why
    assert "AWS_ACCESS_KEY_ID" in error.fix


def deny(bucket: str, *actions: str) -> dict[str, object]:
    """A policy: the limited user may do everything but these."""

    def statement(effect: str, *actions: str) -> dict[str, object]:
        return {
            "Effect": effect,
            "Principal": {"AWS": [f"arn:aws:iam:::user/limited-{bucket}"]},
            "Action": [*actions],
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }

    return {
        "Version": "2012-10-17",
        "Statement": [statement("Allow", "s3:*"), statement("Deny", *actions)],
    }


@pytest.fixture
def limited(ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of a user that may do what the bucket's policy lets it."""
    use_keys(monkeypatch, *ceph.create_user(f"limited-{bucket}"))
    return new_store(ceph.http, bucket)


def test_a_key_that_may_not_delete(limited: Store, ceph: Ceph, bucket: str) -> None:
    ceph.set_policy(bucket, deny(bucket, "s3:DeleteObject"))
    limited.put("k", b"")
    for call in (
        lambda: list(Deletion(limited).delete(limited.objects(""))),
        lambda: limited.delete_one("k"),
    ):
        assert "s3:DeleteObject" in refusal(call).fix
    assert ["k"] == [item.key for item in limited.objects("")]


# Trying again ------------------------------------------------------------------------------


class Flaky:
    """Fails so many times, then answers."""

    def __init__(self, times: int, code: str, status: int) -> None:
        self.left, self.calls = times, 0
        self.error = ClientError(
            {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
            "GetObject",
        )

    def __call__(self) -> str:
        self.calls += 1
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return "answer"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Store:
    use_keys(monkeypatch, "AK", "secret")
    store = new_store("http://127.0.0.1:1", "bucket")
    store.patience = Patience(60)
    return store


def test_what_passes_is_tried_again(offline: Store) -> None:
    call = Flaky(5, "SlowDown", 503)
    assert ("answer", 6) == (offline.call("read", call), call.calls)


@pytest.mark.parametrize(
    ("code", "status"), [("AccessDenied", 403), ("NoSuchBucket", 404), ("InvalidRequest", 400)]
)
def test_what_does_not_pass_is_not(offline: Store, code: str, status: int) -> None:
    call = Flaky(9, code, status)
    refusal(lambda: offline.call("read", call))
    assert 1 == call.calls


def test_patience_ends(offline: Store) -> None:
    offline.patience = Patience(0)
    call = Flaky(9, "SlowDown", 503)
    assert "run the same command again" in refusal(lambda: offline.call("read", call)).fix
    assert 1 == call.calls


def test_after_a_signal_there_is_one_attempt(offline: Store) -> None:
    offline._stop.request(15)
    call = Flaky(9, "SlowDown", 503)
    with pytest.raises(InterruptedBySignalError):
        offline.call("read", call)
    # From here on it is the orderly end.
    assert 0 == call.calls
    refusal(lambda: offline.call("read", call))
    assert 1 == call.calls
    assert "answer" == offline.call("read", Flaky(0, "", 0))


def test_a_signal_ends_the_call_under_way(offline: Store) -> None:
    released = threading.Event()

    def hang() -> None:
        offline._stop.request(15)
        released.wait(60)

    with pytest.raises(InterruptedBySignalError):
        offline.call("read", hang)
    released.set()


def test_a_store_that_heeds_no_signal(offline: Store) -> None:
    other = offline.unheeding()
    offline._stop.request(15)
    call = Flaky(1, "SlowDown", 503)
    assert ("answer", 2) == (other.call("read", call), call.calls)
    assert (offline.client, offline.settings) == (other.client, other.settings)


# Multipart ---------------------------------------------------------------------------------


@pytest.fixture
def multipart(store: Store) -> Multipart:
    return Multipart(store)


@pytest.fixture
def sent(store: Store, multipart: Multipart) -> tuple[str, list[str]]:
    """An upload of two parts, not completed: its id and their ETags."""
    upload_id = multipart.create("k ü")
    etags = [
        store.client.upload_part(
            Bucket=store.settings.bucket, Key="k ü", UploadId=upload_id, PartNumber=n, Body=data
        )["ETag"].strip('"')
        for n, data in ((1, b"1" * PART), (2, b"2"))
    ]
    return upload_id, etags


def test_completing(store: Store, multipart: Multipart, sent: tuple[str, list[str]]) -> None:
    upload_id, etags = sent
    etag = multipart.complete("k ü", upload_id, etags)
    assert etag_of_parts(etags) == etag
    assert [Listed("k ü", PART + 1, etag)] == list(store.objects(""))
    assert [] == multipart.uploads("")


def test_completing_twice_is_completing_once(
    multipart: Multipart, sent: tuple[str, list[str]]
) -> None:
    """As when the answer to the first attempt was lost."""
    upload_id, etags = sent
    first = multipart.complete("k ü", upload_id, etags)
    assert first == multipart.complete("k ü", upload_id, etags)


def forget_uploads(store: Store, patch: pytest.MonkeyPatch) -> None:
    """Let CompleteMultipartUpload answer NoSuchUpload."""
    error = store.client.exceptions.NoSuchUpload(
        {"Error": {"Code": "NoSuchUpload"}, "ResponseMetadata": {"HTTPStatusCode": 404}},
        "CompleteMultipartUpload",
    )

    def fail(**_: object) -> None:
        raise error

    patch.setattr(store.client, "complete_multipart_upload", fail)


def test_no_such_upload_and_the_very_object(
    store: Store, multipart: Multipart, sent: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id, etags = sent
    multipart.complete("k ü", upload_id, etags)
    forget_uploads(store, monkeypatch)
    assert etag_of_parts(etags) == multipart.complete("k ü", upload_id, etags)


@pytest.mark.parametrize("there", [b"1" * 100, None], ids=["another object", "nothing"])
@pytest.mark.parametrize("etags", [["0" * 32], ["no-md5"]], ids=["md5", "other"])
def test_no_such_upload_and_not_the_very_object(
    store: Store,
    multipart: Multipart,
    monkeypatch: pytest.MonkeyPatch,
    there: bytes | None,
    etags: list[str],
) -> None:
    forget_uploads(store, monkeypatch)
    if there is not None:
        store.put("k", there)
    with pytest.raises(UploadGoneError):
        multipart.complete("k", "id", etags)


@pytest.mark.parametrize("circle", [["a"], ["a", "b"]])
def test_a_listing_that_goes_round_in_a_circle(
    store: Store, monkeypatch: pytest.MonkeyPatch, circle: list[str]
) -> None:
    asked: list[object] = []

    def page(**arguments: object) -> dict[str, object]:
        asked.append(arguments.get("ContinuationToken"))
        return {"IsTruncated": True, "NextContinuationToken": circle[len(asked) % len(circle)]}

    monkeypatch.setattr(store.client, "list_objects_v2", page)
    assert "in a circle" in refusal(lambda: list(store.objects("p/"))).why
    assert 1 + len(circle) == len(asked)


def test_a_page_that_is_no_listing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.client, "list_objects_v2", lambda **_: {})
    error = refusal(lambda: list(store.objects("p/")))
    assert f"s3://{store.settings.bucket}/p/: the answer is none of an S3 store" == error.what


def test_probes_that_killed_runs_left_go(store: Store) -> None:
    for name in (".backup-manager-probe-ffff", "other"):
        store.put(store.settings.key(name), b"")
    assert [] == prove(store)
    assert [store.settings.key("other")] == [item.key for item in store.objects("")]


def test_listing_uploads_page_by_page(
    store: Store, multipart: Multipart, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ["p/a", "p/a", "p/b ü", "q"]
    made = sorted((key, multipart.create(key)) for key in keys)
    list_page = store.client.list_multipart_uploads
    monkeypatch.setattr(
        store.client, "list_multipart_uploads", lambda **a: list_page(**a, MaxUploads=1)
    )
    assert made[:3] == sorted(multipart.uploads("p/"))
    assert made == sorted(multipart.uploads(""))


def test_listing_parts_page_by_page(
    store: Store,
    multipart: Multipart,
    sent: tuple[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upload_id, etags = sent
    list_page = store.client.list_parts
    monkeypatch.setattr(store.client, "list_parts", lambda **a: list_page(**a, MaxParts=1))
    expected = {1: (PART, etags[0]), 2: (1, etags[1])}
    assert expected == multipart.parts("k ü", upload_id)
    assert {} == multipart.parts("new", multipart.create("new"))


def test_aborting(multipart: Multipart, sent: tuple[str, list[str]]) -> None:
    upload_id, _ = sent
    multipart.abort("k ü", upload_id)
    multipart.abort("k ü", upload_id)
    assert ([], None) == (multipart.uploads(""), multipart.parts("k ü", upload_id))


def test_the_etag_of_parts() -> None:
    # The MD5 of the two digests, as S3 makes it.
    assert "86c036c1a10384a5673251100457087a-2" == etag_of_parts(["0" * 32, "f" * 32])
    assert etag_of_parts(["0" * 32, "no md5"]) is None
    assert etag_of_parts(["A" * 32]) is None


# The probe ---------------------------------------------------------------------------------


def prove(store: Store, stop: Stop | None = None) -> list[str]:
    """Try the store; return the warnings."""
    report = new_report()
    probe.prove(store, run_id="0123", stop=stop or Impatient(), report=report, seconds=60)
    return report.summary.warnings


def test_the_probe_leaves_nothing(store: Store) -> None:
    assert [] == prove(store)
    assert [] == list(store.objects(""))


def test_the_probe_of_a_key_that_may_not_write(limited: Store, ceph: Ceph, bucket: str) -> None:
    ceph.set_policy(bucket, deny(bucket, "s3:PutObject"))
    error = refusal(lambda: prove(limited))
    assert f"s3://{bucket}/nightly/.backup-manager-probe-0123: cannot write there" == error.what
    assert "s3:PutObject" in error.fix


def test_the_probe_of_a_key_that_may_not_list(limited: Store, ceph: Ceph, bucket: str) -> None:
    ceph.set_policy(bucket, deny(bucket, "s3:ListBucket"))
    assert "cannot list" in refusal(lambda: prove(limited)).what
    assert [] == list(new_store_of_owner(ceph, bucket).objects(""))


def new_store_of_owner(ceph: Ceph, bucket: str) -> Store:
    with pytest.MonkeyPatch.context() as patch:
        use_keys(patch, ceph.access_key, ceph.secret_key)
        return new_store(ceph.http, bucket)


def test_the_probe_of_a_key_that_may_not_delete(limited: Store, ceph: Ceph, bucket: str) -> None:
    ceph.set_policy(bucket, deny(bucket, "s3:DeleteObject"))
    (warning,) = prove(limited)
    assert f"s3://{bucket}/nightly/.backup-manager-probe-0123 stays" in warning
    assert "s3:DeleteObject" in warning


def test_the_probe_of_a_store_that_is_silent(keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del keys
    monkeypatch.setattr(probe, "GIVE_UP_SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = new_store(f"http://127.0.0.1:{silent.getsockname()[1]}", "bucket")
        error = refusal(lambda: prove(store))
    assert "the store does not answer" in error.what


def test_codes_of_errors() -> None:
    assert ("", 0) == (code_of(OSError()), status_of(OSError()))
