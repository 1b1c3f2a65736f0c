"""Where metrics are told: a file that node-exporter collects, and a Pushgateway.

Each may take long and fail; `telling` sees to it that nobody waits for that. What can be told only
with prometheus-client is imported at the first telling, in the thread that tells.
"""

import base64
import http.client
import os
import stat
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from backup_manager.telling import State

JOB = "backup-manager"
REQUEST_SECONDS = 3.0
# How long the end of a run waits until it has been told here.
PATIENCE_SECONDS = 5.0
_MOST_BYTES = 1 << 20
_SAID_BYTES = 500


class TextFile:
    """A file for node-exporter's textfile collector: replaced as a whole, readable by everybody.

    What it said of the last run and the last backup stays until this run knows better.
    """

    patience_seconds = PATIENCE_SECONDS

    def __init__(self, path: Path, labels: Mapping[str, str]) -> None:
        self.name = f"the metrics file {path}"
        self._path = path
        self._labels = labels
        self._earlier: dict[str, float] | None = None

    def tell(self, state: State) -> None:
        from backup_manager.metrics.text import render  # noqa: PLC0415 - see above

        if self._earlier is None:
            self._earlier = self._read_earlier()
        self._replace(render(state, self._labels, self._earlier))

    def _read_earlier(self) -> dict[str, float]:
        from backup_manager.metrics.text import earlier  # noqa: PLC0415 - see above

        # Not to wait for the other end of a FIFO.
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return {}
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError("it is there and is no regular file")
            text = file.read(_MOST_BYTES)
        # Damaged, or somebody else's: it is replaced all the same.
        with suppress(ValueError):
            return earlier(text.decode(), self._labels)
        return {}

    def _replace(self, text: bytes) -> None:
        # In the same directory, to be renamed; its name does not end in .prom, so it is not
        # collected.
        descriptor, scratch = tempfile.mkstemp(
            prefix=f".{self._path.name}.", suffix=".new", dir=self._path.parent
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
                # The collector runs as another user; our umask is 077.
                os.fchmod(descriptor, 0o644)
            Path(scratch).rename(self._path)
        except OSError:
            with suppress(OSError):
                Path(scratch).unlink()
            raise


class Pushgateway:
    """A Prometheus Pushgateway at ``url``; ``auth`` is ``user:password``.

    The labels are the grouping key. POST replaces only the metrics that are sent, so what this run
    does not know (the last success, above all) stays as an earlier one has left it.
    """

    patience_seconds = PATIENCE_SECONDS

    def __init__(self, url: str, labels: Mapping[str, str], auth: str = "") -> None:
        self.name = f"the Pushgateway {url}"
        self._url = url
        self._labels = labels
        self._auth = auth

    def tell(self, state: State) -> None:
        from prometheus_client.exposition import pushadd_to_gateway  # noqa: PLC0415 - see above

        from backup_manager.metrics.text import Told  # noqa: PLC0415 - see above

        pushadd_to_gateway(
            self._url,
            job=JOB,
            registry=Told(state, self._labels),
            grouping_key=dict(self._labels),
            timeout=REQUEST_SECONDS,
            handler=self._handler,
        )

    def _handler(
        self,
        url: str,
        method: str,
        timeout: float | None,
        headers: Sequence[tuple[str, str]],
        data: bytes,
    ) -> Callable[[], None]:
        request = urllib.request.Request(url, data, dict(headers), method=method)  # noqa: S310 - settings take http and https only
        if self._auth:
            credentials = base64.b64encode(self._auth.encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {credentials}")

        def push() -> None:
            opener = urllib.request.build_opener(_NoRedirect)
            try:
                opener.open(request, timeout=timeout).close()
            except urllib.error.HTTPError as error:
                raise OSError(_said(error)) from error

        return push


def _said(error: urllib.error.HTTPError) -> str:
    with error:
        said = ""
        with suppress(OSError, http.client.HTTPException):
            said = " ".join(error.read(_SAID_BYTES).decode(errors="replace").split())
    return f"it answers {error.code} {error.reason}" + (f": {said}" if said else "")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST becomes a GET, which would look like a success."""

    def redirect_request(self, *_: Any) -> None:
        return None
