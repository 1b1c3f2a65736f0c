"""The log, in the text and JSON forms of pingcap/log, and Dumpling's plain last words."""

import json
import os
import signal
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import NoReturn

LEVELS = ("debug", "info", "warn", "error", "dpanic", "panic", "fatal")
_NEEDS_QUOTES = set('"\\[]=')

Field = str | int | float


class Log:
    """Writes to standard output, or to a file; each line in one write."""

    def __init__(self, level: str = "info", form: str = "text", path: str = "") -> None:
        self._least = LEVELS.index(level)
        self._json = form == "json"
        self._lock = threading.Lock()
        self._fd = 1
        if path:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._fd = os.open(path, flags, 0o644)

    def raw(self, data: bytes) -> None:
        """Bytes as they are. A pipe that nobody drains blocks here, as it does the binary."""
        with self._lock:
            _write(self._fd, data)

    def write(
        self, level: str, caller: str, message: str, fields: Mapping[str, Field] | None = None
    ) -> None:
        if LEVELS.index(level) < self._least:
            return
        fields = fields or {}
        now = datetime.now().astimezone()
        zone = now.strftime("%z")
        stamp = f"{now:%Y/%m/%d %H:%M:%S}.{now.microsecond // 1000:03d} {zone[:3]}:{zone[3:]}"
        if self._json:
            head = {"level": level.upper(), "time": stamp, "caller": caller, "message": message}
            line = json.dumps({**head, **fields}, ensure_ascii=False, separators=(",", ":"))
        else:
            parts = [stamp, level.upper(), caller, _quoted(message)]
            parts += [f"{_quoted(key)}={_quoted(value)}" for key, value in fields.items()]
            line = " ".join(f"[{part}]" for part in parts)
        self.raw(line.encode("utf-8", "surrogateescape") + b"\n")


def _quoted(value: Field) -> str:
    text = str(value)
    if text and not any(c <= " " or c in _NEEDS_QUOTES for c in text):
        return text
    return json.dumps(text, ensure_ascii=False)


def say(text: str) -> None:
    """Plain words on standard output: they go there with -L too."""
    _all(1, text)


def complain(text: str) -> None:
    """Plain words on standard error."""
    _all(2, text)


def _all(fd: int, text: str) -> None:
    _write(fd, (text + "\n").encode("utf-8", "surrogateescape"))


def _write(fd: int, data: bytes) -> None:
    """Write all of it. Of a pipe that nobody reads Go dies if it is its output, not of a socket."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except BrokenPipeError:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
        raise


def leave(code: int) -> NoReturn:
    """Leave at once: a worker may wait for the server, or for a gate."""
    os._exit(code)
