"""Calls that may block for long, made so that a signal still ends the run in time."""

import math
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from backup_manager.signals import Stop

_T = TypeVar("_T")
_LOOK_SECONDS = 0.1


class Call(Generic[_T]):
    """A call under way in a thread of its own, which ends with the process at the latest."""

    def __init__(self, call: Callable[[], _T]) -> None:
        self._call = call
        self._results: list[_T] = []
        self._errors: list[BaseException] = []
        self._done = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="bounded call").start()

    def _run(self) -> None:
        try:
            self._results.append(self._call())
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread
            self._errors.append(error)
        finally:
            self._done.set()

    def done(self, seconds: float) -> bool:
        """Wait, at most so long, and tell whether it is over."""
        return self._done.wait(seconds)

    def result(self) -> _T:
        """Return what it returned, or raise what it raised, once it is over."""
        if self._errors:
            raise self._errors[0]
        return self._results[0]


def bounded(stop: Stop, call: Callable[[], _T], *, seconds: float = math.inf) -> _T:
    """Make the call in a thread of its own and wait for its result, at most ``seconds``.

    A signal raises InterruptedBySignalError at once; a call that is part of the orderly end has
    what is left of it. Raises TimeoutError at the bound, else what the call raises; a call that
    was given up goes on unheeded.
    """
    ending = stop.ending
    if not ending:
        stop.check()
    give_up = time.monotonic() + stop.seconds_left(seconds)
    under_way = Call(call)
    while not under_way.done(_LOOK_SECONDS):
        if not ending:
            stop.check()
        if time.monotonic() >= give_up:
            raise TimeoutError("no answer in time")
    return under_way.result()


def shielded(stop: Stop, call: Callable[[], _T]) -> _T:
    """Make a call that a signal does not cut short while there is time for an orderly end.

    Raises InterruptedBySignalError when that time is over, else what the call raises.
    """
    under_way = Call(call)
    while not under_way.done(_LOOK_SECONDS):
        if stop.requested and stop.seconds_left(math.inf) <= _LOOK_SECONDS:
            stop.check()
    return under_way.result()
