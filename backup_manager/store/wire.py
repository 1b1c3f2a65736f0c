"""The hot calls, PutObject, UploadPart and GetObject: botocore's signature over urllib3.

A third of the CPU time of boto3's own way, constant memory, no ``Expect: 100-continue`` round trip,
and connections that can be cut when the run is asked to end. The signature holds the body's
SHA-256, so the store itself refuses a damaged body.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import ProxyConfiguration, get_cert_path
from botocore.utils import get_environ_proxies

from backup_manager.store.bandwidth import Limiter
from backup_manager.store.connections import Connections, tracked
from backup_manager.store.faults import AnswerError
from backup_manager.store.headers import Headers, hides_md5
from backup_manager.store.settings import StoreOptions

_ERROR_BYTES = 64 << 10
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")
_MD5 = re.compile("[0-9a-f]{32}")
_HTTP_OK, _HTTP_PART = 200, 206
_BLOCK_BYTES = 256 << 10


@dataclass(frozen=True)
class Body:
    """What is sent: ``length`` bytes with that SHA-256 (hex), read anew for each attempt."""

    read: Callable[[], Iterable[bytes]]
    length: int
    sha256: str
    md5: bytes | None = None


_NO_BODY = Body(read=lambda: (), length=0, sha256=hashlib.sha256(b"").hexdigest())


@dataclass(frozen=True)
class Got:
    """What GetObject answered: all that was asked for, or ``limit`` bytes and one more."""

    data: bytes
    headers: Mapping[str, str]


class _Signer(S3SigV4Auth):
    """Signs with a hash of the body that is known already."""

    def payload(self, request: AWSRequest) -> str:
        return str(request.context["sha256"])


class Wire:
    """Sends bodies to one bucket, and reads from it. Safe to use from every thread."""

    def __init__(
        self,
        *,
        base_url: str,
        credentials: Credentials,
        region: str,
        ca_bundle: str | bool | None,
        options: StoreOptions,
        headers: Headers,
        aws: bool,
    ) -> None:
        """``base_url`` ends where an object's key begins.

        ``ca_bundle``: False checks no certificate. ``aws``: ETags are MD5s under SSE-S3.
        """
        self._base = urlsplit(base_url)
        self._credentials = credentials
        self._region = region
        self._headers = headers
        self._aws = aws
        self._compare = options.compare_etags and not options.encryption.hides_md5
        # For an answer, or for one block of a body to go out.
        self._timeout = options.timeout_seconds
        self._connect_seconds = min(options.connect_seconds, self._timeout)
        self._connections = Connections(self._timeout)
        bandwidth = options.pace.bandwidth
        self._limiter = Limiter(bandwidth) if bandwidth else None
        self.bytes_moved = 0  # of bodies, sent and read, whatever became of them
        self._pool = self._open_pool(ca_bundle, options.pace.requests_at_once)

    def _open_pool(self, ca_bundle: str | bool | None, size: int) -> Any:
        base = f"{self._base.scheme}://{self._base.netloc}"
        options: dict[str, Any] = {
            "maxsize": size,
            "retries": False,
            "timeout": urllib3.Timeout(connect=self._connect_seconds, read=self._timeout),
        }
        if self._base.scheme == "https" and ca_bundle is False:
            options["cert_reqs"] = "CERT_NONE"
        elif self._base.scheme == "https":
            options["ca_certs"] = ca_bundle or get_cert_path(True)
        proxies = ProxyConfiguration(get_environ_proxies(base))
        proxy = proxies.proxy_url_for(base)
        if proxy:
            headers = proxies.proxy_headers_for(proxy)
            manager: urllib3.PoolManager = urllib3.ProxyManager(
                proxy, proxy_headers=headers, **options
            )
        else:
            manager = urllib3.PoolManager(**options)
        # A proxy for plain HTTP is told the whole address; for HTTPS it makes a tunnel.
        self._origin = base if proxy and self._base.scheme == "http" else ""
        pool = manager.connection_from_url(base)
        self._manager = manager  # it closes its pools when it is collected
        pool.ConnectionCls = tracked(pool.ConnectionCls, self._connections)
        return pool

    def put(self, key: str, body: Body, *, locked: bool = True) -> str:
        """PutObject; return the object's ETag. Raises the errors of ``faults.FAULTS``.

        ``locked``: with Object Lock, where it is set.
        """
        return self._send(key, "", body, self._headers.of("PutObject", locked=locked))

    def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> str:
        """UploadPart; return the part's ETag. Raises the errors of ``faults.FAULTS``."""
        query = f"partNumber={number}&uploadId={quote(upload_id, safe='')}"
        return self._send(key, query, body, self._headers.of("UploadPart"))

    def get(self, key: str, span: tuple[int, int] | None = None, *, limit: int) -> Got:
        """GetObject; ``span`` is the first byte and how many, else it is the whole object.

        Reads at most ``limit`` bytes and one, which shows that there are more. Raises the errors
        of ``faults.FAULTS``, among them an AnswerError for a part that is not the one asked for.
        """
        headers = self._headers.of("GetObject")
        if span:
            headers["Range"] = f"bytes={span[0]}-{span[0] + span[1] - 1}"
        answer = self._request("GET", self._path(key), _NO_BODY, headers)
        data = b""
        try:
            if answer.status not in {_HTTP_OK, _HTTP_PART}:
                raise _answer_error(answer, answer.read(_ERROR_BYTES), "GetObject")
            data = b"".join(self._read(answer, limit + 1))
            _check_span(answer, span, len(data))
        finally:
            if not 0 < len(data) <= limit:
                answer.close()  # it may not have been read to its end
            answer.release_conn()
        return Got(data, answer.headers)

    def _read(self, answer: Any, most: int) -> Iterator[bytes]:
        while most and (block := answer.read(min(_BLOCK_BYTES, most))):
            if self._limiter:
                self._limiter.take(len(block))
            self.bytes_moved += len(block)
            most -= len(block)
            yield block

    def cut(self) -> None:
        """Break every connection: calls under way fail now, and no new one begins."""
        self._connections.cut()
        if self._limiter:
            self._limiter.end()

    def _send(self, key: str, query: str, body: Body, headers: Mapping[str, str]) -> str:
        path = self._path(key)
        answer = self._request("PUT", f"{path}?{query}" if query else path, body, headers)
        text = answer.read(_ERROR_BYTES)
        if answer.status != _HTTP_OK:
            # The store may not have read the whole body: nothing more can go over this connection.
            answer.close()
            raise _answer_error(answer, text, "PutObject")
        answer.release_conn()
        etag = str(answer.headers.get("ETag", ""))
        # An answer that was cut in its headers is taken for a whole one by http.client.
        if (etag.startswith('"') and not etag.endswith('"', 1)) or not etag.strip('"'):
            kind = str(answer.headers.get("Content-Type", ""))
            raise AnswerError(answer.status, "NoETag", "the answer has no ETag", kind)
        etag = etag.strip('"')
        if self._compare and body.md5 and not hides_md5(answer.headers, aws=self._aws):
            _check_etag(answer.status, etag, body.md5)
        return etag

    def _path(self, key: str) -> str:
        return self._base.path + quote(key, safe="/~")

    def _request(self, method: str, target: str, body: Body, headers: Mapping[str, str]) -> Any:
        return self._pool.urlopen(
            method,
            self._origin + target,
            body=self._paced(body.read()) if body.length or method == "PUT" else None,
            headers=self._sign(method, target, body, headers),
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )

    def _paced(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        for block in blocks:
            if self._limiter:
                self._limiter.take(len(block))
            yield block
            self.bytes_moved += len(block)

    def _sign(
        self, method: str, target: str, body: Body, headers: Mapping[str, str]
    ) -> dict[str, str]:
        url = f"{self._base.scheme}://{self._base.netloc}{target}"
        request = AWSRequest(method=method, url=url, headers=dict(headers))
        if body.md5 is not None:
            request.headers["Content-MD5"] = base64.b64encode(body.md5).decode()
        request.context["sha256"] = body.sha256
        # Asked for each time, since they are refreshed when they are about to end; frozen, since
        # another thread may refresh them between the key and the secret.
        credentials = self._credentials.get_frozen_credentials()
        _Signer(credentials, "s3", self._region).add_auth(request)
        signed = {name: str(value) for name, value in request.headers.items()}
        if method == "PUT":
            # No part of the signature; without it urllib3 would send chunks.
            signed["Content-Length"] = str(body.length)
        return signed


def _check_etag(status: int, etag: str, md5: bytes) -> None:
    """Raise AnswerError for an ETag that is an MD5, and not the one of what was sent."""
    if _MD5.fullmatch(etag) and etag != md5.hex():
        raise AnswerError(status, "ETagMismatch", "the ETag is another MD5 than that of the body")


def _check_span(answer: Any, span: tuple[int, int] | None, whole: int) -> None:
    """Raise AnswerError where the answer is another part of the object than was asked for."""
    if span is None:
        return
    first, count = span
    said = str(answer.headers.get("Content-Range", ""))
    meant = f"bytes {first}-{first + count - 1}/"
    # Not by the status: rclone's server answers 200 to a part (seen). And who knows no ranges
    # answers the whole, which may be just what was asked for.
    if whole == count and (said.startswith(meant) if said else first == 0):
        return
    raise AnswerError(
        answer.status, "RangeMismatch", f"asked for {meant} and got {said or 'the whole object'}"
    )


def _answer_error(answer: Any, text: bytes, operation: str) -> AnswerError:
    code, message = _CODE.search(text), _MESSAGE.search(text)
    return AnswerError(
        answer.status,
        code[1].decode(errors="replace") if code else str(answer.status),
        message[1].decode(errors="replace") if message else "",
        str(answer.headers.get("Content-Type", "")),
        operation,
    )
