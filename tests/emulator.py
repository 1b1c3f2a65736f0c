"""A small terminal: what a person would see of a program's output, with its scrollback.

It knows what rich and structlog write (colours, moving up, erasing, the cursor's visibility), and
refuses every other control sequence, so that a test notices when there are new ones.
"""

import re
from dataclasses import dataclass, field, replace

_TOKEN = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])|([\x00-\x1f\x7f]|\x1b.?)|([^\x00-\x1f\x7f]+)")
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


@dataclass(frozen=True)
class Style:
    """How a character looks: a colour's name, `bright-` before it where it is."""

    colour: str = ""
    bold: bool = False
    dim: bool = False

    def changed(self, codes: list[int]) -> "Style":
        style = self
        for code in codes:
            if code == 0:
                style = Style()
            elif code in {1, 2}:
                style = replace(style, bold=code == 1, dim=code == 2)
            elif code == 22:
                style = replace(style, bold=False, dim=False)
            elif 30 <= code <= 37:
                style = replace(style, colour=_NAMES[code - 30])
            elif 90 <= code <= 97:
                style = replace(style, colour=f"bright-{_NAMES[code - 90]}")
            elif code == 39:
                style = replace(style, colour="")
            else:
                raise ValueError(f"SGR {code} is not known here")
        return style


Cell = tuple[str, Style]
_BLANK: Cell = (" ", Style())


@dataclass
class Emulator:
    """`columns` by `lines`; like xterm, it cuts what no longer fits when it is made narrower."""

    columns: int = 80
    lines: int = 24
    cursor_visible: bool = True
    scrolled: list[list[Cell]] = field(default_factory=list)
    widest: int = 0  # column that was ever written to since the last resize

    def __post_init__(self) -> None:
        self._rows: list[list[Cell]] = [[]]
        self._row = self._column = 0
        self._style = Style()
        self._rest = ""

    def resize(self, columns: int, lines: int) -> None:
        self.columns, self.lines, self.widest = columns, lines, 0
        self._rows = [row[:columns] for row in self._rows]
        self._column = min(self._column, columns - 1)
        self._scroll()

    def feed(self, text: str) -> None:
        text = self._rest + text
        # A sequence may come in two pieces.
        cut = re.search(r"\x1b(?:\[[?\d;]*)?$", text)
        self._rest = text[cut.start() :] if cut else ""
        for match in _TOKEN.finditer(text, 0, cut.start() if cut else len(text)):
            private, numbers, final, control, plain = match.groups()
            if plain:
                for character in plain:
                    self._put(character)
            elif control:
                self._control(control)
            else:
                codes = [int(number or 0) for number in numbers.split(";")]
                self._sequence(private + final, codes)

    def _put(self, character: str) -> None:
        if self._column >= self.columns:
            self._column = 0
            self._down()
        row = self._rows[self._row]
        row.extend([_BLANK] * (self._column + 1 - len(row)))
        row[self._column] = (character, self._style)
        self._column += 1
        self.widest = max(self.widest, self._column)

    def _control(self, control: str) -> None:
        if control == "\r":
            self._column = 0
        elif control == "\n":
            self._down()
        else:
            raise ValueError(f"the control character {control!r} is not known here")

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._rows):
            self._rows.append([])
        self._scroll()

    def _scroll(self) -> None:
        while len(self._rows) > self.lines:
            self.scrolled.append(self._rows.pop(0))
            self._row -= 1

    def _sequence(self, kind: str, codes: list[int]) -> None:
        count = max(codes[0], 1)
        if kind == "m":
            self._style = self._style.changed(codes)
        elif kind == "A":
            self._row = max(0, self._row - count)
        elif kind == "K" and codes[0] in {0, 2}:
            del self._rows[self._row][0 if codes[0] == 2 else self._column :]
        elif kind in {"?h", "?l"} and codes == [25]:
            self.cursor_visible = kind == "?h"
        else:
            raise ValueError(f"the sequence {codes} {kind} is not known here")

    @property
    def cells(self) -> list[list[Cell]]:
        """Every line from the beginning, without blanks at their ends, nor empty ones after."""
        rows = [list(row) for row in self.scrolled + self._rows]
        for row in rows:
            while row and row[-1][0] == " ":
                row.pop()
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def text(self) -> str:
        """All that there is to read, scrollback included."""
        return "\n".join("".join(character for character, _ in row) for row in self.cells)
