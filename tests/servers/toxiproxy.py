"""Toxiproxy: TCP connections that are slow, cut, reset or silent. Built from source, once."""

import fcntl
import hashlib
import http.client
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tests.scoped import Scoped

from .ports import free_port, is_open
from .process import TAIL_LINES, Process, ServerError

_SOURCE = Path(__file__).with_name("go")  # its go.mod pins the version
_PACKAGE = "github.com/Shopify/toxiproxy/v2/cmd/server"
_CACHE = Path(__file__).resolve().parents[2] / ".cache"
_BUILD_SECONDS = 600
_ERRORS = 400


def find_go() -> str | None:
    """The Go tool: on PATH, or where the archive of its makers is unpacked."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/go/bin"])
    return shutil.which("go", path=places)


def _build() -> Path:
    """The server's program, built if that has not been done since the versions last changed."""
    pinned = hashlib.sha256((_SOURCE / "go.sum").read_bytes()).hexdigest()
    binary = _CACHE / f"toxiproxy-{pinned[:12]}"
    _CACHE.mkdir(exist_ok=True)
    # Tests run in several processes; one of them builds.
    with (_CACHE / "toxiproxy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if binary.exists():
            return binary
        go = find_go()
        if go is None:
            raise ServerError("go is not installed: see scripts/install-packages")
        made = binary.with_suffix(".new")
        argv = [go, "build", "-mod=readonly", "-buildvcs=false", "-trimpath", f"-o={made}"]
        done = subprocess.run(
            [*argv, _PACKAGE],
            cwd=_SOURCE,
            # Without C in it no C compiler is needed.
            env=os.environ | {"CGO_ENABLED": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
        if done.returncode:
            text = "\n".join((done.stdout + done.stderr).splitlines()[-TAIL_LINES:])
            raise ServerError(f"building {_PACKAGE} ended with {done.returncode}:\n{text}")
        made.rename(binary)
    return binary


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
