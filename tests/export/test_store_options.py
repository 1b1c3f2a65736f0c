"""Encryption, classes, locks and rclone's options, as the store sees them."""

import base64
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.export.conftest import Make
from tests.export.replays import ALWAYS, COMPLETE, LISTING, SMALL, replay
from tests.export.state import left_on
from tests.restore import fetch_backup
from tests.s3_proxy import DATA_OPERATIONS, Answer, S3Proxy
from tests.servers import KMS_KEY_ID, Ceph

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_PARTS = ["--s3-chunk-size=5M", "--s3-upload-cutoff=5M"]
# 12 MB in three parts; the other files whole.
_PLAN = {"replay": {"files": 3, "bytes": 2000, "big": {"files": 1, "bytes": 12_000_000}}}


def _secure(ceph: Ceph) -> dict[str, Any]:
    return {"endpoint": ceph.https, "s3_ca": ceph.ca_file, "table_filter": [], "s3_option": _PARTS}


def _keys(client: "S3Client", bucket: str) -> list[str]:
    return [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]]


def test_kms_with_key_and_context(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path
) -> None:
    settings = {"sse": "aws:kms", "sse_kms_key_id": KMS_KEY_ID, "sse_kms_context": '{"a": "b"}'}

    result = double(_PLAN, **_secure(ceph), **settings).run().expect(0)

    client = ceph.client(secure=True)
    fetch_backup(client, bucket, result.directory, tmp_path / "fetched")
    for key in _keys(client, bucket):
        head = client.head_object(Bucket=bucket, Key=key)
        assert ("aws:kms", KMS_KEY_ID) == (head["ServerSideEncryption"], head["SSEKMSKeyId"])
    assert [] == left_on(volume)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sse": "aws:kms", "sse_kms_key_id": "nobodys"}, "KMS key nobodys"),
        ({"storage_class": "NOWHERE"}, "storage class NOWHERE"),
        ({"object_lock_mode": "GOVERNANCE", "object_lock_retain": "1h"}, "has no Object Lock"),
    ],
)
def test_what_the_store_has_not(
    double: Make, ceph: Ceph, settings: dict[str, Any], said: str
) -> None:
    """Ceph itself says InvalidAccessKeyId and InvalidArgument, and no more."""
    result = double(_PLAN, **_secure(ceph), **settings).run().expect(7)
    assert said in result.message


@pytest.mark.parametrize("form", [bytes, base64.b64encode])
def test_a_key_of_ones_own(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, form: Any
) -> None:
    key = os.urandom(32)
    file = tmp_path / "key"
    file.write_bytes(form(key))

    settings = {"sse_customer_key_file": file, "log_level": "debug"}
    result = double(_PLAN, **_secure(ceph), **settings).run().expect(0)

    client = ceph.new_client(secure=True)
    name = f"{result.directory}/backup.json"
    with pytest.raises(client.exceptions.ClientError):
        client.get_object(Bucket=bucket, Key=name)

    def with_key(params: dict[str, Any], **_: object) -> None:
        params["SSECustomerAlgorithm"], params["SSECustomerKey"] = "AES256", key

    client.meta.events.register("provide-client-params.s3.GetObject", with_key)
    fetch_backup(client, bucket, result.directory, tmp_path / "fetched")
    assert base64.b64encode(key).decode() not in result.stderr + result.stdout
    assert [] == left_on(volume)


def test_encryption_without_tls(double: Make) -> None:
    """Ceph says InvalidRequest, and no more."""
    result = double(_PLAN, table_filter=[], sse="AES256").run().expect(7)
    assert "this endpoint is http" in result.message


def test_https_to_a_port_of_http(double: Make, ceph: Ceph) -> None:
    endpoint = ceph.http.replace("http:", "https:")
    result = double(endpoint=endpoint, stall_timeout="10m").run().expect(7)
    assert f"{endpoint}: cannot" in result.message
    assert "give --endpoint with http://" in result.message


def test_a_key_in_an_option_is_shown_nowhere(double: Make, ceph: Ceph) -> None:
    key = base64.b64encode(os.urandom(32)).decode()
    options = [*_PARTS, f"--s3-sse-customer-key-base64={key}"]
    export = double(_PLAN, **_secure(ceph) | {"s3_option": options}, log_level="debug")

    for result in (export.run("--dry-run").expect(0), export.run().expect(0)):
        assert key not in result.stderr + result.stdout
        assert "--sse-customer-key-file is better" in result.stderr


def test_object_lock(double: Make, ceph: Ceph, volume: Path) -> None:
    """Also of what went up in parts, where Ceph 16 drops it; not of the probe."""
    client = ceph.client(secure=True)
    client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    settings = {"object_lock_mode": "governance", "object_lock_retain": "1h", "bucket": "locked"}

    result = double(_PLAN, **_secure(ceph), **settings).run().expect(0)

    versions = client.list_object_versions(Bucket="locked")["Versions"]
    modes = {
        version["Key"]: client.head_object(
            Bucket="locked", Key=version["Key"], VersionId=version["VersionId"]
        ).get("ObjectLockMode")
        for version in versions
    }
    (probe,) = (key for key in modes if ".backup-manager-probe-" in key)
    assert modes.pop(probe) is None
    assert {"GOVERNANCE"} == set(modes.values())
    assert result.summary["files"] + 2 == len(modes)
    assert [] == left_on(volume)


