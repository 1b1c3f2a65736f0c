"""How far a run is: rates, the time left, the lines in a Job's log, and what a terminal shows."""

import io
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from backup_manager.progress import LINE_SECONDS, Figures, Lines, Rate, seconds_left
from backup_manager.report import Report
from backup_manager.terminal import Bar, clock, closing, of, of_size, spell

COUNTS = st.integers(0, 1 << 60)
FIGURES = st.builds(
    Figures,
    rows=COUNTS,
    rows_estimated=COUNTS,
    dumped_bytes=COUNTS,
    files_sent=COUNTS,
    files_waiting=COUNTS,
    sent_bytes=COUNTS,
    moved_bytes=COUNTS,
    under_way=COUNTS,
    known_bytes=COUNTS,
    complete=st.booleans(),
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Clock:
    return Clock()


# Rates and the time left -------------------------------------------------------------------


def counted(time: Clock, *steps: tuple[float, int]) -> Rate:
    """A rate that was told of these counts, each so many seconds after the one before."""
    rate = Rate(time)
    for seconds, count in steps:
        time.now += seconds
        rate.count(count)
    return rate


def test_a_steady_rate(time: Clock) -> None:
    rate = counted(time, *[(0.1, number * 50) for number in range(2000)])
    assert pytest.approx(500, rel=0.05) == rate.per_second
    assert pytest.approx(20, rel=0.05) == rate.seconds_for(10_000)


def test_a_rate_is_that_of_now(time: Clock) -> None:
    slow = [(1.0, number * 10) for number in range(100)]
    fast = [(1.0, 990 + number * 1000) for number in range(1, 60)]
    assert pytest.approx(1000, rel=0.05) == counted(time, *slow, *fast).per_second


def test_bursts_that_are_minutes_apart_make_one_rate(time: Clock) -> None:
    rate = counted(time, *[(200.0, number * 1_000_000) for number in range(20)])
    assert pytest.approx(5000, rel=0.01) == rate.per_second


def test_a_rate_falls_while_nothing_comes(time: Clock) -> None:
    rate = counted(time, *[(1.0, number * 100) for number in range(31)])
    before = rate.per_second
    time.now += 300
    assert before / 5 > rate.per_second > 0


def test_a_count_that_falls_begins_anew(time: Clock) -> None:
    rate = counted(time, (1, 1000), (1, 2000), (1, 500), (10, 600))
    assert 10 == rate.per_second


@given(st.lists(st.tuples(st.floats(0.01, 500), st.integers(0, 1 << 50)), max_size=60))
def test_a_rate_is_never_negative_and_keeps_little(steps: list[tuple[float, int]]) -> None:
    rate = counted(Clock(), *steps)
    assert rate.per_second >= 0
    left = rate.seconds_for(1)
    assert left is None or left >= 0


def test_memory_does_not_grow(time: Clock) -> None:
    rate = counted(time, *[(0.01, number) for number in range(100_000)])
    assert 40 > len(rate._changes)


@pytest.mark.parametrize(
    "figures",
    [
        Figures(sent_bytes=100, known_bytes=200, files_waiting=1),  # more may come
        Figures(sent_bytes=200, known_bytes=200, files_waiting=1, complete=True),
        Figures(sent_bytes=100, known_bytes=200, complete=True),
    ],
)
def test_no_time_left_is_made_up(time: Clock, figures: Figures) -> None:
    rate = counted(time, *[(1.0, number) for number in range(100)])
    assert seconds_left(figures, rate) is None


def test_no_time_left_before_there_is_a_rate(time: Clock) -> None:
    figures = Figures(sent_bytes=100, known_bytes=1100, files_waiting=1, complete=True)
    assert seconds_left(figures, counted(time)) is None
    assert seconds_left(figures, counted(time, (1, 0), (0.5, 100))) is None
    assert seconds_left(figures, counted(time, (1, 100), (60, 100))) is None
    assert 40 == seconds_left(figures, counted(time, (1, 0), (4, 100)))


# The lines of a Job ------------------------------------------------------------------------


def lines_of(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_line_each_30_seconds_and_at_each_new_phase(time: Clock) -> None:
    log = io.StringIO()
    lines = Lines(Report(stream=log), time)
    at = []
    for tick in range(1000):
        time.now += 0.1
        before = len(lines_of(log))
        lines.show(
            "dumping" if tick < 700 else "sending the rest",
            Figures(sent_bytes=tick, moved_bytes=tick),
        )
        if len(lines_of(log)) > before:
            at.append(tick)
    assert pytest.approx([299, 599, 700], abs=1) == at
    assert ["dumping", "dumping", "sending the rest"] == [line["phase"] for line in lines_of(log)]


def test_a_line_has_the_figures_the_rate_and_the_time_left_once_it_is_known(time: Clock) -> None:
    log = io.StringIO()
    lines = Lines(Report(stream=log), time)
    lines.show("dumping", Figures())
    for complete in (False, True):
        time.now += LINE_SECONDS
        figures = Figures(10, 20, 30, 1, 2, 6000, 9500, complete, moved_bytes=6500, under_way=500)
        lines.show("dumping", figures)
    first, second = lines_of(log)
    expected = {
        "rows": 10,
        "rows_estimated": 20,
        "dumped_bytes": 30,
        "files_sent": 1,
        "files_waiting": 2,
        "sent_bytes": 6000,
        "known_bytes": 9500,
        "phase": "dumping",
    }
    assert expected == {name: first[name] for name in expected}
    assert (217, 108) == (first["bytes_per_second_sent"], second["bytes_per_second_sent"])
    assert "seconds_left" not in first
    assert 28 == second["seconds_left"]


def test_quiet_has_no_lines(time: Clock) -> None:
    log = io.StringIO()
    report = Report(stream=log)
    report.set_level("debug", quiet=True)
    lines = Lines(report, time)
    for phase in ("dumping", "sending the rest"):
        time.now += 100
        lines.show(phase, Figures())
    assert "" == log.getvalue()


@pytest.mark.parametrize(
    ("level", "expected"), [("debug", 2), ("info", 2), ("warning", 2), ("error", 1)]
)
def test_quiet_lets_warnings_and_errors_through(level: str, expected: int) -> None:
    log = io.StringIO()
    report = Report(stream=log)
    report.set_level(level, quiet=True)
    report.info("a step")
    report.warn("a warning")
    report.error("an error")
    assert expected == len(lines_of(log))


# What a terminal shows ---------------------------------------------------------------------


def drawn(figures: Figures, columns: int, phase: str = "dumping", encoding: str = "utf-8") -> str:
    bar = Bar(Report(stream=io.StringIO()))
    bar._phase, bar._figures = phase, figures
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    Console(file=file, width=columns, highlight=False).print(bar)
    return file.buffer.getvalue().decode()


@given(figures=FIGURES, columns=st.integers(2, 300), phase=st.sampled_from(["dumping", "x y"]))
def test_no_line_is_wider_than_the_terminal(figures: Figures, columns: int, phase: str) -> None:
    lines = drawn(figures, columns, phase).splitlines()
    assert len(lines) in {2, 3}
    assert max(len(line) for line in lines) < columns


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            100,
            [
                "  dump    ████████░░░░░░░░  1,234,567 of ~2,469,134 rows  95.4 MiB  0 B/s",
                "  upload  ████░░░░░░░░░░░░  20.0 of 80.0 MiB  0 B/s  35 of 1,039 files",
            ],
        ),
        (
            40,
            [
                "  dump    1.2M of ~2.5M rows  95.4 MiB",
                "  upload  20.0 of 80.0 MiB  0 B/s",
            ],
        ),
    ],
)
def test_dump_and_upload_side_by_side(columns: int, expected: list[str]) -> None:
    figures = Figures(1_234_567, 2_469_134, 100_000_000, 35, 1004, 20 << 20, 80 << 20)
    assert expected == drawn(figures, columns).splitlines()[1:]


