"""An HTTP proxy before an S3 server: counts, holds, refuses and loses what it is told to."""

import http.client
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_BLOCK = 256 << 10


@dataclass(frozen=True)
class Request:
    """One request as it came in; ``target`` is path and query."""

    method: str
    target: str
    length: int

    @property
    def operation(self) -> str:
        """S3's name for what it asks, as far as tests need it."""
        query = urlsplit(self.target).query
        names = {
            ("PUT", True): "UploadPart",
            ("POST", True): "CompleteMultipartUpload",
            ("DELETE", True): "AbortMultipartUpload",
        }
        if "uploadId=" in query:
            return names.get((self.method, True), "ListParts")
        if self.method == "POST":
            return "CreateMultipartUpload" if "uploads" in query else "DeleteObjects"
        if self.method == "GET" and "uploads" in query:
            return "ListMultipartUploads"
        if self.method == "GET" and "list-type=2" in query:
            return "ListObjectsV2"
        names_plain = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject"}
        return names_plain.get(self.method, "DeleteObject")


Chooser = Callable[[Request], bool]


def operation(*names: str, containing: str = "") -> Chooser:
    """Choose requests by S3's name for them and a piece of their path."""
    return lambda request: request.operation in names and containing in request.target


@dataclass
class Trouble:
    """What is done to the requests that ``chooser`` picks, ``times`` in all."""

    chooser: Chooser
    kind: str  # refuse, lose, hold; or drop, once it was forgotten
    times: int = 1
    status: int = 503
    code: str = "SlowDown"
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


class S3Proxy:
    """Forwards to ``target`` (http://host:port); ``url`` is its own address."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target).netloc
        self._lock = threading.Lock()
        self._troubles: list[Trouble] = []
        self.requests: list[Request] = []
        self.accepted: list[Request] = []  # answered 200 by the server
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for trouble in self._troubles:
            trouble.released.set()
        self._server.shutdown()
        self._server.server_close()

    def refuse(
        self, chooser: Chooser, *, times: int = 1, status: int = 503, code: str = "SlowDown"
    ) -> Trouble:
        """Answer with an error, the body read, nothing forwarded."""
        return self._add(Trouble(chooser, "refuse", times, status, code))

    def lose(self, chooser: Chooser, *, times: int = 1) -> Trouble:
        """Forward, then cut the connection in place of the answer."""
        return self._add(Trouble(chooser, "lose", times))

    def hold(self, chooser: Chooser, *, times: int = 1_000_000) -> Trouble:
        """Stand still before forwarding, until ``released`` is set."""
        return self._add(Trouble(chooser, "hold", times))

    def forget(self) -> None:
        """Do nothing wrong any more; requests that are held are dropped unforwarded."""
        with self._lock:
            for trouble in self._troubles:
                trouble.kind = "drop" if trouble.kind == "hold" else trouble.kind
                trouble.times = 0
                trouble.released.set()

    def _add(self, trouble: Trouble) -> Trouble:
        with self._lock:
            self._troubles.append(trouble)
        return trouble

    def count(self, *names: str) -> int:
        """How many requests of these kinds came in."""
        return sum(request.operation in names for request in list(self.requests))

    @property
    def bytes_accepted(self) -> int:
        """The bytes of all bodies of PutObject and UploadPart that the server took."""
        return sum(
            request.length
            for request in list(self.accepted)
            if request.operation in {"PutObject", "UploadPart"}
        )

    def trouble_for(self, request: Request) -> Trouble | None:
        with self._lock:
            self.requests.append(request)
            for trouble in self._troubles:
                if trouble.times > 0 and trouble.chooser(request):
                    trouble.times -= 1
                    return trouble
        return None

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._target, timeout=60)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: S3Proxy

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests ask ``requests``."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, self.path, length)
        trouble = self.owner.trouble_for(request)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        if trouble and trouble.kind == "hold":
            trouble.reached.set()
            trouble.released.wait()
        if trouble and trouble.kind == "drop":
            self.close_connection = True
            return
        if trouble and trouble.kind == "refuse":
            self._refuse(trouble)
            trouble.reached.set()
            return
        connection = self.owner.connect()
        try:
            connection.request(self.command, self.path, body=body, headers=dict(self.headers))
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status == http.client.OK:
            self.owner.accepted.append(request)
        if trouble and trouble.kind == "lose":
            trouble.reached.set()
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        size = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(size or 0))
        self.end_headers()
        if self.command != "HEAD":
            # Whoever asked may have been killed meanwhile.
            with suppress(ConnectionError):
                self.wfile.write(data)

    def _refuse(self, trouble: Trouble) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{trouble.code}</Code></Error>".encode()
        self.send_response_only(trouble.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815 - the base class's names
