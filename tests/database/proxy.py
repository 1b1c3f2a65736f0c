"""A TCP proxy that loses answers, hangs, or dribbles, when told to."""

import socket
import threading
from contextlib import suppress

from tests.scoped import Scoped
from tests.servers import free_port


class Proxy(Scoped):
    """Forwards to host:port; what it does wrong is set from the test."""

    def __init__(self, host: str, port: int, *, listen: str = "127.0.0.1") -> None:
        self.host = listen
        self.port = free_port()
        self._target = (host, port)
        self._listener = socket.create_server((self.host, self.port))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.lose_answer_to: bytes | None = None  # forward it, then cut before the answer
        self.lose: bytes | None = None  # cut before it is forwarded
        self.lost = 0
        self.refused = 0
        self.times = 1  # how many are lost
        self.gone_after_loss = False  # with a loss, refuse new connections
        self.hold = threading.Event()  # set: nothing more is forwarded from the server
        self.refuse = threading.Event()  # set: connections are closed at once
        self.seen: list[bytes] = []

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._listener.close()
        self.cut_all()

    def cut_all(self) -> None:
        with self._lock:
            for each in self._open:
                _close(each)
            self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse.is_set():
                self.refused += 1
                _close(client)
                continue
            try:
                server = socket.create_connection(self._target, 10)
            except OSError:
                _close(client)
                continue
            with self._lock:
                self._open |= {client, server}
            answers_go = threading.Event()
            answers_go.set()
            for target in (self._upstream, self._downstream):
                threading.Thread(
                    target=target, args=(client, server, answers_go), daemon=True
                ).start()

    def _upstream(
        self, client: socket.socket, server: socket.socket, answers_go: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                self.seen.append(data)
                if self._loses(self.lose, data):
                    break
                if self._loses(self.lose_answer_to, data):
                    # The downstream thread swallows the answer, which proves that it was done.
                    answers_go.clear()
                server.sendall(data)
        _close(client)
        _close(server)

    def _loses(self, pattern: bytes | None, data: bytes) -> bool:
        with self._lock:
            if pattern is None or pattern not in data or self.lost >= self.times:
                return False
            self.lost += 1
            if self.gone_after_loss:
                self.refuse.set()
            return True

    def _downstream(
        self, client: socket.socket, server: socket.socket, answers_go: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if not answers_go.is_set():
                    break
                if self.hold.is_set():
                    continue
                client.sendall(data)
        _close(client)
        _close(server)


def _close(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
