"""The number of requests at once: halved when the store asks for it, and back again."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.store.faults import AnswerError
from backup_manager.store.throttle import Throttle
from tests.stores import eventually, new_report

SLOW_DOWN = AnswerError(503, "SlowDown", "")
BROKEN = AnswerError(500, "InternalError", "")


def fail(throttle: Throttle, error: Exception) -> None:
    def call() -> str:
        raise error

    with pytest.raises(type(error)):
        throttle.run(call)


class Crowd:
    """Threads that all want to call at once; tells how many are let in."""

    def __init__(self, throttle: Throttle, many: int) -> None:
        self.inside = 0
        self._lock = threading.Lock()
        self._go: Callable[[], str] = lambda: "answer"
        self._released = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(throttle,)) for _ in range(many)]
        for thread in self._threads:
            thread.start()

    def _call(self, throttle: Throttle) -> None:
        def call() -> str:
            with self._lock:
                self.inside += 1
            self._released.wait()
            return self._go()

        try:
            throttle.run(call)
        except AnswerError:
            return

    def end(self, go: Callable[[], str] = lambda: "answer") -> None:
        self._go = go
        self._released.set()
        for thread in self._threads:
            thread.join()


def limit(throttle: Throttle) -> int:
    """How many of many are let in at once."""
    crowd = Crowd(throttle, 20)
    eventually(lambda: throttle._under_way >= throttle._limit and crowd.inside > 0)
    eventually(lambda: crowd.inside == throttle._under_way)
    inside = crowd.inside
    throttle_round = throttle._successes, throttle._limit
    crowd.end()
    throttle._successes, throttle._limit = throttle_round
    return inside


def test_all_at_once_while_the_store_keeps_up() -> None:
    assert 16 == limit(Throttle(16, new_report()))


def test_a_store_that_asks_to_slow_down_is_asked_less() -> None:
    throttle = Throttle(16, new_report())
    found = []
    for _ in range(6):
        fail(throttle, SLOW_DOWN)
        found.append(limit(throttle))
    assert [8, 4, 2, 1, 1, 1] == found


def test_all_that_was_under_way_together_counts_once() -> None:
    throttle = Throttle(16, new_report())
    crowd = Crowd(throttle, 16)
    eventually(lambda: crowd.inside == 16)

    def refuse() -> str:
        raise SLOW_DOWN

    crowd.end(refuse)
    assert 8 == limit(throttle)


def test_other_errors_do_not_count() -> None:
    throttle = Throttle(16, new_report())
    fail(throttle, BROKEN)
    fail(throttle, ConnectionResetError())
    assert 16 == limit(throttle)


def test_it_comes_back() -> None:
    throttle = Throttle(4, new_report())
    for _ in range(2):
        fail(throttle, SLOW_DOWN)
    found = []
    for _ in range(1 + 2 + 3 + 5):
        throttle.run(lambda: "answer")
        found.append(throttle._limit)
    assert [2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4] == found


def test_at_the_end_nobody_waits() -> None:
    throttle = Throttle(1, new_report())
    crowd = Crowd(throttle, 5)
    eventually(lambda: crowd.inside == 1)
    throttle.end()
    eventually(lambda: crowd.inside == 5)
    crowd.end()


@given(st.lists(st.sampled_from(["slow", "broken", "good"]), max_size=200), st.integers(1, 16))
def test_it_never_stops_and_never_exceeds(outcomes: list[str], most: int) -> None:
    throttle = Throttle(most, new_report())
    for outcome in outcomes:
        if outcome == "good":
            assert "answer" == throttle.run(lambda: "answer")
        else:
            fail(throttle, SLOW_DOWN if outcome == "slow" else BROKEN)
        assert 1 <= throttle._limit <= most
        assert 0 == throttle._under_way
