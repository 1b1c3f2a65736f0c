"""The two hot calls, against Ceph and against servers that answer as they are told."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials, ReadOnlyCredentials
from urllib3.exceptions import HTTPError, SSLError

from backup_manager.store.faults import AnswerError, code_of, passing, status_of
from backup_manager.store.headers import Headers
from backup_manager.store.settings import Pace, StoreOptions
from backup_manager.store.source import FileChangedError, SourceFile
from backup_manager.store.wire import Body, Wire
from tests.servers import Ceph
from tests.stores import new_store, use_keys


def body(data: bytes, *, sha256: str | None = None, md5: bytes | None = None) -> Body:
    pieces = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    return Body(lambda: pieces, len(data), sha256 or hashlib.sha256(data).hexdigest(), md5)


def secure(ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch, ca: Path | None) -> Wire:
    use_keys(monkeypatch, ceph.access_key, ceph.secret_key)
    if ca:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(ca))
    return new_store(ceph.https, bucket).wire()


@pytest.fixture(params=["http", "https"])
def wire(
    request: pytest.FixtureRequest, ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Wire:
    if request.param == "https":
        return secure(ceph, bucket, monkeypatch, ceph.ca_file)
    use_keys(monkeypatch, ceph.access_key, ceph.secret_key)
    return new_store(ceph.http, bucket).wire()


def stored(ceph: Ceph, bucket: str) -> dict[str, bytes]:
    client = ceph.client()
    items = client.list_objects_v2(Bucket=bucket).get("Contents", ())
    return {
        item["Key"]: client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
        for item in items
    }


# Against Ceph ------------------------------------------------------------------------------


def test_putting(wire: Wire, ceph: Ceph, bucket: str) -> None:
    files = {"a": b"", "b": b"x", "c/d": b"y" * 100_000}
    for key, data in files.items():
        md5 = hashlib.md5(data)
        assert md5.hexdigest() == wire.put(key, body(data, md5=md5.digest()))
    assert files == stored(ceph, bucket)


def test_odd_keys(wire: Wire, ceph: Ceph, bucket: str) -> None:
    keys = [
        "a b",
        "a+b",
        "a%2Fb",
        "a%20b",
        "100%",
        "ü€😀",
        "\"'`<>&",
        "x\ny\t",
        "a?b=c&d#e",
        "(a)[b]{c}",
        "~a*b!c$d,e;f:g@h=i",
        "back\\slash",
        "a//b",
        "dir/../x",
        "dir/./x",
        "...",
    ]
    for key in keys:
        wire.put(key, body(key.encode()))
    assert {key: key.encode() for key in keys} == stored(ceph, bucket)


def test_a_part(wire: Wire, ceph: Ceph, bucket: str) -> None:
    client = ceph.client()
    upload_id = client.create_multipart_upload(Bucket=bucket, Key="k ü")["UploadId"]
    etag = wire.upload_part("k ü", upload_id, 3, body(b"part"))
    parts = client.list_parts(Bucket=bucket, Key="k ü", UploadId=upload_id)["Parts"]
    assert [(3, 4, f'"{etag}"')] == [(p["PartNumber"], p["Size"], p["ETag"]) for p in parts]
    assert {} == stored(ceph, bucket)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"sha256": "0" * 64}, "XAmzContentSHA256Mismatch"), ({"md5": b"0" * 16}, "BadDigest")],
    ids=["sha256", "md5"],
)
def test_a_damaged_body_is_refused_by_the_store(
    wire: Wire, ceph: Ceph, bucket: str, wrong: dict[str, Any], code: str
) -> None:
    with pytest.raises(AnswerError) as caught:
        wire.put("k", body(b"data", **wrong))
    assert (code, 400, True) == (
        code_of(caught.value),
        status_of(caught.value),
        passing(caught.value),
    )
    assert {} == stored(ceph, bucket)
    # The connection is none the worse for it.
    wire.put("k", body(b"data"))
    assert {"k": b"data"} == stored(ceph, bucket)


def test_a_body_that_ends_early(wire: Wire, ceph: Ceph, bucket: str) -> None:
    def read() -> Iterator[bytes]:
        yield b"x" * 500
        raise FileChangedError

    sha256 = hashlib.sha256(b"x" * 1000).hexdigest()
    with pytest.raises(FileChangedError):
        wire.put("k", Body(read, 1000, sha256))
    assert {} == stored(ceph, bucket)
    wire.put("k", body(b"data"))
    assert {"k": b"data"} == stored(ceph, bucket)


def test_headers_of_new_objects(ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch, ceph.access_key, ceph.secret_key)
    wire = new_store(
        ceph.http, bucket, options={"acl": "public-read", "storage_class": "STANDARD"}
    ).wire()
    wire.put("k", body(b"data"))
    grants = ceph.client().get_object_acl(Bucket=bucket, Key="k")["Grants"]
    assert {"READ", "FULL_CONTROL"} == {grant["Permission"] for grant in grants}


def test_a_storage_class_that_the_store_has_not(
    ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_keys(monkeypatch, ceph.access_key, ceph.secret_key)
    wire = new_store(ceph.http, bucket, options={"storage_class": "NOPE"}).wire()
    with pytest.raises(AnswerError) as caught:
        wire.put("k", body(b"data"))
    assert not passing(caught.value)


def test_a_certificate_that_is_not_trusted(
    ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = secure(ceph, bucket, monkeypatch, None)
    with pytest.raises(SSLError) as caught:
        wire.put("k", body(b"data"))
    assert not passing(caught.value)


def test_cut_means_cut(wire: Wire, ceph: Ceph, bucket: str) -> None:
    wire.put("a", body(b"data"))
    wire.cut()
    with pytest.raises((HTTPError, OSError)):
        wire.put("b", body(b"data"))
    assert {"a"} == set(stored(ceph, bucket))


# Against servers of our own ----------------------------------------------------------------


class Canned:
    """Takes one request a connection, keeps its head, and answers as it was told."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.heads: list[list[str]] = []
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                head = []
                while line := lines.readline().strip():
                    head.append(line.decode())
                self.heads.append(head)
                lengths = [h for h in head if h.lower().startswith("content-length:")]
                lines.read(int(lengths[0].split(":")[1]) if lengths else 0)
                connection.sendall(self._answer)

    def close(self) -> None:
        self._socket.close()

    @property
    def headers(self) -> dict[str, str]:
        pairs = [line.split(": ", 1) for line in self.heads[-1][1:]]
        return {name.lower(): value for name, value in pairs}


