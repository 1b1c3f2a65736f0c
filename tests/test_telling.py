"""A run that tells of itself: what, when, and that nobody ever waits for it."""

import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.errors import ExitCode, HeldError, StoreError, UsageError
from backup_manager.metrics import metrics_sinks
from backup_manager.progress import Figures
from backup_manager.report import Report
from backup_manager.settings import Settings
from backup_manager.telling import Phase, State, Telling, Traffic
from backup_manager.telling.telling import Rate


class Listening:
    """A place that keeps what it is told; it fails or blocks as it is asked to."""

    name = "the place"

    def __init__(self) -> None:
        self.patience_seconds = 60.0
        self.told: list[State] = []
        self.failure: Exception | None = None
        self.begun = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self.news = threading.Condition()

    def tell(self, state: State) -> None:
        self.begun.set()
        assert self.open.wait(60)
        with self.news:
            self.told.append(state)
            self.news.notify_all()
        if self.failure:
            raise self.failure

    def hears(self, phase: Phase) -> State:
        """The first that it is told of this phase."""
        with self.news:
            assert self.news.wait_for(lambda: phase in [s.phase for s in self.told], 60)
            return next(state for state in self.told if state.phase is phase)


@pytest.fixture
def place() -> Iterator[Listening]:
    place = Listening()
    yield place
    place.open.set()


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def report(log: io.StringIO) -> Report:
    return Report(stream=log, level="debug")


