"""Calls side by side: the results in order, never too many at once, and an end at any time."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.ahead import ahead


def nothing() -> None:
    """Look at nothing."""


@given(
    items=st.lists(st.integers(), max_size=40),
    at_once=st.integers(1, 4),
    window=st.integers(0, 9),
)
def test_results_come_in_order(items: list[int], at_once: int, window: int) -> None:
    found = ahead(lambda item: item + 1, items, at_once=at_once, window=window, look=nothing)
    assert [item + 1 for item in items] == list(found)


@given(at_once=st.integers(1, 4), window=st.integers(0, 9))
def test_no_more_is_taken_than_the_window_holds(at_once: int, window: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(50):
            taken += 1
            yield number

    with closing(ahead(str, items(), at_once=at_once, window=window, look=nothing)) as found:
        for number, _ in enumerate(found):
            assert taken - number <= (window or 2 * at_once)


def test_a_failure_comes_in_its_turn() -> None:
    found = ahead(lambda item: 1 // item, [1, 1, 0, 1], at_once=4, look=nothing)
    assert [1, 1] == [next(found), next(found)]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_a_time_out_of_the_calls_own_is_its_failure() -> None:
    def late(_: int) -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        list(ahead(late, [1], at_once=1, look=nothing))


def test_the_look_ends_it_while_nothing_comes() -> None:
    released = threading.Event()

    def enough() -> None:
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        list(ahead(lambda _: released.wait(60), [1, 2], at_once=1, look=enough))
    released.set()