def test_a_terminal_without_unicode() -> None:
    shown = drawn(Figures(1, 2, 3, 4, 5, 6, 7), 100, encoding="ascii")
    assert "########--------" in shown


def test_a_taken_up_dump_is_not_shown_as_one() -> None:
    shown = drawn(Figures(files_waiting=2, known_bytes=10), 100, "sending the rest")
    assert "rows" not in shown
    assert "0 of 2 files" in shown


def test_texts_for_people() -> None:
    assert ["0:00", "1:05", "2:03:04"] == [clock(0.2), clock(65), clock(7384)]
    assert ["59.4 s", "1:00"] == [spell(59.44), spell(60)]
    assert ["3 of 7", "7 of 7", "7 of ~9", "7", "0"] == [
        of(3, 7),
        of(7, 7),
        of(7, 9, about="~"),
        of(9, 7, about="~").replace("9", "7"),
        of(0, 0, about="~"),
    ]
    assert ["1.0 of 2.0 KiB", "1023 B of 1.0 KiB", "2.0 of 2.0 KiB"] == [
        of_size(1024, 2048),
        of_size(1023, 1024),
        of_size(2048, 1),
    ]


# How it closed -----------------------------------------------------------------------------

TEXT = st.text(st.characters(), max_size=60)


def facts(**more: Any) -> dict[str, Any]:
    return vars(Report(stream=io.StringIO()).summary) | {"backup": "s3://b/x"} | more