def test_what_goes_with_each_request(
    double: Make, ceph: Ceph, bucket: str, proxy: S3Proxy, volume: Path
) -> None:
    options = [*_PARTS, "--header-upload=X-Amz-Meta-Team: dba", "--s3-acl=public-read", "-vv"]
    settings = {"requester_pays": True, "storage_class": "STANDARD", "s3_option": options}

    double(_PLAN, endpoint=proxy.url, table_filter=[], **settings).run().expect(0)

    assert {"requester"} == {
        request.headers.get("x-amz-request-payer") for request in proxy.requests
    }
    for request in proxy.requests:
        creates = request.operation in {"PutObject", "CreateMultipartUpload"}
        expected = ("dba", "public-read", "STANDARD") if creates else (None, None, None)
        names = ("x-amz-meta-team", "x-amz-acl", "x-amz-storage-class")
        assert expected == tuple(request.headers.get(name) for name in names)
    client = ceph.client()
    for key in _keys(client, bucket):
        assert {"team": "dba"} == client.head_object(Bucket=bucket, Key=key)["Metadata"]
    assert [] == left_on(volume)


@pytest.mark.parametrize(
    ("options", "most"),
    [
        (["--transfers=2"], 2),
        (["--max-connections=3"], 3),
        ([*_PARTS, "--transfers=1", "--s3-upload-concurrency=2"], 2),
    ],
)
def test_how_much_is_under_way_at_once(
    double: Make, proxy: S3Proxy, options: list[str], most: int
) -> None:
    proxy.pause = 0.05
    plan = {"replay": {"files": 12, "bytes": 2000, "big": {"files": 2, "bytes": 16_000_000}}}

    double(plan, endpoint=proxy.url, table_filter=[], s3_option=options).run().expect(0)

    assert most == max(request.at_once for request in proxy.requests)


def test_how_big_files_are_cut(double: Make, proxy: S3Proxy) -> None:
    options = ["--s3-chunk-size=6Mi", "--s3-upload-cutoff=12000001b", "--transfers=4"]
    plan = {"replay": {"files": 1, "bytes": 2000, "big": {"files": 1, "bytes": 12_000_000}}}
    export = double(plan, endpoint=proxy.url, table_filter=[], s3_option=options)
    export.run().expect(0)
    assert 0 == proxy.count("UploadPart")

    export.but(s3_option=[*options, "--s3-upload-cutoff=12000000b"]).run().expect(0)
    assert 2 == proxy.count("UploadPart")

    more = ["--s3-upload-cutoff=5M", "--s3-chunk-size=5M", "--s3-max-upload-parts=2"]
    export.but(s3_option=more).run().expect(0)
    assert 4 == proxy.count("UploadPart")


def test_ignore_checksum_and_no_more(
    double: Make, bucket: str, proxy: S3Proxy, volume: Path
) -> None:
    """The store answers with MD5s of something else; what it lists must fit all the same."""

    def wrong(answer: Answer) -> Answer:
        headers = {name: text for name, text in answer.headers.items() if name.lower() != "etag"}
        return Answer(answer.status, answer.body, headers | {"ETag": f'"{"0" * 32}"'})

    proxy.change(SMALL, wrong, times=ALWAYS)
    # Only where it is sent is there an MD5 to compare with.
    settings = {"provider": "other", "endpoint": proxy.url, "table_filter": []}
    export = double(replay(1), **settings)

    refused = export.run().expect(7)
    assert "--ignore-checksum" in refused.message
    assert 4 == len([one for one in proxy.requests if SMALL(one)])

    ignoring = export.but(s3_option=["--ignore-checksum"])
    differs = ignoring.run().expect(8)
    assert "0" * 32 in differs.message

    def listed(answer: Answer) -> Answer:
        text = re.sub(rb"(\.small\.0.*?<ETag>)[^<]*", rb"\g<1>" + b"0" * 32, answer.body)
        return Answer(answer.status, text, answer.headers)

    proxy.change(LISTING, listed, times=ALWAYS)
    ignoring.run().expect(0)
    assert [] == left_on(volume)


def test_attempts_are_counted_where_they_are_bounded(double: Make, proxy: S3Proxy) -> None:
    proxy.refuse(SMALL, times=ALWAYS)
    settings = {"endpoint": proxy.url, "table_filter": [], "s3_option": ["--low-level-retries=2"]}

    double(replay(1), **settings).run().expect(7)

    assert 2 == len([one for one in proxy.requests if SMALL(one)])