OK = b'HTTP/1.1 200 OK\r\nETag: "abc"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
KEYS = Credentials("AK", "secret")
_OPTIONS = StoreOptions(acl="private", pace=Pace(requests_at_once=2))


def plain(port: int, credentials: Credentials = KEYS) -> Wire:
    return Wire(
        base_url=f"http://127.0.0.1:{port}/bucket/",
        credentials=credentials,
        region="us-east-1",
        ca_bundle=None,
        options=_OPTIONS,
        headers=Headers(_OPTIONS),
        aws=False,
    )


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(no_proxies: None) -> Iterator[Canned]:
    del no_proxies
    server = Canned(OK)
    yield server
    server.close()


def test_what_goes_over_the_line(server: Canned) -> None:
    assert "abc" == plain(server.port).put("a b", body(b"data", md5=b"0" * 16))
    assert "PUT /bucket/a%20b HTTP/1.1" == server.heads[0][0]
    headers = server.headers
    assert hashlib.sha256(b"data").hexdigest() == headers["x-amz-content-sha256"]
    assert ("4", "private", "MDAwMDAwMDAwMDAwMDAwMA==") == (
        headers["content-length"],
        headers["x-amz-acl"],
        headers["content-md5"],
    )
    assert "expect" not in headers
    assert "transfer-encoding" not in headers
    signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    assert {"content-md5", "host", "x-amz-acl", "x-amz-content-sha256", "x-amz-date"} == set(signed)


@pytest.mark.parametrize("length", [0, 10])
def test_of_a_file_that_has_changed_nothing_is_asked(
    server: Canned, tmp_path: Path, length: int
) -> None:
    """A request that nobody waits for may be carried out after the file's next one."""
    wire, path = plain(server.port), tmp_path / "file"
    path.write_bytes(b"x" * length)
    with SourceFile(path, content_md5=False) as source:
        before = source.body(0, length)
        path.write_bytes(b"another")
        with pytest.raises(FileChangedError):
            wire.put("file", before)
    wire.put("after", body(b"data"))
    assert ["PUT /bucket/after HTTP/1.1"] == [head[0] for head in server.heads if head]


def test_a_part_has_no_headers_of_an_object(server: Canned) -> None:
    plain(server.port).upload_part("k", "2~id/+=", 7, body(b"data"))
    assert "PUT /bucket/k?partNumber=7&uploadId=2~id%2F%2B%3D HTTP/1.1" == server.heads[0][0]
    assert "x-amz-acl" not in server.headers


