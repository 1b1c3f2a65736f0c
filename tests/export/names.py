"""A name server that can be told to fail, and a run that asks no other."""

import secrets
import socket
import struct
import threading
from pathlib import Path

from tests.command import Export
from tests.running import Running
from tests.scoped import Scoped
from tests.servers import program

_PORT = 53
_HEADER = struct.Struct("!6H")  # RFC 1035, 4.1.1
_QUESTION_END = struct.Struct("!HH")
_TYPE_A = 1
_SERVFAIL = 2
_ANSWER, _RECURSIVE = 0x8000, 0x0180


class NameServer(Scoped):
    """Every name is 127.0.0.1, while it does not fail. On a loopback address of its own: root only.

    ``failures``: how many questions were answered SERVFAIL.
    """

    def __init__(self) -> None:
        self.failing = False
        self.failures = 0
        self.address = f"127.53.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, _PORT))

    def start(self) -> None:
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                query, client = self._socket.recvfrom(512)
            except OSError:
                return  # closed
            self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        number = _HEADER.unpack_from(query)[0]
        name_end = query.index(0, _HEADER.size) + 1
        end = name_end + _QUESTION_END.size
        question, (kind, _) = query[_HEADER.size : end], _QUESTION_END.unpack_from(query, name_end)
        flags, records = _ANSWER | _RECURSIVE, b""
        if self.failing:
            self.failures += 1
            flags |= _SERVFAIL
        elif kind == _TYPE_A:
            # The name by a pointer to the question's; class IN, a life time of nothing.
            records = struct.pack("!HHHIH4B", 0xC00C, _TYPE_A, 1, 0, 4, 127, 0, 0, 1)
        return _HEADER.pack(number, flags, 1, 1 if records else 0, 0, 0) + question + records

    def start_export(self, export: Export, scratch: Path) -> Running:
        """Start a run that asks this server for names, in a mount namespace of its own."""
        resolver = scratch / "resolv.conf"
        resolver.write_text(f"nameserver {self.address}\noptions attempts:1 timeout:1\n")
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        wrapped = [program("setpriv"), "--pdeathsig", "KILL", "--", program("unshare"), "--mount"]
        wrapped += ["sh", "-c", script, str(resolver), *export.argv()]
        running = Running(wrapped, export.environment(), export.secrets)
        running.keep = export
        return running
