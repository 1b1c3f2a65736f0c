"""Reading objects: whole, by ranges, as a stream; what comes is what was asked for, or an error."""

import hashlib
import os
from collections.abc import Iterator

import pytest

from backup_manager.errors import MismatchError, StoreError
from backup_manager.signals import Stop
from backup_manager.store import reader as reading
from backup_manager.store.bandwidth import Limiter, Timetable
from backup_manager.store.reader import ObjectStream, Reader, last_modified
from backup_manager.store.retries import Patience
from backup_manager.store.settings import Pace
from tests.s3_proxy import Answer, S3Proxy, operation
from tests.servers import Ceph
from tests.stores import new_report, new_store

BODY = os.urandom(10_000)


@pytest.fixture
def proxy(ceph: Ceph) -> Iterator[S3Proxy]:
    with S3Proxy(ceph.http) as proxy:
        yield proxy


@pytest.fixture
def reader(ceph: Ceph, bucket: str, proxy: S3Proxy, keys: None) -> Reader:
    del keys
    ceph.client().put_object(Bucket=bucket, Key="k ü/~", Body=BODY)
    return open_reader(bucket, proxy)


def open_reader(bucket: str, proxy: S3Proxy, **options: object) -> Reader:
    store = new_store(proxy.url, bucket, options=options).patient(Patience(1.0))
    return Reader(store, stop=Stop(), report=new_report())


def test_whole(reader: Reader) -> None:
    got = reader.whole("k ü/~", limit=len(BODY))
    assert got is not None
    assert BODY == got.data
    modified = last_modified(got)
    assert modified is not None
    assert modified.tzinfo is not None
    assert None is reader.whole("none", limit=1)


def test_more_than_the_limit_shows_by_one_byte_more(reader: Reader) -> None:
    got = reader.whole("k ü/~", limit=99)
    assert got is not None
    assert BODY[:100] == got.data
    # The connection went, and the next call has another.
    assert BODY[5:10] == reader.span("k ü/~", 5, 5, size=len(BODY))


@pytest.mark.parametrize(("first", "count"), [(0, 1), (0, 10_000), (9_999, 1), (17, 4_000)])
def test_spans(reader: Reader, first: int, count: int) -> None:
    assert BODY[first : first + count] == reader.span("k ü/~", first, count, size=len(BODY))


@pytest.mark.parametrize(("first", "count"), [(0, 10_001), (9_999, 2), (10_000, 1)])
def test_what_is_not_there_is_no_span(reader: Reader, first: int, count: int) -> None:
    with pytest.raises(MismatchError, match="is not what was written"):
        reader.span("k ü/~", first, count, size=len(BODY))


def test_a_server_that_knows_no_ranges_is_not_believed(reader: Reader, proxy: S3Proxy) -> None:
    def whole(answer: Answer) -> Answer:
        return Answer(200, BODY, {})

    proxy.change(operation("GetObject"), whole, times=2)
    with pytest.raises(StoreError, match="got the whole object"):
        reader.span("k ü/~", 0, 100, size=len(BODY))
    # What it answers is just what was asked for.
    assert BODY == reader.span("k ü/~", 0, len(BODY), size=len(BODY))


def test_a_cut_answer_is_asked_again(reader: Reader, proxy: S3Proxy) -> None:
    def cut(answer: Answer) -> Answer:
        return Answer(answer.status, answer.body[:50], answer.headers, claimed=len(answer.body))

    proxy.change(operation("GetObject"), cut)
    assert BODY[:100] == reader.span("k ü/~", 0, 100, size=len(BODY))
    assert 2 == proxy.count("GetObject")


def test_a_refusal_names_the_permission(reader: Reader, proxy: S3Proxy) -> None:
    proxy.answer(operation("GetObject"), Answer.error("AccessDenied", 403), times=9)
    with pytest.raises(StoreError, match="s3:GetObject"):
        reader.whole("k ü/~", limit=1)
    assert 1 == proxy.count("GetObject")


def test_after_its_end_nothing_is_asked(reader: Reader, proxy: S3Proxy) -> None:
    reader.end()
    with pytest.raises(StoreError):
        reader.whole("k ü/~", limit=1)
    assert 0 == proxy.count("GetObject")


def test_a_stream_reads_range_by_range(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "RANGE_BYTES", 3_000)
    stream = ObjectStream(reader, "k ü/~")
    assert len(BODY) == stream.bytes
    assert hashlib.sha256(BODY).hexdigest() == stream.hash_all()
    pieces = iter(lambda: stream.read(700), b"")
    assert BODY == b"".join(pieces)
    assert hashlib.sha256(BODY).hexdigest() == stream.sha256


def test_no_stream_of_nothing(reader: Reader) -> None:
    with pytest.raises(MismatchError, match="none is missing"):
        ObjectStream(reader, "none")


def test_what_is_read_keeps_within_the_bandwidth(
    ceph: Ceph, bucket: str, proxy: S3Proxy, keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del keys
    taken: list[int] = []
    monkeypatch.setattr(Limiter, "take", lambda _, count: taken.append(count))
    ceph.client().put_object(Bucket=bucket, Key="k", Body=BODY)
    pace = Pace(bandwidth=Timetable(((0, 1e6),)))
    reader = open_reader(bucket, proxy, pace=pace)
    reader.span("k", 0, len(BODY), size=len(BODY))
    assert len(BODY) == sum(taken) == reader.wire.bytes_moved
