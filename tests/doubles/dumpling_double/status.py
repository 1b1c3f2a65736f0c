"""The status server: /metrics, and pprof's command line, which shows the password."""

import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .log import Log
from .metrics import Metrics

FOREIGN = (
    "# HELP node_load1 1m load average.\n# TYPE node_load1 gauge\nnode_load1 0.21\n"
    "# TYPE http_requests_total counter\nhttp_requests_total 1027\n"
)


class _Server(ThreadingHTTPServer):
    daemon_threads = True


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


def start(address: str, metrics: Metrics, log: Log, kind: str) -> None:
    """Listen in the background. A taken address is only worth a warning (facts)."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        if ":" in host:
            _Server.address_family = socket.AF_INET6
        server = _Server((host, int(port)), _handler(metrics, kind))
    except (OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        log.write(
            "warn",
            "dump.go:1162",
            "meet error when stopping dumpling http service",
            {"error": f"start listening: listen tcp {address}: bind: {reason.lower()}"},
        )
        return
    if port == "0":
        # The binary keeps it to itself; a test that asked for a free port needs to know.
        log.write(
            "info", "http_handler.go:42", "status server listens", {"port": server.server_port}
        )
    threading.Thread(target=server.serve_forever, daemon=True).start()