class Rotating(Credentials):
    """Credentials that are replaced whenever anybody looks at them."""

    generation = 0

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        self.generation += 1
        name = str(self.generation)
        return ReadOnlyCredentials(f"AK{name}", f"secret{name}", f"token{name}")

    def __getattribute__(self, name: str) -> Any:
        if name in {"access_key", "secret_key", "token"}:
            return getattr(self.get_frozen_credentials(), name)
        return super().__getattribute__(name)


def test_a_request_is_signed_with_one_generation_of_credentials(server: Canned) -> None:
    """Another thread may refresh them between the key, the secret and the token."""
    credentials = Rotating("", "")
    wire = plain(server.port, credentials)
    for _ in range(2):
        credentials.generation = 40
        wire.put("k", body(b"data"))
        text = "\n".join(server.heads[-1])
        assert "Credential=AK41/" in text
        assert "X-Amz-Security-Token: token41" in text


def test_an_http_proxy_is_told_the_whole_address(
    server: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As botocore's own calls do; the store itself cannot be reached from here."""
    monkeypatch.setenv("HTTP_PROXY", f"user:pw@127.0.0.1:{server.port}")
    monkeypatch.setenv("http_proxy", f"user:pw@127.0.0.1:{server.port}")
    wire = Wire(
        base_url="http://store.invalid:7480/bucket/",
        credentials=KEYS,
        region="us-east-1",
        ca_bundle=None,
        options=StoreOptions(),
        headers=Headers(StoreOptions()),
        aws=False,
    )
    assert "abc" == wire.put("a b/ü", body(b"data"))
    assert "PUT http://store.invalid:7480/bucket/a%20b/%C3%BC HTTP/1.1" == server.heads[0][0]
    assert ("store.invalid:7480", "Basic dXNlcjpwdw==") == (
        server.headers["host"],
        server.headers["proxy-authorization"],
    )


def test_no_proxy_is_respected(server: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "abc" == plain(server.port).put("k", body(b"data"))


@pytest.mark.parametrize(
    ("answer", "status", "code", "message", "may_pass"),
    [
        (b"200 OK\r\n", 200, "NoETag", "the answer has no ETag", True),
        (b"503 Busy\r\n\r\n<Error><Code>SlowDown</Code></Error>", 503, "SlowDown", "", True),
        (b"500 No\r\n\r\nplain text", 500, "500", "", True),
        (b"429 No\r\n", 429, "429", "", True),
        (b"301 Moved\r\nLocation: http://127.0.0.1:1/\r\n", 301, "301", "", False),
        (
            b"403 No\r\n\r\n<Error><Code>AccessDenied</Code><Message>Go \xff</Message></Error>",
            403,
            "AccessDenied",
            "Go \ufffd",
            False,
        ),
        (b"404 No\r\n\r\n<Error><Code>NoSuchBucket</Code></Error>", 404, "NoSuchBucket", "", False),
    ],
)
def test_answers(
    no_proxies: None, answer: bytes, status: int, code: str, message: str, may_pass: bool
) -> None:
    del no_proxies
    head, separator, text = answer.partition(b"\r\n\r\n")
    head = head.removesuffix(b"\r\n") + b"\r\nConnection: close\r\n\r\n"
    server = Canned(b"HTTP/1.1 " + head + (text if separator else b""))
    with pytest.raises(AnswerError) as caught:
        plain(server.port).put("k", body(b"data"))
    error = caught.value
    assert (status, code, message, may_pass) == (
        error.status,
        error.code,
        error.message,
        passing(error),
    )
    server.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 O",
        b'HTTP/1.1 200 OK\r\nETag: "ab',
        b'HTTP/1.1 200 OK\r\nETag: "',
        b"no http at all\r\n\r\n",
    ],
)
def test_lines_that_break_may_pass(no_proxies: None, answer: bytes) -> None:
    del no_proxies
    server = Canned(answer)
    with pytest.raises((AnswerError, HTTPError, OSError)) as caught:
        plain(server.port).put("k", body(b"data"))
    assert passing(caught.value)
    server.close()


def test_nobody_listens(no_proxies: None) -> None:
    del no_proxies
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises((HTTPError, OSError)) as caught:
        plain(port).put("k", body(b"data"))
    assert passing(caught.value)
