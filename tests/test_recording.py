"""The terminal that the tests look through, and the recording of a run in the README."""

import re
import tempfile
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.command import ROOT
from tests.emulator import Emulator, Style
from tests.recording import COMMAND, sampled, svg
from tests.terminals import Frame

PICTURE = ROOT / "docs" / "export.svg"
_SVG = "{http://www.w3.org/2000/svg}"


def rows(*texts: str) -> list[list[tuple[str, Style]]]:
    return [[(character, Style()) for character in text] for text in texts]


# The emulator ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fed", "expected"),
    [
        ("one\r\ntwo", "one\ntwo"),
        ("one\r\ntwo\r\x1b[1A\x1b[2Kthree", "three\ntwo"),
        ("123456789", "12345678\n9"),
        ("12345678\r\nx", "12345678\nx"),
        ("abc\rx\x1b[K", "x"),
        ("a\x1b[31mb\x1b[0mc", "abc"),
        ("1\r\n2\r\n3\r\n4\r\n5", "1\n2\n3\n4\n5"),
    ],
)
def test_a_screen_of_eight_by_three(fed: str, expected: str) -> None:
    for cut in range(len(fed)):
        screen = Emulator(8, 3)
        screen.feed(fed[:cut])
        screen.feed(fed[cut:])
        assert expected == screen.text


def test_colours_and_the_cursor() -> None:
    screen = Emulator()
    screen.feed("\x1b[?25l\x1b[1;32ma\x1b[0mb")
    assert [("a", Style("green", bold=True)), ("b", Style())] == screen.cells[0]
    assert not screen.cursor_visible
    screen.feed("\x1b[?25h")
    assert screen.cursor_visible


@pytest.mark.parametrize("fed", ["\x1b[2J", "\x07", "\x1b]0;t\x07", "\x1b[48;5;1m"])
def test_what_it_does_not_know_is_refused(fed: str) -> None:
    with pytest.raises(ValueError, match="not known here"):
        Emulator().feed(fed)


# The picture -------------------------------------------------------------------------------


def shown_at(picture: str, seconds: float) -> list[str]:
    """The lines of the picture at a moment, from top to bottom."""
    lines: dict[float, str] = {}
    for group in ET.fromstring(picture).iter(f"{_SVG}g"):
        animate = group.find(f"{_SVG}animate")
        if animate is not None:
            at = seconds / float(animate.get("dur", "")[:-1])
            times = [float(each) for each in animate.get("keyTimes", "").split(";")]
            values = animate.get("values", "").split(";")
            assert 0 == times[0]
            assert len(times) == len(values)
            assert all(one < two for one, two in pairwise(times))
            if (
                "hidden"
                == [value for time, value in zip(times, values, strict=True) if time <= at][-1]
            ):
                continue
        top = float(group.get("transform", "").split()[1].rstrip(")"))
        assert top not in lines, "two lines stand over each other"
        lines[top] = " ".join(text.text or "" for text in group.iter(f"{_SVG}text"))
    return [lines[top] for top in sorted(lines)]


def test_each_line_is_shown_while_it_was_so() -> None:
    frames: list[Frame] = [
        (0.1, rows("dumping 1")),
        (0.6, rows("log", "dumping <2>")),
        (1.2, rows("log", "Complete")),
    ]
    picture = svg(frames)
    assert [
        [f"$ {COMMAND}"],
        [f"$ {COMMAND}", "dumping 1"],
        [f"$ {COMMAND}", "log", "dumping <2>"],
        [f"$ {COMMAND}", "log", "Complete"],
        [f"$ {COMMAND}", "log", "Complete"],
    ] == [shown_at(picture, seconds) for seconds in (0.2, 0.7, 1.2, 1.7, 7)]


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 5)), min_size=1, max_size=40))
def test_the_last_screen_is_always_there(steps: list[tuple[float, int]]) -> None:
    frames: list[Frame] = [
        (at, rows(*(f"{number} {count}" for number in range(count)))) for at, count in sorted(steps)
    ]
    chosen = sampled(frames)
    assert frames[-1][1] == chosen[-1][1]
    assert 42 >= len(chosen)
    last = [f"{number} {len(frames[-1][1])}" for number in range(len(frames[-1][1]))]
    assert last == shown_at(svg(frames), chosen[-1][0] + 1)[1:]


def test_the_recording_in_the_readme() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    assert len(text.encode()) <= 100_000
    assert f"({PICTURE.relative_to(ROOT)})" in (ROOT / "README.md").read_text(encoding="utf-8")
    # Nothing is fetched, nothing runs, and nothing of a machine is in it.
    assert {"svg", "title", "rect", "g", "animate", "text"} == {
        each.tag.removeprefix(_SVG) for each in ET.fromstring(text).iter()
    }
    assert "href" not in text
    for private in (tempfile.gettempdir(), str(ROOT), "/home/", "/root", "Traceback"):
        assert private not in text
    seconds = float(re.findall(r'dur="([\d.]+)s"', text)[0])
    screens = ["\n".join(shown_at(text, second / 2)) for second in range(int(seconds * 2))]
    assert any("\ndump █" in screen and "\nupload █" in screen for screen in screens)
    assert any(re.search(r"sending the rest +\S+ +\S+ left", screen) for screen in screens)
    assert "Complete\nbackup s3://" in screens[-1]
    assert '"status":"complete"' in screens[-1]
