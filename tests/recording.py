"""`python -m tests.recording FILE`: a real export on a terminal, as an SVG that moves.

The test servers stand behind it. Only the changes of each line are in the picture; a viewer that
does not animate shows the end.
"""

import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from tests.command import CANARY_PASSWORD, DOUBLE, ROOT, find_dumpling
from tests.emulator import Cell, Style
from tests.servers import Ceph, database
from tests.terminals import Frame, Terminal

COMMAND = "backup-manager export --provider=ceph --bucket=backups --prefix=nightly"
_COLUMNS = 100
_MOST_BYTES = 100_000
_STEP_SECONDS = 0.5
_HOLD_SECONDS = 6.0
_WIDTH, _HEIGHT, _MARGIN = 8.0, 18.0, 14.0
# A window of its own background reads the same on a light page and on a dark one.
_BACKGROUND, _PLAIN, _DIM = "#161b22", "#c9d1d9", "#8b949e"
_COLOURS = {
    "red": "#ff7b72",
    "green": "#3fb950",
    "yellow": "#d29922",
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#56d4dd",
    "black": "#484f58",
}
# The table's rows, about 60 MB of them; how fast the double of Dumpling writes them, and how fast
# they may go to the store: on one machine all of it is over before one has seen it.
_ROWS, _PACE, _BANDWIDTH = 240_000, 9_000_000, "5M"


def record(scratch: Path) -> list[Frame]:
    """Run an export on a terminal; return what was seen."""
    with database(scratch / "database") as source, Ceph(scratch / "ceph") as store:
        store.create_bucket("backups")
        source.execute("CREATE DATABASE shop")
        source.execute("CREATE TABLE shop.orders (id INT PRIMARY KEY, note VARCHAR(300))")
        source.execute(
            "INSERT INTO shop.orders SELECT seq, REPEAT(SHA2(seq, 256), 4)"
            f" FROM shop.seq_1_to_{_ROWS}"
        )
        source.create_account("backup", CANARY_PASSWORD)
        volume = scratch / "volume"
        volume.mkdir()
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "HOME": "/nonexistent",
            "BACKUP_MANAGER_HOST": source.host,
            "BACKUP_MANAGER_PORT": str(source.port),
            "BACKUP_MANAGER_USER": "backup",
            "BACKUP_MANAGER_PASSWORD": CANARY_PASSWORD,
            "BACKUP_MANAGER_VOLUME": str(volume),
            "BACKUP_MANAGER_DUMPLING": str(find_dumpling()),
            "BACKUP_MANAGER_S3_OPTION": f"--bwlimit={_BANDWIDTH}",
            "S3_ENDPOINT": store.http,
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if find_dumpling() == DOUBLE:
            environment["DUMPLING_DOUBLE"] = json.dumps([{"pace": _PACE}])
        with Terminal(
            COMMAND.split(), environment, columns=_COLUMNS, shared=True, cwd=scratch
        ) as terminal:
            code = terminal.end()
        if code:
            raise SystemExit(f"the export failed:\n{terminal.screen.text}")
        _check(terminal.raw.decode(), [store.secret_key, store.access_key, CANARY_PASSWORD])
        return terminal.frames


def _check(shown: str, secrets: Sequence[str]) -> None:
    for private in (*secrets, socket.gethostname(), str(ROOT), tempfile.gettempdir()):
        if private in shown:
            raise SystemExit("the recording shows a secret, or something of this machine")


def sampled(frames: Sequence[Frame]) -> list[Frame]:
    """Return the screen at each step of time, and the last one."""
    chosen: list[Frame] = []
    for moment, frame in groupby(frames, key=lambda each: int(each[0] / _STEP_SECONDS)):
        # Half a step later it was already being drawn anew: the fullest is the whole one.
        rows = max((rows for _, rows in frame), key=len)
        chosen.append((moment * _STEP_SECONDS, rows))
    return [*chosen[:-1], (chosen[-1][0], frames[-1][1])]


def svg(frames: Sequence[Frame]) -> str:
    """Return the picture: each state of each line, shown while it was so."""
    typed = [("$", Style("green", bold=True)), *((each, Style()) for each in f" {COMMAND}")]
    frames = [(0.0, []), *((at + _STEP_SECONDS, rows) for at, rows in sampled(frames))]
    end = frames[-1][0] + _HOLD_SECONDS
    times = [*(at for at, _ in frames), end]
    states: dict[tuple[int, tuple[Cell, ...]], list[int]] = {}
    for number, (_, rows) in enumerate(frames):
        for line, row in enumerate([typed, *rows]):
            if row:
                states.setdefault((line, tuple(row)), []).append(number)
    height = (max(len(rows) for _, rows in frames) + 1) * _HEIGHT + 2 * _MARGIN
    width = _COLUMNS * _WIDTH + 2 * _MARGIN
    body = [
        _line(line, row, _shown(numbers, times), end) for (line, row), numbers in states.items()
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" role="img" font-size="13" '
        'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace">'
    )
    title = f"<title>{escape(COMMAND)}</title>"
    window = f'<rect width="100%" height="100%" rx="8" fill="{_BACKGROUND}"/>'
    return "\n".join([head, title, window, *body, "</svg>\n"])


def _shown(numbers: Sequence[int], times: Sequence[float]) -> list[tuple[float, bool]]:
    """Return when a state comes and goes, as shares of the whole; empty where it always stands."""
    end = times[-1]
    there = set(numbers)
    changes: list[tuple[float, bool]] = []
    for number, at in enumerate(times[:-1]):
        visible = number in there
        if not changes or changes[-1][1] != visible:
            changes.append((at / end, visible))
    return [] if changes == [(0.0, True)] else changes


def _line(
    number: int, row: Sequence[Cell], changes: Sequence[tuple[float, bool]], end: float
) -> str:
    y = _MARGIN + (number + 1) * _HEIGHT - 5
    texts = "".join(_runs(row))
    if not changes:
        return f'<g transform="translate(0 {y:g})">{texts}</g>'
    values = ";".join("visible" if visible else "hidden" for _, visible in changes)
    times = ";".join(f"{at:.4g}" for at, _ in changes)
    at_last = "visible" if changes[-1][1] else "hidden"
    return (
        f'<g transform="translate(0 {y:g})" visibility="{at_last}">'
        f'<animate attributeName="visibility" calcMode="discrete" repeatCount="indefinite" '
        f'dur="{end:g}s" values="{values}" keyTimes="{times}"/>{texts}</g>'
    )


def _runs(row: Sequence[Cell]) -> Iterator[str]:
    at = 0
    for style, cells in groupby(row, key=lambda cell: cell[1]):
        text = "".join(character for character, _ in cells)
        if text.strip():
            blank = len(text) - len(text.lstrip())
            shown = text.strip()
            yield (
                f'<text x="{_MARGIN + (at + blank) * _WIDTH:g}" '
                f'textLength="{len(shown) * _WIDTH:g}" xml:space="preserve"{_look(style)}>'
                f"{escape(shown)}</text>"
            )
        at += len(text)


def _look(style: Style) -> str:
    name = style.colour.removeprefix("bright-")
    colour = _DIM if style.dim or style.colour == "bright-black" else _COLOURS.get(name, _PLAIN)
    return f' fill="{colour}"' + (' font-weight="bold"' if style.bold else "")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="recording-") as name:
        picture = svg(record(Path(name)))
    if len(picture.encode()) > _MOST_BYTES:
        raise SystemExit(f"the picture has {len(picture.encode())} bytes: more than {_MOST_BYTES}")
    Path(sys.argv[1]).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
