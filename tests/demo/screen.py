"""What the demo itself says, on stdout; the program under it writes to stderr."""

import os
import sys
import time
from collections.abc import Sequence


class Screen:
    """Numbered steps with the time since the start, and tables."""

    def __init__(self) -> None:
        plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR")
        self._bold, self._dim, self._end = (
            ("", "", "") if plain else ("\033[1m", "\033[2m", "\033[0m")
        )
        self._began = time.monotonic()
        self._number = 0

    def step(self, title: str) -> None:
        self._number += 1
        seconds = time.monotonic() - self._began
        self.say(
            f"\n{self._bold}{self._number}. {title}{self._end}",
            f"{self._dim}[{seconds:.0f} s]{self._end}",
        )

    def say(self, *words: str) -> None:
        print(*words, flush=True)

    def table(self, rows: Sequence[tuple[str, ...]], *, right: tuple[int, ...] = ()) -> None:
        """Rows in columns, the first one being their titles; `right` are flushed right."""
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        for number, row in enumerate(rows):
            cells = [
                cell.rjust(width) if at in right else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            line = "   " + "  ".join(cells).rstrip()
            self.say(f"{self._dim}{line}{self._end}" if number == 0 else line)


def mib(count: int) -> str:
    return f"{count / (1 << 20):,.1f} MiB"
