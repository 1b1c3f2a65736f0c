"""The gateway of the tests believes what Amazon S3 would, and nothing else."""

import http.client
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
import trustme
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.s3_proxy import Answer
from tests.servers import Account, Ceph, Gateway, Quirk, Received

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

KEY, SECRET, TOKEN = "AKIAEXAMPLE", "secret/of+it", "a token/+="
HOST = "s3.eu-central-1.amazonaws.com"


@pytest.fixture
def gateway(ceph: Ceph) -> Iterator[Gateway]:
    with Gateway(ceph, Account(KEY, SECRET), Account("ASIA", "s2", TOKEN)) as running:
        yield running


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


def client(
    endpoint: str | None,
    key: str = KEY,
    secret: str = SECRET,
    token: str | None = None,
    *,
    region: str = "us-east-1",
    verify: str | None = None,
    **config: Any,
) -> "S3Client":
    settings = {
        "request_checksum_calculation": "when_required",
        "retries": {"total_max_attempts": 1},
        "proxies": {},
    }
    made: S3Client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        verify=verify,
        config=Config(**(settings | config)),
    )
    return made


def refused(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


HARD_KEYS = ["a/b", "ü b+c&d=e~f", "%41", "(x)!*'"]


@pytest.mark.parametrize("key", HARD_KEYS)
def test_a_good_signature(gateway: Gateway, bucket: str, key: str) -> None:
    s3 = client(gateway.url)
    s3.put_object(Bucket=bucket, Key=key, Body=b"data", Metadata={"a": "b  c"})
    found = s3.get_object(Bucket=bucket, Key=key)
    assert (b"data", "b  c") == (found["Body"].read(), found["Metadata"]["a"])
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=key[:2])
    assert [key] == [item["Key"] for item in listed["Contents"]]
    assert ["PutObject", "GetObject", "ListObjectsV2"] == [r.operation for r in gateway.accepted]
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"part")
    assert b"data" == s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)


def test_who_is_not_believed(gateway: Gateway, bucket: str) -> None:
    def listing(*account: str, **more: Any) -> tuple[str, int]:
        return refused(lambda: client(gateway.url, *account, **more).list_objects_v2(Bucket=bucket))

    assert ("SignatureDoesNotMatch", 403) == listing(KEY, "other")
    assert ("InvalidAccessKeyId", 403) == listing("AKIAOTHER", SECRET)
    assert ("InvalidAccessKeyId", 403) == listing("ASIA", "s2")
    assert ("InvalidToken", 400) == listing("ASIA", "s2", "other")
    assert ("InvalidToken", 400) == listing(KEY, SECRET, TOKEN)
    assert ("InvalidRequest", 400) == listing(KEY, SECRET, signature_version="s3")
    assert [] == gateway.accepted

    client(gateway.url, "ASIA", "s2", TOKEN).list_objects_v2(Bucket=bucket)
    gateway.accounts["ASIA"].end()
    assert ("ExpiredToken", 400) == listing("ASIA", "s2", TOKEN)


def test_another_region(gateway: Gateway, bucket: str) -> None:
    gateway.region = "eu-central-1"
    s3 = client(gateway.url)
    code, status = refused(lambda: s3.put_object(Bucket=bucket, Key="k", Body=b""))
    assert ("AuthorizationHeaderMalformed", 400) == (code, status)
    client(gateway.url, region="eu-central-1").put_object(Bucket=bucket, Key="k", Body=b"")


def raw(gateway: Gateway, bucket: str, **wrong: Any) -> str:
    """The answer to a signed request of which something was changed afterwards."""
    url = f"{gateway.url}/{bucket}/k?a=1&b"
    headers = {"x-amz-meta-a": "1"}
    request = AWSRequest(method="PUT", url=url, data=b"data", headers=headers)
    S3SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
    sent = {name: str(value) for name, value in request.headers.items()} | wrong.get("headers", {})
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc)
    target = wrong.get("target", f"/{bucket}/k?a=1&b")
    connection.request(wrong.get("method", "PUT"), target, wrong.get("body", b"data"), sent)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return text.partition("<Code>")[2].partition("</Code>")[0] or str(answer.status)


