"""The status server's socket; what is answered there stands in ``pages``."""

import select
import socket
import threading

from .log import Log
from .metrics import Metrics

_BACKLOG = 5


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _serve(listener: socket.socket, metrics: Metrics, kind: str) -> None:
    # Imported once somebody asks: it takes a fifth of a small dump's time.
    select.select([listener], [], [])
    from .pages import serve  # noqa: PLC0415 - for the reason above

    serve(listener, metrics, kind)


def start(address: str, metrics: Metrics, log: Log, kind: str) -> None:
    """Listen in the background. A taken address is only worth a warning (facts)."""
    try:
        listener = _listen(address)
    except (OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        log.write(
            "warn",
            "dump.go:1162",
            "meet error when stopping dumpling http service",
            {"error": f"start listening: listen tcp {address}: bind: {reason.lower()}"},
        )
        return
    if address.endswith(":0"):
        # The binary keeps it to itself; a test that asked for a free port needs to know.
        port = listener.getsockname()[1]
        log.write("info", "http_handler.go:42", "status server listens", {"port": port})
    threading.Thread(target=_serve, args=(listener, metrics, kind), daemon=True).start()
