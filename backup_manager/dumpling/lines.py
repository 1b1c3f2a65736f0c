"""Lines out of a stream of bytes, bounded in memory."""

from dataclasses import dataclass

# Longer lines are cut; what is read beyond lets a secret that lies on the cut be seen whole.
LINE_BYTES = 64 * 1024
MARGIN_BYTES = 8 * 1024


@dataclass(frozen=True)
class Line:
    """One line without its end; of one that was cut, ``MARGIN_BYTES`` more than are to be shown."""

    text: str
    cut: bool = False


class LineSplitter:
    """Splits blocks of bytes into lines; invalid UTF-8 is replaced."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._cut = False

    def feed(self, block: bytes) -> list[Line]:
        """Take a block; return the lines that it ends."""
        *ended, rest = block.split(b"\n")
        lines = []
        for piece in ended:
            self._keep(piece)
            lines.append(self._take())
        self._keep(rest)
        return lines

    def close(self) -> list[Line]:
        """Return the last line, if it has no end."""
        return [self._take()] if self._kept or self._cut else []

    def _keep(self, piece: bytes) -> None:
        room = LINE_BYTES + MARGIN_BYTES - len(self._kept)
        self._kept += piece[:room]
        self._cut = self._cut or len(piece) > room

    def _take(self) -> Line:
        line = Line(self._kept.decode("utf-8", "replace").rstrip("\r"), self._cut)
        self._kept.clear()
        self._cut = False
        return line
