"""The store refuses, cannot, or holds something else: survived where it can be, else named."""

import re
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from tests.export.conftest import Make
from tests.export.replays import (
    ALWAYS,
    COMPLETE,
    HTML,
    LISTING,
    SMALL,
    anything,
    from_then_on,
    replay,
)
from tests.export.state import assert_nothing, assert_only, keys, left_on, open_uploads, records
from tests.s3_proxy import Answer, Chooser, Request, S3Proxy, operation
from tests.servers import Ceph

# The answers of no S3, and a clock that is wrong ------------------------------------------------


def test_a_clock_that_is_wrong_is_named(
    double: Make, ceph: Ceph, bucket: str, volume: Path, proxy: S3Proxy
) -> None:
    proxy.refuse(anything, times=ALWAYS, status=403, code="RequestTimeTooSkewed")

    result = double(endpoint=proxy.url).run().expect(7, "StoreUnusable")

    assert "clock" in result.message
    assert_nothing(ceph, bucket)
    assert [] == left_on(volume)


@pytest.mark.parametrize("chooser", [SMALL, COMPLETE, LISTING], ids=["data", "complete", "listing"])
def test_answers_of_no_s3_are_named(
    double: Make, ceph: Ceph, bucket: str, proxy: S3Proxy, chooser: Chooser
) -> None:
    proxy.answer(from_then_on(chooser), HTML, times=ALWAYS)
    export = double(replay(3, 1), endpoint=proxy.url, table_filter=[], stall_timeout="2s")

    result = export.run(timeout=60).expect(7)

    assert "none of an S3 store" in result.message
    assert [] == records(ceph, bucket)


# Credentials that end ---------------------------------------------------------------------------


def _write_credentials(path: Path, access_key: str, secret_key: str) -> None:
    new = path.with_suffix(f".{uuid.uuid4().hex}")
    new.write_text(
        f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"
    )
    new.rename(path)


@pytest.mark.parametrize(
    ("chooser", "status", "code"),
    [
        (SMALL, 400, "ExpiredToken"),
        (LISTING, 403, "InvalidAccessKeyId"),
    ],
    ids=["ended", "rotated"],
)
def test_credentials_that_are_replaced_in_mid_run(
    double: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    unique: str,
    proxy: S3Proxy,
    chooser: Chooser,
    status: int,
    code: str,
) -> None:
    old_key, old_secret = ceph.create_user(unique)
    users = ["arn:aws:iam:::user/owner", f"arn:aws:iam:::user/{unique}"]
    everything = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    allowed = {"Principal": {"AWS": users}, "Action": "s3:*", "Resource": everything}
    policy = {"Version": "2012-10-17", "Statement": [allowed | {"Effect": "Allow"}]}
    ceph.set_policy(bucket, policy)
    file = tmp_path / "credentials"
    _write_credentials(file, old_key, old_secret)

    def replaced(request: Request) -> Answer:
        # A new key is there before the old one is refused, as it is rotated; a token just ends.
        if code == "InvalidAccessKeyId":
            _write_credentials(file, ceph.access_key, ceph.secret_key)
        return Answer.error(code, status)

    refusal = proxy.answer(
        lambda request: chooser(request) and old_key in request.headers["authorization"],
        replaced,
        times=ALWAYS,
    )
    export = double(
        replay(20),
        endpoint=proxy.url,
        table_filter=[],
        access_key=None,
        secret_key=None,
        environment={"AWS_SHARED_CREDENTIALS_FILE": str(file)},
    )
    with export.start() as running:
        running.wait_until(refusal.reached.is_set)
        _write_credentials(file, ceph.access_key, ceph.secret_key)
        result = running.result(60).expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_credentials_that_end_and_cannot_change(
    double: Make, ceph: Ceph, bucket: str, proxy: S3Proxy
) -> None:
    proxy.refuse(SMALL, times=ALWAYS, status=400, code="ExpiredToken")

    result = double(replay(20), endpoint=proxy.url, table_filter=[]).run().expect(7)

    assert "ExpiredToken" in result.message
    assert "session token" in result.message
    assert [] == records(ceph, bucket)


# A listing that is not what was sent ------------------------------------------------------------


def _falsify(answer: Answer) -> Answer:
    """One object is missing, one is longer, one has another ETag."""

    def other(found: re.Match[str]) -> str:
        text = found[0]
        if "small.000000000" in text:
            return ""
        if "small.000000001" in text:
            return re.sub(r"<Size>\d+", "<Size>2001", text)
        if "small.000000002" in text:
            return re.sub(r"[0-9a-f]{32}", "0" * 32, text)
        return text

    text = re.sub(r"<Contents>.*?</Contents>", other, answer.body.decode(), flags=re.DOTALL)
    return replace(answer, body=text.encode())


