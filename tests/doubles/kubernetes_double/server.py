"""HTTPS on loopback: connections, and requests as what is asked of which resource."""

import socket
import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .answers import Answer


@dataclass(frozen=True)
class Incoming:
    """A request as it came in."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


# None: no answer, and the connection is closed.
Respond = Callable[[Incoming], Answer | None]


class Listener:
    """Listens on a port of its own, which stays the same while it is away."""

    def __init__(self, port: int, certificate: Path, key: Path, respond: Respond) -> None:
        self._port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._respond = respond
        self._server: _Server | None = None

    def open(self, *, closing: bool = False) -> None:
        """Accept connections; `closing`: close each at once."""
        assert self._server is None
        handler = type("Handler", (_Handler,), {"respond": staticmethod(self._respond)})
        context = None if closing else self._context
        self._server = server = _Server(("127.0.0.1", self._port), handler, context)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections, and break those that are open."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server.break_connections()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A client that was told nothing keeps its thread until the connections are broken.
    block_on_close = False
    # More clients than these at once would wait a second for the kernel to ask again.
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], handler: "type[_Handler]", context: ssl.SSLContext | None
    ) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._open: set[socket.socket] | None = set()  # None: all are broken
        super().__init__(address, handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's thread, so that a slow handshake stops nobody else."""
        if self._context is None:
            return
        with self._context.wrap_socket(request, server_side=True) as connection:
            with self._lock:
                if self._open is None:
                    return
                self._open.add(connection)
            try:
                super().finish_request(connection, client_address)
            finally:
                with self._lock:
                    if self._open is not None:
                        self._open.remove(connection)

    def break_connections(self) -> None:
        """Also those whose handshake is not over."""
        with self._lock:
            for connection in self._open or ():
                # SSLSocket's own would take the session from under the thread that reads.
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
            self._open = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that broke: many tests break them."""
        if not isinstance(sys.exc_info()[1], ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise a body waits 40 ms for the client's ACK of the headers.
    disable_nagle_algorithm = True
    respond: Respond

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests ask what was seen."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.respond(Incoming(self.command, self.path, headers, body))
        if answer is None:
            self.close_connection = True
            return
        # Whoever asked may have been killed meanwhile.
        with suppress(ConnectionError, ssl.SSLError):
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815 - the base class's names
