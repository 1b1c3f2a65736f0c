"""An HTTP proxy before an S3 server: counts, holds, refuses, changes and loses as it is told."""

import http.client
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from tests.scoped import Scoped

DATA_OPERATIONS = {"PutObject", "UploadPart"}


@dataclass(frozen=True)
class Request:
    """One request as it came in; ``target`` is path and query.

    ``at_once``: the requests with data that were under way at its arrival, itself included.
    """

    method: str
    target: str
    length: int
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)
    at_once: int = field(default=0, compare=False)

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


@dataclass(frozen=True)
class Answer:
    """What the client is told; ``claimed``: the length that it is told, where that is not true."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    claimed: int | None = None

    @classmethod
    def error(cls, code: str, status: int, message: str = "") -> "Answer":
        """An error as S3 words it."""
        words = f"<Message>{escape(message)}</Message>" if message else ""
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code>{words}</Error>"
        return cls(status, text.encode(), {"Content-Type": "application/xml"})


Chooser = Callable[[Request], bool]


def operation(*names: str, containing: str = "") -> Chooser:
    """Choose requests by S3's name for them and a piece of their path."""
    return lambda request: request.operation in names and containing in request.target


@dataclass
class Trouble:
    """What is done to the requests that ``chooser`` picks, ``times`` in all."""

    chooser: Chooser
    kind: str  # answer, change, lose, hold; or drop, once it was forgotten
    times: int = 1
    answer: Callable[[Request], Answer] | None = None  # in place of the server's
    before: Callable[[Request], object] | None = None  # called before it is forwarded
    change: Callable[[Answer], Answer] | None = None  # made of the server's
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


class S3Proxy(Scoped):
    """Forwards to ``target`` (http://host:port); ``url`` is its own address."""

    def __init__(self, target: str, *, host: str = "127.0.0.1") -> None:
        self._target = urlsplit(target).netloc
        self._lock = threading.Lock()
        self._troubles: list[Trouble] = []
        self.requests: list[Request] = []
        self.accepted: list[Request] = []  # answered 200 by the server
        self.cut: list[Request] = []  # whose bodies did not come whole
        self.pause = 0.0  # seconds that each answer to data takes longer
        self._data_under_way = 0
        handler = type("Handler", (self.handler(),), {"owner": self})
        self._server: ThreadingHTTPServer = _Server((host, 0), handler)
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self._server.server_address[1]}"

    def handler(self) -> "type[Handler]":
        """Who reads requests and writes answers."""
        return Handler

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        for trouble in self._troubles:
            trouble.released.set()
        self._server.shutdown()
        self._server.server_close()

    def refuse(
        self, chooser: Chooser, *, times: int = 1, status: int = 503, code: str = "SlowDown"
    ) -> Trouble:
        """Answer with an error, the body read, nothing forwarded."""
        return self.answer(chooser, Answer.error(code, status), times=times)

    def answer(
        self, chooser: Chooser, answer: Answer | Callable[[Request], Answer], *, times: int = 1
    ) -> Trouble:
        """Answer so, the body read, nothing forwarded."""
        make = (lambda _: answer) if isinstance(answer, Answer) else answer
        return self._add(Trouble(chooser, "answer", times, answer=make))

    def before(
        self, chooser: Chooser, call: Callable[[Request], object], *, times: int = 1
    ) -> Trouble:
        """Call this before it is forwarded."""
        return self._add(Trouble(chooser, "change", times, before=call))

    def change(
        self, chooser: Chooser, change: Callable[[Answer], Answer], *, times: int = 1
    ) -> Trouble:
        """Forward, and make another answer of the server's."""
        return self._add(Trouble(chooser, "change", times, change=change))

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

    def take(self, method: str, target: str, headers: Mapping[str, str]) -> Request:
        """A request has come in."""
        named = {name.lower(): value for name, value in headers.items()}
        request = Request(method, target, int(named.get("content-length") or 0), named)
        with self._lock:
            if request.operation in DATA_OPERATIONS:
                self._data_under_way += 1
            return replace(request, at_once=self._data_under_way)

    def trouble_for(self, request: Request) -> Trouble | None:
        """Write a request down, and say what is to be done to it."""
        with self._lock:
            self.requests.append(request)
            for trouble in self._troubles:
                if trouble.times > 0 and trouble.chooser(request):
                    trouble.times -= 1
                    return trouble
        return None

    def answered(self, request: Request) -> None:
        """A request is over."""
        if request.operation in DATA_OPERATIONS:
            with self._lock:
                self._data_under_way -= 1

    def serve(self, request: Request, body: bytes) -> Answer:
        """Have the server answer; what it answers 200 is ``accepted``."""
        answer = exchange(self._target, request, body)
        if answer.status == http.client.OK:
            self.accepted.append(request)
        return answer


def exchange(netloc: str, request: Request, body: bytes) -> Answer:
    """Ask the server at host:port, and return what it answers."""
    connection = http.client.HTTPConnection(netloc, timeout=60)
    try:
        connection.request(request.method, request.target, body=body, headers=dict(request.headers))
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    claimed = int(answer.getheader("Content-Length") or 0) if request.method == "HEAD" else None
    own = {"connection", "transfer-encoding", "content-length"}
    headers = {name: value for name, value in answer.getheaders() if name.lower() not in own}
    return Answer(answer.status, data, headers, claimed)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # More clients than these at once would wait a second for the kernel to ask again.
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: "type[Handler]") -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that broke: many tests break them."""
        if not isinstance(sys.exc_info()[1], ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    # Otherwise a body waits 40 ms for the client's ACK of the headers.
    disable_nagle_algorithm = True
    owner: S3Proxy

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests ask ``requests``."""

    def _handle(self) -> None:
        request = self.owner.take(self.command, self.path, dict(self.headers))
        trouble = None
        try:
            trouble = self.owner.trouble_for(request)
            answer = self._serve(request, trouble)
        finally:
            # Before the answer: the client's next request may come sooner than we go on.
            self.owner.answered(request)
        if answer is None:
            self.close_connection = True
        else:
            self._answer(answer)
        if trouble:
            trouble.reached.set()

    def _serve(self, request: Request, trouble: Trouble | None) -> Answer | None:
        """What to answer; None: nothing, and the connection is closed."""
        body = b""
        with suppress(ConnectionError):
            body = self.rfile.read(request.length)
        if len(body) < request.length:
            self.owner.cut.append(request)
            return None
        if trouble and trouble.kind == "hold":
            trouble.reached.set()
            trouble.released.wait()
        if trouble and trouble.kind == "drop":
            return None
        if trouble and trouble.answer:
            answer = trouble.answer(request)
        else:
            if trouble and trouble.before:
                trouble.before(request)
            answer = self.owner.serve(request, body)
            if trouble and trouble.change:
                answer = trouble.change(answer)
        if request.operation in DATA_OPERATIONS:
            time.sleep(self.owner.pause)
        return None if trouble and trouble.kind == "lose" else answer

    def _answer(self, answer: Answer) -> None:
        size = len(answer.body) if answer.claimed is None else answer.claimed
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        # Whoever asked may have been killed meanwhile.
        with suppress(ConnectionError):
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
                self.close_connection |= size != len(answer.body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815 - the base class's names
