"""What happens at a count of files or bytes. Each name is described in README.md."""

import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

from .controls import Entry
from .errors import DumpError, LostConnectionError
from .log import Log
from .output import Output
from .stage import wait_as_told

_ODD_NAMES = [
    "shop.100%.000000000.sql",
    "shop.a b.000000000.sql",
    'shop.it\'s "quoted".000000000.sql',
    "shop.two\nlines.000000000.sql",
    "shop.%E2%82%AC €.000000000.sql",
]
_NOT_UTF8 = b"shop.\xff\xfe.000000000.sql"
_LEAK = "INSERT INTO `customer` VALUES\n(1,'Ada Lovelace','ada@example.org','4111 1111 1111 1111'"
_WRITER = "writer_util.go:541"

Act = Callable[[Entry], None]


class Misdeeds:
    """Does what its entry asks for; called with everything else held up."""

    def __init__(self, log: Log, password: str) -> None:
        self._log = log
        self._password = password
        self.output: Output | None = None
        self._acts: dict[str, Act] = {
            "bad-utf8-log": self._bad_utf8_log,
            "burst": self._burst,
            "delete-file": self._delete_file,
            "enospc": self._enospc,
            "gate": wait_as_told,
            "hang": self.hang,
            "invalid-connection": self._invalid_connection,
            "killed": self._killed,
            "log-flood": self._log_flood,
            "long-log-line": self._long_log_line,
            "odd-names": self._odd_names,
            "password-leak": self._password_leak,
            "rename-file": self._rename_file,
            "row-leak": self._row_leak,
            "special-file": self._special_file,
            "subdirectories": self._subdirectories,
        }

    def __call__(self, entry: Entry) -> None:
        self._acts[entry["misdeed"]](entry)

    def hang(self, entry: Entry) -> None:
        """Do nothing for ever, or until `path` exists; the status server answers meanwhile."""
        pause = entry.get("log_every")
        while not ("path" in entry and os.path.lexists(entry["path"])):
            if pause:
                self._log.write("info", "misdeeds.py:1", "still here", {"misdeed": "hang"})
            time.sleep(pause or 0.02)

    def _killed(self, entry: Entry) -> None:
        os.kill(os.getpid(), entry.get("signal", signal.SIGKILL))
        time.sleep(60)

    def _invalid_connection(self, _entry: Entry) -> None:
        # No retry helps: the server is gone for good.
        raise DumpError(
            "sql: SELECT * FROM `shop`.`t`: " + str(LostConnectionError("invalid connection"))
        )

    def _enospc(self, _entry: Entry) -> None:
        if self.output is not None:
            self.output.stage.disk_full = True

    def _long_log_line(self, entry: Entry) -> None:
        text = "x" * entry.get("bytes", 1 << 20)
        for at in sorted(entry.get("password_at", []), reverse=True):
            text = f"{text[:at]}{self._password}{text[at:]}"
        if entry.get("plain"):
            self._log.raw(text.encode() + b"\n")
        else:
            self._log.write("warn", _WRITER, "a long line", {"text": text})

    def _log_flood(self, entry: Entry) -> None:
        for number in range(entry.get("lines", 10000)):
            self._log.write("info", "misdeeds.py:2", "one of very many lines", {"number": number})

    def _bad_utf8_log(self, entry: Entry) -> None:
        secret = self._password.encode() if entry.get("password") else b""
        start = b"[2024/12/02 06:50:54.641 +00:00] [WARN] [sql.go:1] "
        self._log.raw(start + b'["\xff\xfe \xc3(' + secret + b'\xff"]\n')

    def _password_leak(self, entry: Entry) -> None:
        secret = self._password
        fields = {"dsn": f"root:{secret}@tcp(127.0.0.1:4000)/", "password": secret}
        self._log.write("warn", "sql.go:1", "cannot connect", fields)
        if entry.get("last_words", True):
            raise DumpError(f"cannot connect with password {secret}: Error 1045: Access denied")

    def _row_leak(self, entry: Entry) -> None:
        row = entry.get("row", _LEAK)[:200]
        fields = {"string": row, "error": "write: input/output error"}
        self._log.write("error", _WRITER, "fail to write", fields)

    def _make(self, name: bytes, content: bytes) -> None:
        if self.output is None:
            return
        path = os.path.join(os.fsencode(self.output.directory), name)  # noqa: PTH118  bytes
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)  # noqa: PTH103, PTH120
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(content)

    def _odd_names(self, entry: Entry) -> None:
        names = [os.fsencode(name) for name in entry.get("names", _ODD_NAMES)]
        if entry.get("non_utf8"):
            names.append(_NOT_UTF8)
        for name in names:
            self._make(name, b"-- " + repr(name).encode() + b"\n")

    def _subdirectories(self, entry: Entry) -> None:
        for number in range(entry.get("count", 3)):
            parts = [f"sub{number}" for _ in range(entry.get("depth", 2))]
            name = "/".join([*parts, f"shop.t.{number:09d}.sql"])
            self._make(name.encode(), f"-- {name}\n".encode())

    def _finished(self, entry: Entry) -> Path:
        """The first file that fits the pattern ``file``."""
        if self.output is None:
            raise DumpError("there is no output")
        pattern = entry.get("file", "*.0*")
        wait_as_told(entry)
        return min(self.output.directory.glob(pattern))

    def _rename_file(self, entry: Entry) -> None:
        path = self._finished(entry)
        path.rename(path.with_name(entry.get("to", f"renamed.{path.name}")))

    def _delete_file(self, entry: Entry) -> None:
        self._finished(entry).unlink()

    def _special_file(self, entry: Entry) -> None:
        if self.output is None:
            return
        path = self.output.directory / entry.get("name", "shop.special.000000000.sql")
        path.parent.mkdir(exist_ok=True)
        kind = entry.get("kind", "fifo")
        if kind == "symlink":
            path.symlink_to(entry.get("target", "/etc/hostname"))
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "device":
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))  # /dev/null
        else:
            raise DumpError(f"special-file: no such kind {kind!r}")

    def _burst(self, entry: Entry) -> None:
        """Many tiny files as fast as it goes, all of them `rounds` times over."""
        if self.output is None:
            return
        size, rounds = entry.get("bytes", 1), entry.get("rounds", 1)
        directory = os.open(self.output.directory, os.O_PATH)
        for turn in range(rounds):
            filler = str(turn % 10).encode() if turn < rounds - 1 else b"-"
            content = filler * (size - 1) + b"\n"
            for number in range(entry.get("count", 1000)):
                name = f"burst.t.{number:09d}.sql"
                # Straight to the system: Python's layers would double the time.
                file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, dir_fd=directory)
                os.write(file, content)
                os.close(file)
        os.close(directory)
