"""Toxiproxy: TCP connections that are slow, cut, reset or silent. Built from source, once."""

import http.client
import json
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tests.scoped import Scoped

from .golang import build_once, pinned
from .ports import free_port, is_open
from .process import Process, ServerError

_SOURCE = Path(__file__).with_name("go")  # its go.mod pins the version
_PACKAGE = "github.com/Shopify/toxiproxy/v2/cmd/server"
_CACHE = Path(__file__).resolve().parents[2] / ".cache"
_ERRORS = 400


def _build() -> Path:
    """The server's program, built if that has not been done since the versions last changed."""
    binary = _CACHE / f"toxiproxy-{pinned([_SOURCE / 'go.sum'])}"
    return build_once(binary, _SOURCE, _PACKAGE)


class Toxiproxy(Scoped):
    """One server with any number of proxies; its log is in `directory`.

    with Toxiproxy(directory) as toxiproxy:
        line = toxiproxy.proxy("store", ceph.http)
        line.toxic("latency", latency=1000)          # of what the client sends
        line.toxic("bandwidth", "downstream", rate=125)
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._port = free_port()
        self._process: Process | None = None

    def start(self) -> None:
        """Start and wait until its API answers."""
        if self._process is None:
            argv = [str(_build()), "-host=127.0.0.1", f"-port={self._port}"]
            self._process = Process(argv, log=self.directory / "toxiproxy.log")
            self._process.wait_ready(lambda: is_open(self._port))

    def stop(self) -> None:
        """SIGTERM, and after 1 s SIGKILL."""
        if self._process is not None:
            self._process.stop(grace=1)
            self._process = None

    def proxy(self, name: str, upstream: str) -> "Line":
        """A new proxy before http://host:port, on a port of its own."""
        port = free_port()
        target = urlsplit(upstream).netloc
        self.call(
            "POST", "/proxies", name=name, listen=f"127.0.0.1:{port}", upstream=target, enabled=True
        )
        return Line(self, name, f"http://127.0.0.1:{port}")

    def call(self, method: str, path: str, **fields: Any) -> None:
        """Ask the API; ServerError with its words if it refuses."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, json.dumps(fields) if fields else None)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        if answer.status >= _ERRORS:
            raise ServerError(f"toxiproxy refuses {method} {path}: {text}")


Stream = Literal["upstream", "downstream"]


class Line:
    """One proxy: `url` is where a client finds the server behind it."""

    def __init__(self, server: Toxiproxy, name: str, url: str) -> None:
        self._server = server
        self._path = f"/proxies/{name}"
        self.url = url

    def toxic(self, kind: str, stream: Stream = "upstream", **attributes: int) -> None:
        """Do this to every connection, those that are open too, in one direction.

        Toxiproxy's own kinds and attributes, such as latency (`latency`, ms), bandwidth (`rate`,
        KB/s), reset_peer (`timeout`, ms) and timeout: nothing gets through any more, and after
        `timeout` ms (0: never) the connection is closed.
        """
        name = f"{kind}_{stream}"
        fields = {"name": name, "type": kind, "stream": stream, "attributes": attributes}
        self._server.call("POST", f"{self._path}/toxics", **fields)

    def remove(self, kind: str, stream: Stream = "upstream") -> None:
        """Take a toxic away again."""
        self._server.call("DELETE", f"{self._path}/toxics/{kind}_{stream}")

    def disable(self) -> None:
        """Close every connection, and refuse new ones."""
        self._server.call("POST", self._path, enabled=False)

    def enable(self) -> None:
        self._server.call("POST", self._path, enabled=True)