def test_parts_that_became_something_else(double: Make, proxy: S3Proxy) -> None:
    def other(answer: Answer) -> Answer:
        etag = f"<ETag>{'0' * 32}-3</ETag>"
        text = f"<CompleteMultipartUploadResult>{etag}</CompleteMultipartUploadResult>"
        return Answer(answer.status, text.encode(), answer.headers)

    proxy.change(COMPLETE, other)
    export = double(_PLAN, endpoint=proxy.url, table_filter=[], s3_option=_PARTS)

    refused = export.run().expect(8)

    assert "made something else of its parts" in refused.message
    again = export.run().expect(0)
    assert again.summary["resumed"] is True


def test_a_limit_of_bandwidth_is_no_stall(double: Make, proxy: S3Proxy) -> None:
    """All of it goes out far more slowly than the stall time-out would have it for one part."""
    options = [*_PARTS, "--bwlimit=2M"]
    plan = {"replay": {"files": 1, "bytes": 2000, "big": {"files": 1, "bytes": 8_000_000}}}
    settings = {"stall_timeout": "2s", "s3_option": options, "table_filter": []}

    result = double(plan, endpoint=proxy.url, **settings).run().expect(0)

    assert result.summary["seconds"]["total"] > 3
    assert 2 == len([request for request in proxy.accepted if request.operation == "UploadPart"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"s3_option": ["--s3-chunck-size=1M"]}, "--s3-chunk-size"),
        ({"s3_option": ["--s3-chunk-size=16Q"]}, "'16Q' is no size"),
        ({"storage_class": "A", "s3_option": ["--s3-storage-class=B"]}, "contradict"),
        ({"sse_kms_key_id": "k"}, "--sse=aws:kms"),
        ({"sse": "rot13"}, "aws:kms"),
        ({"sse": "aws:kms", "sse_kms_context": "{"}, "no JSON"),
        ({"sse": "aws:kms", "sse_kms_context": '{"a": 1}'}, "object of strings"),
        ({"object_lock_mode": "GOVERNANCE"}, "--object-lock-retain"),
        ({"object_lock_mode": "always"}, "COMPLIANCE"),
        ({"s3_insecure": True, "s3_ca": Path(__file__)}, "contradict"),
        ({"s3_addressing": "sideways"}, "virtual or path"),
        ({"provider": "cloudflare", "acl": "private"}, "no ACLs"),
        ({"provider": "backblaze", "endpoint": None, "region": None}, "--region"),
        ({"s3_option": ["--s3-sse-customer-key=" + "k" * 32]}, "https"),
        ({"s3_option": ["--s3-use-accelerate-endpoint"]}, "contradict"),
        ({"s3_option": ["--timeout=300y"]}, "longer than a day"),
        ({"storage_class": "STANDARD\nX: y"}, "no plain word"),
        ({"acl": "é"}, "no plain word"),
        ({"region": "a/../b"}, "no region"),
        ({"object_lock_mode": "GOVERNANCE", "object_lock_retain": "1ns"}, "1h to 876000h"),
        ({"environment": {"AWS_CA_BUNDLE": "/nonexistent"}}, "there is no file"),
        ({"environment": {"AWS_SESSION_TOKEN": "a\nb"}}, "white space"),
    ],
)
def test_settings_that_cannot_be(double: Make, settings: dict[str, Any], said: str) -> None:
    result = double(**settings).refused().expect(2)
    assert said in result.message
    assert "Traceback" not in result.stderr


def test_a_key_file_that_is_a_pipe(double: Make, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key")
    result = double(sse_customer_key_file=tmp_path / "key").refused().expect(2)
    assert "no regular file" in result.message


@pytest.mark.parametrize(
    "content", [b"", b"k" * 31, b"k" * 31 + b"\n", b"k" * 33, base64.b64encode(b"k" * 31)]
)
def test_an_sse_c_key_of_the_wrong_length(double: Make, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    result = double(sse_customer_key_file=tmp_path / "key").refused().expect(2)
    assert f"{len(content)} bytes" in result.message
    assert "head -c 32" in result.message


def test_the_operators_variables_give_way_to_options(
    double: Make, ceph: Ceph, bucket: str, proxy: S3Proxy
) -> None:
    """It always sets them; as with rclone, what stands in the options counts."""
    environment = {"AWS_STORAGE_CLASS": "STANDARD_IA", "AWS_ACL": "private"}
    options = ["--s3-storage-class=STANDARD", "--s3-acl=public-read"]
    export = double(replay(1), endpoint=proxy.url, table_filter=[], environment=environment)

    export.but(s3_option=options).run().expect(0)

    sent = [one for one in proxy.requests if one.operation in DATA_OPERATIONS]
    assert {("STANDARD", "public-read")} == {
        (one.headers["x-amz-storage-class"], one.headers["x-amz-acl"]) for one in sent
    }
    assert [] != _keys(ceph.client(), bucket)