def test_a_listing_that_is_not_what_was_sent(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    export = double(replay(5), endpoint=proxy.url, table_filter=[])
    proxy.change(LISTING, _falsify, times=ALWAYS)

    result = export.run().expect(8, "VerificationFailed")

    for number in range(3):
        assert f"replay.small.00000000{number}.sql" in result.message
    assert "replay.small.000000003.sql" not in result.message
    assert [] == records(ceph, bucket)

    proxy.forget()
    before = len(proxy.requests)
    result = export.run().expect(0)

    assert result.summary["resumed"] is True
    assert 3 == sum(SMALL(request) for request in proxy.requests[before:])
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


# Permission withdrawn ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chooser", "big", "words"),
    [(LISTING, 0, "s3:ListBucket"), (COMPLETE, 1, "s3:PutObject")],
    ids=["listing", "complete"],
)
def test_permission_withdrawn_half_way(
    double: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    proxy: S3Proxy,
    chooser: Chooser,
    big: int,
    words: str,
) -> None:
    proxy.refuse(chooser, times=ALWAYS, status=403, code="AccessDenied")
    # The dump has ended before the upload can: what is finished is not undone.
    export = double(replay(2, big), endpoint=proxy.url, table_filter=[])

    result = export.run().expect(7)

    assert "AccessDenied" in result.message
    assert words in result.message
    assert [] == records(ceph, bucket)

    proxy.forget()
    result = export.run().expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_what_may_not_be_deleted_is_named(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    go_on = tmp_path / "go-on"
    gate = {"gate": {"at": "exit", "path": str(go_on)}}
    proxy.refuse(operation("DeleteObjects"), times=ALWAYS, status=403, code="AccessDenied")
    deletes = operation("DeleteObject", containing="/backup-")
    proxy.refuse(deletes, times=ALWAYS, status=403, code="AccessDenied")
    with double(gate, {"misdeed": "exit-1-at-end"}, endpoint=proxy.url).start() as running:
        running.wait_until(lambda: bool(keys(ceph, bucket)))
        go_on.touch()
        result = running.result().expect(5)

    (warning,) = result.warnings
    assert result.directory in warning
    assert "AccessDenied" in warning
    assert [] != keys(ceph, bucket)

    proxy.forget()
    result = double(endpoint=proxy.url).run().expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


# Stores that cannot do everything ---------------------------------------------------------------


def test_without_listparts_big_files_are_sent_anew(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    export = double(replay(1, 3), endpoint=proxy.url, table_filter=[])
    proxy.hold(operation("UploadPart", containing="partNumber=3"))
    with export.start() as running:
        running.wait_for("sending the rest")
        running.wait_until(
            lambda: 6 == sum(each.operation == "UploadPart" for each in list(proxy.accepted))
        )
        running.kill()
    proxy.forget()
    list_parts = operation("ListParts")
    troubles = [
        proxy.refuse(list_parts, status=501, code="NotImplemented"),
        proxy.refuse(list_parts, status=405, code="MethodNotAllowed"),
        # A key may lack only this one right.
        proxy.refuse(list_parts, status=403, code="AccessDenied"),
    ]

    result = export.run().expect(0)

    assert [] == [trouble for trouble in troubles if not trouble.reached.is_set()]
    assert result.summary["resumed"] is True
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


@pytest.mark.parametrize(
    ("status", "code"), [(501, "NotImplemented"), (403, "AccessDenied")], ids=["501", "403"]
)
def test_without_listing_uploads_those_of_a_killed_run_are_aborted(
    double: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    proxy: S3Proxy,
    status: int,
    code: str,
) -> None:
    gate = {"gate": {"at": "metadata", "path": str(tmp_path / "never")}}
    hold = proxy.hold(operation("UploadPart"))
    with double(replay(1, 2), gate, endpoint=proxy.url, table_filter=[]).start() as running:
        running.wait_until(hold.reached.is_set)
        running.wait_until(lambda: 2 == proxy.count("CreateMultipartUpload"))
        running.wait_until(lambda: 4 <= proxy.count("UploadPart"))
        running.kill()
    proxy.forget()
    assert 2 == len(open_uploads(ceph, bucket))
    uploads = operation("ListMultipartUploads")
    refusal = proxy.refuse(uploads, times=ALWAYS, status=status, code=code)

    result = double(replay(1), endpoint=proxy.url, table_filter=[]).run().expect(0)

    assert refusal.reached.is_set()
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)
