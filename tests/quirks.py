"""What one kind of store does otherwise than Ceph's gateway, as quirks of tests.servers.Gateway."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace

from tests.s3_proxy import Answer
from tests.servers import Quirk, Received


def refusing(which: Callable[[Received], bool], code: str, status: int, words: str = "") -> Quirk:
    """Answer what is like this with an error."""
    answer = Answer.error(code, status, words)
    return Quirk(before=lambda request: answer if which(request) else None)


def _has_checksum(request: Received) -> bool:
    """What boto3 sends of its own accord since 1.36: CRCs, in a header or behind the body."""
    names = " ".join(request.headers)
    return (
        "x-amz-checksum-" in names
        or "x-amz-sdk-checksum" in names
        or "aws-chunked" in request.headers.get("content-encoding", "")
        or request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
    )


# Backblaze, Cloudflare, Alibaba, older MinIO and others (boto3#4392).
NO_CHECKSUMS = refusing(_has_checksum, "NotImplemented", 501)
# Alibaba's own words; its documentation of the S3 interface.
VIRTUAL_ONLY = refusing(lambda request: not request.virtual, "SecondLevelDomainForbidden", 403)
PATH_ONLY = refusing(lambda request: request.virtual, "NoSuchBucket", 404)
# Several, older MinIO among them (barman#1124).
MD5_FOR_BULK_DELETE = refusing(
    lambda request: request.operation == "DeleteObjects" and "content-md5" not in request.headers,
    "InvalidRequest",
    400,
    "Missing required header for this request: Content-MD5",
)
NO_BULK_DELETE = refusing(
    lambda request: request.operation == "DeleteObjects", "NotImplemented", 400
)
NO_CONDITIONS = refusing(lambda request: "if-none-match" in request.headers, "NotImplemented", 501)
NO_ACL = refusing(lambda request: "x-amz-acl" in request.headers, "NotImplemented", 501)
TLS_ONLY = refusing(lambda request: not request.secure, "AccessDenied", 403)
# A bucket whose objects are locked by default, on Amazon S3; its own words.
MD5_FOR_OBJECT_LOCK = refusing(
    lambda request: (
        request.operation in {"PutObject", "UploadPart"} and "content-md5" not in request.headers
    ),
    "InvalidRequest",
    400,
    "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object"
    " Lock parameters",
)
_ETAG = re.compile(r"[0-9a-f]{32}-[0-9]+")


def _other_etags(request: Received, answer: Answer) -> Answer:
    """Another one for each object that was made of parts, everywhere the same."""

    def other(found: str) -> str:
        return hashlib.sha256(found.encode()).hexdigest()[:32] + "-" + found.partition("-")[2]

    headers = {
        name: _ETAG.sub(lambda match: other(match[0]), text) if name.lower() == "etag" else text
        for name, text in answer.headers.items()
    }
    body = answer.body
    if request.operation in {"ListObjectsV2", "CompleteMultipartUpload"}:
        body = _ETAG.sub(lambda match: other(match[0]), body.decode()).encode()
    return replace(answer, headers=headers, body=body)


# Cloudflare, Alibaba, SeaweedFS.
OTHER_MULTIPART_ETAGS = Quirk(after=_other_etags)


def complete_with_etag(of: Callable[[str], str]) -> Quirk:
    """CompleteMultipartUpload answers with an ETag, as all but Ceph 16 do: ``of`` the true one."""

    def after(request: Received, answer: Answer) -> Answer:
        if request.operation != "CompleteMultipartUpload" or answer.status != 200:
            return answer
        parts = re.findall(r"<ETag>(?:&quot;|\")?([0-9a-f]{32})", request.body.decode())
        digest = hashlib.md5(bytes.fromhex("".join(parts))).hexdigest()
        etag = of(f"{digest}-{len(parts)}")
        text = re.sub(r"<ETag>.*?</ETag>", f'<ETag>"{etag}"</ETag>', answer.body.decode())
        return replace(answer, body=text.encode())

    return Quirk(after=after)


COMPLETES = complete_with_etag(lambda etag: etag)