def events(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_it_is_told_at_each_phase_and_at_the_end(place: Listening, report: Report) -> None:
    telling = Telling([place], report)
    telling.enter(Phase.CONNECTING)
    assert place.hears(Phase.CONNECTING).ended is None
    telling.show(Figures(rows=5), Traffic(sent_bytes=6, retries=7))
    telling.hold_gc_off(True)
    telling.enter(Phase.DUMPING)
    dumping = place.hears(Phase.DUMPING)
    assert (Figures(rows=5), Traffic(6, 7)) == (dumping.figures, dumping.traffic)
    assert dumping.gc_held_off
    assert 0 < dumping.seconds[Phase.CONNECTING]
    telling.hold_gc_off(False)
    telling.publish(
        {
            "finished": "2026-11-22T10:00:00Z",
            "files": 3,
            "bytes": 4,
            "snapshot": {"tso": "5"},
        }
    )
    report.succeed("done")
    telling.finish(report.summary)
    last = place.told[-1]
    assert last.ended
    assert 0 == last.ended.exit_code
    assert last.phase is None
    assert not last.gc_held_off
    assert last.published
    assert (1_795_341_600, 3, 4) == (last.published.at, last.published.files, last.published.bytes)
    # All of its time was spent in some phase.
    assert sum(last.seconds.values()) <= last.ended.seconds
    assert [] == report.summary.warnings


def test_it_is_told_while_nothing_happens(
    place: Listening, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backup_manager.telling.telling.EVERY_SECONDS", 0.001)
    telling = Telling([place], report)
    telling.enter(Phase.DUMPING)
    with place.news:
        assert place.news.wait_for(lambda: len(place.told) > 2, 60)
    telling.finish(report.summary)
    seconds = [state.seconds[Phase.DUMPING] for state in place.told]
    assert sorted(set(seconds)) == seconds
    assert sorted({state.updated for state in place.told}) == [s.updated for s in place.told]


def test_nobody_waits_for_a_place_that_blocks(
    place: Listening, report: Report, log: io.StringIO
) -> None:
    other = Listening()
    other.name = "another"
    place.open.clear()
    telling = Telling([place, other], report)
    telling.enter(Phase.DUMPING)
    assert place.begun.wait(60)
    other.hears(Phase.DUMPING)
    for _ in range(1000):
        telling.show(Figures(), Traffic())
    telling.enter(Phase.UPLOADING)
    report.fail(StoreError("the store is away"))
    place.patience_seconds = 0.1
    telling.finish(report.summary)
    assert ["the place does not tell how this run ended: it takes too long"] == (
        report.summary.warnings
    )
    assert other.told[-1].ended
    assert ExitCode.STORE == other.told[-1].ended.exit_code


def test_a_place_that_fails_is_named_once_and_warned_of_only_at_the_end(
    place: Listening, report: Report, log: io.StringIO
) -> None:
    place.failure = PermissionError(13, "Permission denied")
    telling = Telling([place], report)
    telling.enter(Phase.CONNECTING)
    place.hears(Phase.CONNECTING)
    telling.enter(Phase.DUMPING)
    place.hears(Phase.DUMPING)
    # What stands there while the backup is recorded would be in its record.
    assert [] == report.summary.warnings
    telling.finish(report.summary)
    assert ["the place does not tell how this run ended: Permission denied"] == (
        report.summary.warnings
    )
    said = [event["event"] for event in events(log) if "be told" in event["event"]]
    assert ["the place could not be told of this run"] == said


def test_a_place_that_recovers_is_no_warning(
    place: Listening, report: Report, log: io.StringIO
) -> None:
    place.failure = ValueError("not yet")
    telling = Telling([place], report)
    telling.enter(Phase.CONNECTING)
    place.hears(Phase.CONNECTING)
    place.failure = None
    telling.enter(Phase.DUMPING)
    place.hears(Phase.DUMPING)
    telling.finish(report.summary)
    assert [] == report.summary.warnings
    assert "the place is told of this run again" in [event["event"] for event in events(log)]


def test_no_thread_is_to_be_had(
    place: Listening, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    telling = Telling([place], report)
    telling.enter(Phase.CONNECTING)
    telling.finish(report.summary)
    assert ["the place does not tell how this run ended: can't start new thread"] == (
        report.summary.warnings
    )


def test_a_run_that_fails_before_it_begins_is_told(place: Listening, report: Report) -> None:
    telling = Telling([place], report)
    report.fail(UsageError("no bucket is given"))
    telling.finish(report.summary)
    (state,) = place.told
    assert state.ended
    assert 2 == state.ended.exit_code


def test_a_run_that_only_waited_for_another_leaves_the_others_word(
    place: Listening, report: Report
) -> None:
    telling = Telling([place], report)
    report.fail(HeldError("another run holds it"))
    telling.finish(report.summary)
    assert [] == place.told
    telling.enter(Phase.CONNECTING)
    place.hears(Phase.CONNECTING)
    telling.finish(report.summary)
    assert place.told[-1].ended
    assert 10 == place.told[-1].ended.exit_code


def test_the_end_is_told_once(place: Listening, report: Report) -> None:
    telling = Telling([place], report)
    report.succeed("done")
    telling.finish(report.summary)
    report.fail(StoreError("too late"))
    telling.finish(report.summary)
    assert [0] == [state.ended.exit_code for state in place.told if state.ended]


def test_without_a_place_there_is_no_thread() -> None:
    before = threading.active_count()
    telling = Telling()
    telling.enter(Phase.DUMPING)
    telling.finish(Report().summary)
    assert before == threading.active_count()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=50), st.integers(0, 10**9))
def test_the_rate_of_a_steady_flow(steps: list[int], speed: int) -> None:
    rate, now = Rate(0, span=15), 0
    for seconds in steps:
        now += seconds
        rate.count(now * speed, now)
        assert speed == rate.at(now)


def test_the_rate_forgets_what_is_two_spans_ago() -> None:
    rate = Rate(0, span=15)
    rate.count(600, 15)
    assert 40 == rate.at(15)
    assert 20 == rate.at(30)
    rate.count(600, 30)
    rate.count(600, 45)
    assert 0 == rate.at(45)
    rate.count(900, 50)
    assert 15 == rate.at(50)


def test_the_rate_of_nothing_is_none() -> None:
    assert 0 == Rate(5.0).at(5.0)


# From settings ---------------------------------------------------------------------------------


def opened(report: Report, **flags: Any) -> Telling:
    return Telling(metrics_sinks(Settings({"bucket": "bucket", **flags}, {}), report), report)


def file_of(report: Report, path: Path, **flags: Any) -> str:
    telling = opened(report, metrics_file=str(path), **flags)
    report.fail(UsageError("it ends at once"))
    telling.finish(report.summary)
    return path.read_text()


@pytest.mark.parametrize(
    ("flags", "labels"),
    [
        ({}, 'destination="s3://bucket",source="127.0.0.1:4000"'),
        (
            {"prefix": "/x/y/", "name": "n", "host": "::1", "port": "4001"},
            'destination="s3://bucket/x/y",name="n",source="[::1]:4001"',
        ),
        # A schedule's backups have a name each.
        (
            {"name": "n-1", "schedule": "n"},
            'destination="s3://bucket",name="n",source="127.0.0.1:4000"',
        ),
    ],
)
def test_labels(report: Report, tmp_path: Path, flags: dict[str, str], labels: str) -> None:
    text = file_of(report, tmp_path / "m.prom", **flags)
    assert f"backup_manager_last_run_exit_code{{{labels}}} 2.0\n" in text


def test_no_secret_is_in_a_label(report: Report, tmp_path: Path) -> None:
    report.redact.add("hunter22")
    assert "hunter22" not in file_of(report, tmp_path / "m.prom", name="of-hunter22")


@pytest.mark.parametrize(
    "url",
    [
        "pushgateway:9091",
        "ftp://host",
        "http://",
        "http://host:0",
        "http://host:99999",
        "http://host?x",
        "http://[::1",
        "http://a b",
    ],
)
def test_a_gateway_that_is_no_address(report: Report, url: str) -> None:
    with pytest.raises(UsageError, match="pushgateway"):
        opened(report, pushgateway=url)


def test_a_gateways_address_holds_no_credentials(report: Report) -> None:
    with pytest.raises(UsageError, match="--pushgateway-auth-file") as caught:
        opened(report, pushgateway="https://user:hunter22@host")
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"user", b":password", b"a:b\nc:d", b"\xff:x"])
def test_credentials_that_are_none(report: Report, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "auth"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="--pushgateway-auth-file") as caught:
        opened(report, pushgateway="http://host", pushgateway_auth_file=str(file))
    assert "user:password" in caught.value.fix


def test_credentials_are_masked(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "auth"
    file.write_text("user:hunter22\n")
    opened(report, pushgateway="http://host", pushgateway_auth_file=str(file))
    assert "the password *** is" == report.redact("the password hunter22 is")


def test_nobody_pays_for_it_who_does_not_want_it() -> None:
    script = "import sys, backup_manager.cli; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert b"False\n" == done.stdout
