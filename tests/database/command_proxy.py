"""A proxy that knows the protocol far enough to count commands, and to break off at one of them."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.scoped import Scoped

_HEAD = 4  # three bytes of length, one of the sequence
_LONGEST = (1 << 24) - 1
_QUIT = 1


@dataclass(frozen=True)
class Command:
    """One command of a client: a statement, or what PyMySQL sends of itself."""

    number: int  # from 1, over all connections
    ours: bool  # of backup-manager, not of Dumpling
    text: str
    port: int  # from which the server is asked: its process list names it


Chooser = Callable[[Command], bool]


class CommandProxy(Scoped):
    """Forwards to host:port; what it does at a command is set from the test.

    ``gone_from``: from the first command that it picks on, every connection is cut and new ones
    are refused. ``cut``: the connection of a command that it picks is cut, before it is forwarded
    or, with ``forward``, after the server has done it; ``refusals`` new connections are refused
    then. ``at``: called with each command before it is forwarded.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()[:2]
        self._lock = threading.Lock()
        self._lines: set[socket.socket] = set()
        self.commands: list[Command] = []
        self.gone_from: Chooser | None = None
        self.cut: Chooser | None = None
        self.forward = False
        self.refusals = 0
        self.at: Callable[[Command], object] | None = None
        self.gone = threading.Event()
        self.refused = 0
        self._to_refuse = 0

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._listener.close()
        self._cut_all()

    def go(self) -> None:
        """From now on every connection is cut, and new ones are refused."""
        self.gone.set()
        self._cut_all()

    def back(self) -> None:
        """From now on it forwards all."""
        self.gone_from = self.cut = self.at = None
        self.gone.clear()

    def _cut_all(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, set()
        for line in lines:
            _close(line)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                refuse = self.gone.is_set() or self._to_refuse > 0
                self._to_refuse -= refuse and not self.gone.is_set()
                self.refused += refuse
            if refuse:
                _close(client)
                continue
            server = socket.create_connection(self._target, 10)
            with self._lock:
                self._lines |= {client, server}
            swallow = threading.Event()
            for target in (self._upstream, self._downstream):
                threading.Thread(target=target, args=(client, server, swallow), daemon=True).start()

    def _upstream(
        self, client: socket.socket, server: socket.socket, swallow: threading.Event
    ) -> None:
        ours = False
        begins = True  # a packet after one of the greatest length goes on with it
        with suppress(OSError):
            while head := _exactly(client, _HEAD):
                length, sequence = int.from_bytes(head[:3], "little"), head[3]
                body = _exactly(client, length)
                if sequence == 0 and begins and body[:1] != bytes([_QUIT]):
                    if self._ends(ours, _text(body), server, swallow):
                        break
                elif sequence:
                    ours = ours or b"backup-manager" in body
                begins = length < _LONGEST
                server.sendall(head + body)
        if not swallow.is_set():
            _close(server)
            _close(client)

    def _ends(self, ours: bool, text: str, server: socket.socket, swallow: threading.Event) -> bool:
        """Note a command; tell whether its connection ends before it is forwarded."""
        with self._lock:
            number = len(self.commands) + 1
            command = Command(number, ours, text, server.getsockname()[1])
            self.commands.append(command)
            cut = bool(self.cut and self.cut(command))
            self._to_refuse += self.refusals if cut else 0
            if self.gone_from and self.gone_from(command):
                self.gone.set()
        if self.at:
            self.at(command)
        if self.gone.is_set():
            self._cut_all()
            return True
        if cut and self.forward:
            swallow.set()
        return cut and not self.forward

    def _downstream(
        self, client: socket.socket, server: socket.socket, swallow: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if swallow.is_set():
                    break
                client.sendall(data)
        _close(client)
        _close(server)


def _text(body: bytes) -> str:
    return body[1:].decode("utf-8", "replace")


def _exactly(line: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = line.recv(length - len(data))
        if not piece:
            return b""
        data += piece
    return data


def _close(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
