"""What the store does wrong for a while is survived: nothing is lost, and nothing is left over."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.export.conftest import Make
from tests.export.replays import (
    ALWAYS,
    COMPLETE,
    HTML,
    LISTING,
    RECORD,
    RECORD_READ,
    SMALL,
    replay,
)
from tests.export.state import assert_only, left_on, records
from tests.s3_proxy import Answer, Request, S3Proxy, Trouble, operation
from tests.servers import Ceph, S3Server

if TYPE_CHECKING:
    # Annotations: not installed where tests only run.
    from types_boto3_s3.type_defs import CompletedMultipartUploadTypeDef

CREATE = operation("CreateMultipartUpload")
PART = operation("UploadPart")

SLOW_DOWN = Answer.error("SlowDown", 503)
TOO_MANY = Answer.error("TooManyRequests", 429)
INTERNAL = Answer.error("InternalError", 500)
INTERNAL_IN_200 = Answer.error("InternalError", 200)
SKEWED = Answer.error("RequestTimeTooSkewed", 403)


def _truncated(answer: Answer) -> Answer:
    """Less of a body than its Content-Length says."""
    return replace(answer, body=answer.body[: len(answer.body) // 2], claimed=len(answer.body) + 9)


def _cut(answer: Answer) -> Answer:
    """A body that is cut, of the length that the header says."""
    return replace(answer, body=answer.body[: len(answer.body) * 2 // 3])


def _each_kind_for_small_files(proxy: S3Proxy) -> list[Trouble]:
    answers = [
        SLOW_DOWN,
        TOO_MANY,
        INTERNAL,
        SKEWED,
        HTML,
        replace(HTML, status=503),
        replace(HTML, status=502),
        Answer(503),
        Answer.error("RequestTimeout", 400),
        Answer.error("BadDigest", 400),
    ]
    troubles = [proxy.answer(SMALL, answer) for answer in answers]
    return [*troubles, proxy.change(SMALL, _truncated), proxy.lose(SMALL)]


def _each_kind_for_big_files(proxy: S3Proxy) -> list[Trouble]:
    troubles = []
    for chooser in (CREATE, PART, COMPLETE):
        troubles += [
            proxy.answer(chooser, SLOW_DOWN),
            proxy.answer(chooser, HTML),
            proxy.answer(chooser, SKEWED),
            proxy.change(chooser, _truncated),
            proxy.lose(chooser),
        ]
    troubles += [proxy.change(CREATE, _cut), proxy.change(COMPLETE, _cut)]
    return [*troubles, proxy.answer(COMPLETE, INTERNAL_IN_200, times=2)]


def _each_kind_at_the_end(proxy: S3Proxy) -> list[Trouble]:
    answers = [SLOW_DOWN, TOO_MANY, INTERNAL, SKEWED, HTML, Answer(503)]
    troubles = [proxy.answer(LISTING, answer) for answer in answers]
    troubles += [proxy.answer(operation("ListObjectsV2", containing="probe"), HTML)]
    troubles += [proxy.change(LISTING, _truncated), proxy.change(LISTING, _cut)]
    troubles += [proxy.lose(LISTING), proxy.answer(RECORD, HTML), proxy.answer(RECORD, SKEWED)]
    troubles += [proxy.change(RECORD_READ, _truncated), proxy.answer(RECORD_READ, SLOW_DOWN)]
    return troubles


@pytest.mark.parametrize(
    ("prepare", "files", "big"),
    [
        (_each_kind_for_small_files, 40, 0),
        (_each_kind_for_big_files, 1, 2),
        (_each_kind_at_the_end, 3, 0),
    ],
    ids=["small files", "big files", "the end"],
)
def test_each_fault_once(
    double: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    proxy: S3Proxy,
    prepare: object,
    files: int,
    big: int,
) -> None:
    assert callable(prepare)
    troubles: list[Trouble] = prepare(proxy)

    result = double(replay(files, big), endpoint=proxy.url, table_filter=[]).run().expect(0)

    assert [] == [trouble for trouble in troubles if not trouble.reached.is_set()]
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_requests_go_down_while_the_store_asks_for_it_and_come_back(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    storm = 40
    proxy.refuse(SMALL, times=storm)
    proxy.pause = 0.05  # so that requests are under way at once, however busy the machine is

    result = double(replay(200), endpoint=proxy.url, table_filter=[]).run().expect(0)

    at_once = [request.at_once for request in proxy.requests if SMALL(request)]
    assert max(at_once[:16]) >= 8
    assert max(at_once[storm - 12 : storm]) <= 4
    assert max(at_once[storm:]) >= 8
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_a_completed_upload_that_the_store_no_longer_knows(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    proxy.lose(COMPLETE)
    unknown = proxy.refuse(COMPLETE, status=404, code="NoSuchUpload")

    result = double(replay(1, 1), endpoint=proxy.url, table_filter=[]).run().expect(0)

    assert unknown.reached.is_set()
    assert 1 == proxy.count("CreateMultipartUpload")
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


class _NoMD5(S3Server):
    """Ceph behind a proxy that makes ETags of multipart uploads that are no MD5s.

    The first CompleteMultipartUpload is carried out and its answer lost.
    """

    def __init__(self, proxy: S3Proxy, ceph: Ceph) -> None:
        super().__init__()
        self.http = proxy.url
        self.access_key, self.secret_key = ceph.access_key, ceph.secret_key
        self._ceph = ceph.client()
        self.completed = 0
        proxy.change(PART, self._other_header, times=ALWAYS)
        proxy.change(operation("HeadObject"), self._other_header, times=ALWAYS)
        proxy.change(operation("ListObjectsV2", "ListParts"), self._other_body, times=ALWAYS)
        proxy.answer(COMPLETE, self._complete, times=ALWAYS)

    @staticmethod
    def _other(etag: str) -> str:
        return hashlib.sha1(etag.encode(), usedforsecurity=False).hexdigest() + "-x"

    def _other_header(self, answer: Answer) -> Answer:
        headers = dict(answer.headers)
        for name in headers.keys() & {"ETag", "etag"}:
            headers[name] = f'"{self._other(headers[name].strip(chr(34)))}"'
        return replace(answer, headers=headers)

    def _other_body(self, answer: Answer) -> Answer:
        def other(found: re.Match[str]) -> str:
            return self._other(found[0])

        text = re.sub(r"[0-9a-f]{32}-\d+", other, answer.body.decode())
        return replace(answer, body=text.encode())

    def _complete(self, request: Request) -> Answer:
        bucket, key, upload_id = _upload_of(request)
        try:
            parts = self._ceph.list_parts(Bucket=bucket, Key=key, UploadId=upload_id)["Parts"]
        except self._ceph.exceptions.NoSuchKey:  # so Ceph 16 says that there is no such upload
            return Answer.error("NoSuchUpload", 404)
        chosen: CompletedMultipartUploadTypeDef = {
            "Parts": [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
        }
        self._ceph.complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload=chosen
        )
        self.completed += 1
        # Ceph's own answer has none.
        there = self._ceph.head_object(Bucket=bucket, Key=key)
        etag = self._other(there["ETag"].strip('"'))
        text = f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>"
        answer = Answer(200, text.encode())
        return _truncated(answer) if self.completed == 1 else answer


def _upload_of(request: Request) -> tuple[str, str, str]:
    """Bucket, key and id of the upload that a request is about."""
    parts = urlsplit(request.target)
    _, bucket, key = unquote(parts.path).split("/", 2)
    return bucket, key, parse_qs(parts.query)["uploadId"][0]


def test_a_completed_upload_whose_etag_proves_nothing(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    store = _NoMD5(proxy, ceph)

    result = double(replay(1, 1), endpoint=proxy.url, table_filter=[]).run().expect(0)

    # The object was there after the first; it is not believed to be ours.
    assert 2 == store.completed
    assert_only(store, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_uploads_that_the_store_has_aborted_are_begun_anew(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    def abort(request: Request) -> None:
        name, key, upload_id = _upload_of(request)
        ceph.client().abort_multipart_upload(Bucket=name, Key=key, UploadId=upload_id)

    # As a lifecycle rule does it.
    proxy.before(operation("UploadPart", containing="big.000000000.sql?partNumber=2"), abort)
    proxy.before(operation("CompleteMultipartUpload", containing="big.000000001"), abort)

    export = double(replay(1, 2), endpoint=proxy.url, table_filter=[])
    result = export.run(timeout=60).expect(0)

    assert 4 == proxy.count("CreateMultipartUpload")
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


# Publishing ----------------------------------------------------------------------------------


def test_the_record_is_read_back_until_that_is_known(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    # First a conflict with nothing, then an answer that is lost; and it cannot be read at once.
    proxy.refuse(RECORD, status=412, code="PreconditionFailed")
    proxy.lose(RECORD, times=2)
    unread = proxy.refuse(RECORD_READ, times=5, status=500, code="InternalError")

    result = double(endpoint=proxy.url).run().expect(0)

    assert 0 == unread.times
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_a_conflict_that_another_has_won(
    double: Make, ceph: Ceph, bucket: str, proxy: S3Proxy
) -> None:
    other = b'{"id":"another"}'

    def be_faster(request: Request) -> None:
        key = unquote(urlsplit(request.target).path).split("/", 2)[2]
        ceph.client().put_object(Bucket=bucket, Key=key, Body=other)

    proxy.before(RECORD, be_faster)

    double(endpoint=proxy.url).run().expect(10, "PublishedByAnotherRun")

    (key,) = records(ceph, bucket)
    assert other == ceph.client().get_object(Bucket=bucket, Key=key)["Body"].read()


def test_a_store_without_conditional_writes(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    refusal = proxy.refuse(
        lambda request: "if-none-match" in request.headers,
        times=ALWAYS,
        status=501,
        code="NotImplemented",
    )

    result = double(endpoint=proxy.url).run().expect(0)

    assert refusal.reached.is_set()
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)