@given(
    message=TEXT,
    said=st.tuples(TEXT, TEXT, TEXT),
    warnings=st.lists(TEXT, max_size=8),
    name=st.none() | TEXT,
    status=st.sampled_from(["complete", "failed"]),
    figures=st.none() | FIGURES,
    styled=st.booleans(),
)
def test_it_closes_whatever_was_said(
    message: str,
    said: tuple[str, str, str],
    warnings: list[str],
    name: str | None,
    status: str,
    figures: Figures | None,
    styled: bool,
) -> None:
    given_ = facts(message=message, warnings=warnings, name=name, status=status)
    text = closing(given_, said, figures, styled=styled)
    assert text.endswith("\n")
    assert styled or not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)
    assert ("Complete" if status == "complete" else "Failed:") in text


def test_the_table_of_a_backup() -> None:
    done = facts(
        status="complete",
        exit_code=0,
        snapshot={"tso": "4621", "time": None},
        files=1039,
        bytes=100 << 20,
        seconds={"total": 73.2, "dump": 50.0, "upload_after_dump": 10.0},
        warnings=[f"warning {number}" for number in range(7)],
    )
    figures = Figures(rows=12_345, sent_bytes=120 << 20)
    assert (
        "Complete, with 7 warnings\n"
        "  backup    s3://b/x\n"
        "  snapshot  4621\n"
        "  holds     1,039 files, 100.0 MiB\n"
        "  dump      50.0 s, 2.0 MiB/s\n"
        "  upload    120.0 MiB sent, 1:00, 10.0 s of it after the dump, 2.0 MiB/s\n"
        "  total     1:13\n"
        "  warnings  warning 0\n"
        "            warning 1\n"
        "            warning 2\n"
        "            warning 3\n"
        "            warning 4\n"
        "            and 2 more, in the log above\n"
    ) == closing(done, ["", "", ""], figures, styled=False)


def test_the_table_of_a_backup_that_was_taken_up() -> None:
    seconds = {"total": 4.0, "dump": 0.0, "upload_after_dump": 2.0}
    done = facts(
        status="complete", seconds=seconds, resumed=True, bytes=5, files=1, backup="s3://b"
    )
    shown = closing(done, ["", "", ""], Figures(sent_bytes=4), styled=False)
    assert "  upload  4 B sent, 2.0 s, 2 B/s\n" in shown
    assert "  total   4.0 s, taken up from an earlier run\n" in shown
    assert "dump" not in shown
