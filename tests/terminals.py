"""A program on a terminal of its own: a real pty, its size set as a window's would be.

with Terminal(export.argv(), export.environment(), columns=40) as terminal:
    terminal.wait_for("dumping")
    terminal.resize(100)
    assert 0 == terminal.end()
    print(terminal.screen.text)
"""

import codecs
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.scoped import Scoped

from .emulator import Emulator

Frame = tuple[float, list[Any]]
_DEADLINE_SECONDS = 90


class Terminal(Scoped):
    """`shared`: stdout is the terminal too; else `stdout` holds what came there. `typed`: stdin is.

    `frames` are the screens that a person saw: the time since the start, and the lines' cells.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        columns: int = 100,
        lines: int = 40,
        shared: bool = False,
        typed: bool = False,
        cwd: Path | None = None,
    ) -> None:
        self.screen = Emulator(columns, lines)
        self.raw = b""
        self.frames: list[Frame] = []
        self.stdout = b""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._news = threading.Condition()
        self._failure: BaseException | None = None
        self._ours, theirs = pty.openpty()
        self._set_size(columns, lines)
        self._began = time.monotonic()
        self.process = subprocess.Popen(
            argv,
            env=dict(environment),
            cwd=cwd,
            stdin=theirs if typed else subprocess.DEVNULL,
            stdout=theirs if shared else subprocess.PIPE,
            stderr=theirs,
            process_group=0,
        )
        os.close(theirs)
        self._readers = [threading.Thread(target=self._follow, daemon=True)]
        if self.process.stdout:
            self._readers.append(threading.Thread(target=self._drain, daemon=True))
        for reader in self._readers:
            reader.start()

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int = 40) -> None:
        with self._news:
            self._set_size(columns, lines)
            self.screen.resize(columns, lines)

    def _drain(self) -> None:
        assert self.process.stdout
        self.stdout = self.process.stdout.read()

    def _follow(self) -> None:
        try:
            while block := os.read(self._ours, 65536):
                self._take(block)
        except OSError:
            pass  # the other end is closed
        except ValueError as error:  # what the emulator does not know
            self._failure = error
        with self._news:
            self._news.notify_all()

    def _take(self, block: bytes) -> None:
        with self._news:
            self.raw += block
            self.screen.feed(self._decode(block))
            self.frames.append((time.monotonic() - self._began, self.screen.cells))
            self._news.notify_all()

    def wait_until(self, holds: Callable[[str], bool]) -> str:
        """Wait until the text on the screen is so; return it."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        with self._news:
            while not holds(self.screen.text):
                over = not self._readers[0].is_alive() or time.monotonic() > deadline
                assert not over, f"that did not come:\n{self.screen.text}"
                self._news.wait(0.1)
            return self.screen.text

    def wait_for(self, text: str) -> str:
        return self.wait_until(lambda shown: text in shown)

    def type(self, text: str) -> None:
        """Type it as at a keyboard; \x04 is the end of the input."""
        os.write(self._ours, text.encode())

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def hang_up(self) -> None:
        """Close our end, as a connection that breaks does; only the signal is left out."""
        os.close(self._ours)
        self._ours = -1

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(_DEADLINE_SECONDS)
        for reader in self._readers:
            reader.join(10)
        if self._failure:
            raise self._failure
        return code

    def seen(self) -> list[str]:
        """The lines that were ever on the screen, each once, as they came."""
        lines: dict[str, None] = {}
        for _, rows in self.frames:
            for row in rows:
                lines["".join(character for character, _ in row)] = None
        return list(lines)

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for reader in self._readers:
            reader.join(10)
        if self._ours >= 0:
            os.close(self._ours)
