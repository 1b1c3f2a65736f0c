"""Calls made side by side whose results come in order, and never many at once."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")
_LOOK_SECONDS = 0.1


def ahead(
    call: Callable[[_T], _R],
    items: Iterable[_T],
    *,
    at_once: int,
    look: Callable[[], None],
    window: int = 0,
) -> Generator[_R]:
    """Yield the result of each item in order, while so many of the next are under way.

    ``window``: how many results may wait for their turn, twice ``at_once`` if not said. ``look`` is
    called ten times a second while nothing comes, and may raise to end it. Raises what a call
    raises when it is its turn. Close it where it is not read to its end.
    """
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="ahead")
    pending: deque[Future[_R]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(call, item))
            if len(pending) >= (window or 2 * at_once):
                yield _wait(pending.popleft(), look)
        while pending:
            yield _wait(pending.popleft(), look)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _wait(future: Future[_R], look: Callable[[], None]) -> _R:
    while True:
        try:
            return future.result(_LOOK_SECONDS)
        except TimeoutError:
            # It may be the call's own.
            if future.done():
                raise
            look()
