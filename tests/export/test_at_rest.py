"""One backup lies in the store in one way, whatever changed between a run and the next one."""

from typing import Any

from tests.export.conftest import Make
from tests.export.replays import RECORD
from tests.export.state import left_on, open_uploads
from tests.restore import listing
from tests.s3_proxy import Request, S3Proxy
from tests.servers import Ceph

_PLAN = {"replay": {"files": 20, "bytes": 2000, "big": {"files": 2, "bytes": 12_000_000}}}
_PARTS = ["--s3-chunk-size=5M", "--s3-upload-cutoff=5M"]
_TEAM = [*_PARTS, "--header-upload=X-Amz-Meta-Team: dba"]


def _export(double: Make, proxy: S3Proxy, **settings: Any) -> Any:
    options = {"endpoint": proxy.url, "table_filter": [], "s3_option": _PARTS}
    return double(_PLAN, **options | settings)


def _killed_at(export: Any, proxy: S3Proxy, chooser: Any) -> None:
    """Kill a run, its dump finished, when it makes such a request."""

    hold = proxy.hold(chooser)
    with export.start() as running:
        running.wait_until(hold.reached.is_set)
        running.wait_for("sending the rest")
        running.kill()
    proxy.forget()


def _third_part(request: Request) -> bool:
    return request.operation == "UploadPart" and "partNumber=3" in request.target


def test_what_was_sent_otherwise_is_sent_anew(
    double: Make, ceph: Ceph, bucket: str, volume: Any, proxy: S3Proxy
) -> None:
    export = _export(double, proxy)
    _killed_at(export, proxy, _third_part)
    client = ceph.client()
    assert [] != client.list_objects_v2(Bucket=bucket)["Contents"]
    assert [] != open_uploads(ceph, bucket)

    result = export.but(s3_option=_TEAM).run().expect(0)

    assert result.summary["resumed"] is True
    for item in listing(client, bucket, result.directory):
        head = client.head_object(Bucket=bucket, Key=f"{result.directory}/{item.name}")
        assert {"team": "dba"} == head["Metadata"], item.name
    assert [] == open_uploads(ceph, bucket)
    assert [] == left_on(volume)


def test_nothing_is_sent_anew_where_nothing_changed(double: Make, proxy: S3Proxy) -> None:
    export = _export(double, proxy, s3_option=_TEAM)
    _killed_at(export, proxy, _third_part)

    result = export.run().expect(0)

    assert result.summary["resumed"] is True
    assert not [line for line in result.log if "all is sent anew" in line["event"]]
    assert 0 == proxy.count("AbortMultipartUpload")


def test_a_record_that_was_begun_otherwise_is_left_alone(
    double: Make, ceph: Ceph, bucket: str, volume: Any, proxy: S3Proxy
) -> None:
    """It may be there, and be readable in its own way only."""
    export = _export(double, proxy)
    _killed_at(export, proxy, RECORD)

    other = export.but(s3_option=_TEAM).run().expect(0)

    assert other.summary["resumed"] is False
    assert any("stays on the volume" in text for text in other.warnings)
    first = export.run().expect(0)
    assert first.summary["resumed"] is True
    assert first.directory != other.directory
    assert [] == left_on(volume)
    assert [] == open_uploads(ceph, bucket)


def test_a_lock_that_was_still_to_be_set_is_set(
    double: Make, ceph: Ceph, volume: Any, proxy: S3Proxy
) -> None:
    """Killed between the completion of a big file and its lock, which Ceph 16 wants apart."""
    client = ceph.client()
    client.create_bucket(Bucket="lock-kill", ObjectLockEnabledForBucket=True)
    settings = {"object_lock_mode": "GOVERNANCE", "object_lock_retain": "1h"}
    export = _export(double, proxy, bucket="lock-kill", **settings)
    _killed_at(export, proxy, lambda request: request.target.endswith("?retention"))

    result = export.run().expect(0)

    assert result.summary["resumed"] is True
    for item in listing(client, "lock-kill", result.directory):
        head = client.head_object(Bucket="lock-kill", Key=f"{result.directory}/{item.name}")
        assert "GOVERNANCE" == head.get("ObjectLockMode"), item.name
    assert [] == left_on(volume)
