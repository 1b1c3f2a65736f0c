"""The open connections of the hot calls, which can be cut when the run is asked to end."""

import socket
import threading
import weakref
from typing import Any

_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)  # Linux has it


class Connections:
    """All open connections, so that they can be cut from another thread."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._cut = False

    def opened(self, connection: Any) -> None:
        # For one block of a body, not for all of it: a slow line is no stall.
        connection.sock.settimeout(self._timeout)
        with self._lock:
            if not self._cut:
                self._open.add(connection)
                return
        connection.close()
        raise ConnectionAbortedError("the run is ending")

    def cut(self) -> None:
        with self._lock:
            self._cut = True
            connections = list(self._open)
        for connection in connections:
            sock = connection.sock
            if isinstance(sock, socket.socket):
                try:
                    # Of the plain socket: TLS's own shutdown would take its state from under
                    # the thread that uses it.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
                except OSError:
                    continue  # it was closed already


def tracked(base: Any, connections: Connections) -> Any:
    """Return a class of urllib3's connections that keeps account of those that are open."""

    class Tracked(base):  # type: ignore[misc]  # a class that is known at run time only
        def connect(self) -> None:
            super().connect()
            connections.opened(self)

        def getresponse(self, *args: Any, **named: Any) -> Any:
            # A server that sends headers and body one by one waits for our ACK between them, which
            # Linux holds back for 40 ms otherwise (seen with Ceph's gateway: each GET took that).
            if isinstance(self.sock, socket.socket) and _QUICK_ACK is not None:
                self.sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
            return super().getresponse(*args, **named)

    return Tracked
