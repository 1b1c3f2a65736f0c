"""What the status server answers: /metrics, and pprof's command line, which shows the password."""

import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .metrics import Metrics

FOREIGN = (
    "# HELP node_load1 1m load average.\n# TYPE node_load1 gauge\nnode_load1 0.21\n"
    "# TYPE http_requests_total counter\nhttp_requests_total 1027\n"
)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_arguments: object) -> None:
        """Say nothing of a client that has gone: Go does not."""


def _handler(metrics: Metrics, kind: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if kind == "silent":
                time.sleep(3600)
            elif self.path == "/metrics":
                text = FOREIGN if kind == "foreign" else metrics.exposition()
                self._answer(200, text.encode(), "text/plain; version=0.0.4; charset=utf-8")
            elif self.path == "/debug/pprof/cmdline" and kind != "foreign":
                self._answer(200, "\0".join(sys.argv).encode("utf-8", "surrogateescape"))
            else:
                self._answer(404, b"404 page not found\n")

        def _answer(self, code: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler


def serve(listener: socket.socket, metrics: Metrics, kind: str) -> None:
    """Answer whoever comes to the socket, for ever."""
    server = _Server(listener.getsockname()[:2], _handler(metrics, kind), bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.serve_forever()
