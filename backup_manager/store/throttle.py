"""How many requests may be under way at once: fewer when the store asks for it, and more again."""

import threading
from collections.abc import Callable
from typing import TypeVar

from backup_manager.report import Report
from backup_manager.store.faults import throttled

_T = TypeVar("_T")


class Throttle:
    """Additive increase, multiplicative decrease, as TCP does.

    A store that is overloaded answers sooner when it is asked less. The limit is halved once for
    all that was under way together, down to one, and grows by one for each limit's worth of
    successes.
    """

    def __init__(self, most: int, report: Report) -> None:
        self._most = most
        self._report = report
        self._turn = threading.Condition()
        self._limit = most
        self._under_way = 0
        self._round = 0
        self._successes = 0
        self._ended = False
        self.slowed = 0

    def run(self, call: Callable[[], _T]) -> _T:
        """Make the call when it is its turn, and learn from how it ends."""
        began_in = self._enter()
        try:
            result = call()
        except BaseException as error:
            self._leave(began_in, slower=throttled(error))
            raise
        self._leave(began_in, success=True)
        return result

    def end(self) -> None:
        """Let everybody go at once."""
        with self._turn:
            self._ended = True
            self._turn.notify_all()

    def _enter(self) -> int:
        with self._turn:
            while self._under_way >= self._limit and not self._ended:
                self._turn.wait()
            self._under_way += 1
            return self._round

    def _leave(self, began_in: int, *, slower: bool = False, success: bool = False) -> None:
        with self._turn:
            self._under_way -= 1
            if slower and began_in == self._round:
                if self._limit == self._most:
                    self._report.info("the store asks to slow down: fewer requests at once")
                self._limit = max(1, self._limit // 2)
                self.slowed += 1
                self._round += 1
                self._successes = 0
            elif success and self._limit < self._most:
                self._successes += 1
                if self._successes >= self._limit:
                    self._successes = 0
                    self._limit += 1
                    if self._limit == self._most:
                        self._report.info("the store keeps up again: requests at once as before")
            self._turn.notify(max(0, self._limit - self._under_way))