def test_a_request_that_was_changed(gateway: Gateway, bucket: str) -> None:
    assert "200" == raw(gateway, bucket)
    mismatch = "SignatureDoesNotMatch"
    assert mismatch == raw(gateway, bucket, method="GET")
    assert mismatch == raw(gateway, bucket, target=f"/{bucket}/l?a=1&b")
    assert mismatch == raw(gateway, bucket, target=f"/{bucket}/k?a=2&b")
    assert mismatch == raw(gateway, bucket, headers={"x-amz-meta-a": "2"})
    assert mismatch == raw(gateway, bucket, headers={"X-Amz-Content-SHA256": "0" * 64})
    assert "XAmzContentSHA256Mismatch" == raw(gateway, bucket, body=b"dada")
    assert "AccessDenied" == raw(gateway, bucket, headers={"x-amz-acl": "public-read"})
    assert "AccessDenied" == raw(gateway, bucket, headers={"Authorization": ""})
    skewed = {"X-Amz-Date": "20200101T000000Z"}
    assert "RequestTimeTooSkewed" == raw(gateway, bucket, headers=skewed)
    assert 1 == len(gateway.accepted)


def test_true_names_by_way_of_a_proxy(
    ceph: Ceph, bucket: str, authority: trustme.CA, trusted: str
) -> None:
    account = Account(KEY, SECRET)
    with Gateway(ceph, account, authority=authority, region="eu-central-1") as gateway:
        for scheme in ("http", "https"):
            proxies = {scheme: gateway.proxy_url}
            for style in ("path", "virtual"):
                s3 = client(
                    f"{scheme}://{HOST}" if scheme == "http" else None,
                    region="eu-central-1",
                    verify=trusted,
                    proxies=proxies,
                    s3={"addressing_style": style},
                )
                s3.put_object(Bucket=bucket, Key=f"{scheme} {style}", Body=b"d")
                s3.list_objects_v2(Bucket=bucket)
        seen = [(r.url.partition("://")[0], r.virtual, r.host) for r in gateway.requests[::2]]  # type: ignore[attr-defined]  # the gateway's are Received
    virtual = f"{bucket}.{HOST}"
    expected = [
        ("http", False, HOST),
        ("http", True, virtual),
        ("https", False, HOST),
        ("https", True, virtual),
    ]
    assert expected == seen
    found = [item["Key"] for item in ceph.client().list_objects_v2(Bucket=bucket)["Contents"]]
    assert ["http path", "http virtual", "https path", "https virtual"] == found


def test_another_server_beside(ceph: Ceph, gateway: Gateway) -> None:
    gateway.beside["sts.example.com"] = ceph.http
    connection = http.client.HTTPConnection(urlsplit(gateway.proxy_url).netloc)
    connection.request("GET", "http://sts.example.com/")
    assert b"ListAllMyBuckets" in connection.getresponse().read()
    connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_tls_at_its_own_address(
    ceph: Ceph, bucket: str, authority: trustme.CA, trusted: str, host: str
) -> None:
    options: dict[str, Any] = {"host": host, "authority": authority, "secure": True}
    with Gateway(ceph, Account(KEY, SECRET), **options) as gateway:
        assert gateway.url.startswith(f"https://{'[::1]' if ':' in host else host}:")
        client(gateway.url, verify=trusted).put_object(Bucket=bucket, Key="k", Body=b"d")
        with pytest.raises(ssl.SSLError):
            http.client.HTTPSConnection(
                urlsplit(gateway.url).netloc, context=ssl.create_default_context()
            ).request("GET", "/")
    assert 1 == len(gateway.accepted)


def test_quirks(gateway: Gateway, bucket: str) -> None:
    def no_path_style(request: Received) -> Answer | None:
        code = "SecondLevelDomainForbidden"
        return None if request.virtual else Answer.error(code, 403, "use a virtual host")

    def without_class(request: Received) -> Received:
        headers = dict(request.headers)
        headers.pop("x-amz-storage-class", None)
        return replace(request, headers=headers)

    def etag(request: Received, answer: Answer) -> Answer:
        return replace(answer, headers={**answer.headers, "ETag": f'"{request.key}"'})

    s3 = client(gateway.url)
    put: Any = {"Bucket": bucket, "Key": "k", "Body": b"d", "StorageClass": "GLACIER"}
    assert ("InvalidArgument", 400) == refused(lambda: s3.put_object(**put))
    gateway.quirks = (Quirk(after=etag), Quirk(before=without_class))
    assert '"k"' == s3.put_object(**put)["ETag"]
    gateway.quirks = (Quirk(before=no_path_style),)
    assert ("SecondLevelDomainForbidden", 403) == refused(lambda: s3.put_object(**put))
