"""The proxies before the store and the database that strike at a request."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from tests.database.proxy import Proxy
from tests.s3_proxy import Answer, Request, S3Proxy, Trouble
from tests.servers import Database, S3Server, wait_until
from tests.torture.points import AFTER, BEFORE, DATABASE, STORE
from tests.torture.striker import Striker

_COMMANDS = {0x01: "COM_QUIT", 0x02: "COM_INIT_DB", 0x03: "COM_QUERY", 0x0E: "COM_PING"}
_SHOWN = 100
_DIRECTORY = "/backup-"
# The journal commits what was confirmed once a second.
_COMMITTED_SECONDS = 1.2
_DRAIN_SECONDS = 60


class _Blow(threading.Event):
    """Strikes when it is set: the proxy sets it before it does anything else."""

    def __init__(self, striker: Striker) -> None:
        super().__init__()
        self._striker = striker

    def set(self) -> None:
        self._striker.strike()
        super().set()


class StrikingStore(S3Proxy):
    """Before a store: strikes before a request is forwarded, or before its answer goes back."""

    def __init__(self, store: S3Server, striker: Striker, *, late: bool = False) -> None:
        super().__init__(store.http)
        self._striker = striker
        self._late = late
        # The paths of the requests that have come in and are not over yet.
        self._under_way: dict[int, str] = {}
        # Those that were under way when the run that was struck began to undo what it had sent: it
        # cannot call them back, and the store may carry them out after it.
        self.too_late: set[str] = set()

    def take(self, method: str, target: str, headers: Mapping[str, str]) -> Request:
        request = super().take(method, target, headers)
        self._under_way[id(request)] = unquote(urlsplit(target).path)
        return request

    def answered(self, request: Request) -> None:
        super().answered(request)
        del self._under_way[id(request)]

    def trouble_for(self, request: Request) -> Trouble | None:
        trouble = super().trouble_for(request)
        moment = self._striker.meets(STORE, f"{request.operation} {request.target}")
        if self._striker.struck.is_set() and request.operation == "ListMultipartUploads":
            self.too_late |= set(self._under_way.values())
        if self._late:
            self._wait(request, moment)
        if moment == BEFORE:
            self._striker.strike()
            return Trouble(lambda _: True, "drop") if self._striker.kills else trouble
        if moment == AFTER:
            return Trouble(lambda _: True, "lose", reached=_Blow(self._striker))
        return trouble

    def _wait(self, request: Request, moment: str | None) -> None:
        if request.method in {"PUT", "POST"} and _DIRECTORY in request.target:
            self._striker.wait_for("sending the rest")
        if moment:
            time.sleep(_COMMITTED_SECONDS)

    def serve(self, request: Request, body: bytes) -> Answer:
        if self._striker.has_killed:
            # What was not yet forwarded is lost with the program, so that a point is one point.
            raise ConnectionAbortedError
        return super().serve(request, body)

    def drain(self) -> None:
        """Wait until the store has answered all that came in."""
        wait_until(lambda: not self._under_way, seconds=_DRAIN_SECONDS, what="the store's answers")


class StrikingDatabase(Proxy):
    """Before a database: counts the packets that clients send (login, commands, quit)."""

    def __init__(self, database: Database, striker: Striker) -> None:
        super().__init__(database.host, database.port)
        self._striker = striker

    def _upstream(
        self, client: socket.socket, server: socket.socket, answers_go: threading.Event
    ) -> None:
        with suppress(OSError):
            for packet in _packets(client):
                moment = self._striker.meets(DATABASE, _described(packet))
                if moment == AFTER:
                    answers_go.clear()
                elif moment == BEFORE:
                    self._striker.strike()
                    if self._striker.kills:
                        break
                server.sendall(packet)
            else:
                if not answers_go.is_set():
                    return  # COM_QUIT, whose answer is that the server closes
        _close(client)
        _close(server)

    def _downstream(
        self, client: socket.socket, server: socket.socket, answers_go: threading.Event
    ) -> None:
        with suppress(OSError):
            while True:
                data = server.recv(65536)
                if not answers_go.is_set():
                    self._striker.strike()
                    break
                if not data:
                    break
                client.sendall(data)
        _close(client)
        _close(server)


def _packets(client: socket.socket) -> Iterator[bytes]:
    """Cut what a client sends into packets: 3 bytes of length, a sequence number, the payload."""
    with client.makefile("rb") as stream:
        while len(head := stream.read(4)) == 4:
            payload = stream.read(int.from_bytes(head[:3], "little"))
            yield head + payload


def _described(packet: bytes) -> str:
    if packet[3] != 0:
        return "login"
    name = _COMMANDS.get(packet[4], f"command {packet[4]:#04x}")
    return f"{name} {packet[5 : 5 + _SHOWN].decode('utf-8', 'replace')}".strip()


def _close(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
