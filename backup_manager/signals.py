"""SIGTERM and SIGINT: asked to stop, the program ends within 25 s in every phase.

This module is imported before everything heavy and imports nothing heavy itself. The signals are
seen by a thread (through the wake-up descriptor), so that they count even while the main thread
sits in a call that cannot be interrupted; that thread is also the last resort when the orderly end
takes too long. It works the same as PID 1, where a signal without a handler is ignored.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from backup_manager.errors import InterruptedBySignalError

# Kubernetes' default grace period is 30 s; the contract promises 25 s.
ORDERLY_SECONDS = 19.0
LAST_RESORT_SECONDS = 23.0
LAST_WORDS_SECONDS = 1.5


class Stop:
    """Whether the run was asked to end; everything that waits, waits on this."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._signum = 0
        self._requested_at = 0.0
        self._noticed = False
        self.last_resort: Callable[[InterruptedBySignalError], int] | None = None

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self, signum: int) -> None:
        """Ask the run to end; only the first request counts."""
        if not self._event.is_set():
            self._signum = signum
            self._requested_at = time.monotonic()
            self._event.set()

    @property
    def error(self) -> InterruptedBySignalError:
        return InterruptedBySignalError(self._signum)

    @property
    def ending(self) -> bool:
        """Whether the main thread knows of the request: what it does now is the orderly end."""
        known = self._noticed and self.requested
        return known and threading.current_thread() is threading.main_thread()

    def begin_end(self) -> None:
        """Tell that the main thread undoes from now on, whatever it was that ended the run.

        A request, also a later one, then does not cut that short, but bounds it.
        """
        self._noticed = True

    def check(self) -> None:
        """Raise InterruptedBySignalError if the run was asked to end."""
        if self._event.is_set():
            self._raise()

    def wait(self, seconds: float) -> None:
        """Wait; raise InterruptedBySignalError as soon as the run is asked to end."""
        if self._event.wait(seconds):
            self._raise()

    def _raise(self) -> NoReturn:
        if threading.current_thread() is threading.main_thread():
            self._noticed = True
        raise self.error

    def seconds_left(self, at_most: float) -> float:
        """Seconds that a step of the orderly end may still take, ``at_most`` without a request."""
        if not self._event.is_set():
            return at_most
        left = self._requested_at + ORDERLY_SECONDS - time.monotonic()
        return max(0.0, min(at_most, left))


def install() -> Stop:
    """Set the handlers and start the watching thread; call it from the main thread, once."""
    stop = Stop()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # The handler itself does nothing: that it is set makes Python write the number to the pipe.
    handled = [signal.SIGTERM]
    # A shell starts background jobs with SIGINT ignored: that wish is respected.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        handled.append(signal.SIGINT)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for signum in handled:
        signal.signal(signum, lambda *_: None)
    watching = threading.Thread(target=_watch, args=(stop, reader, handled), daemon=True)
    watching.name = "signals"
    watching.start()
    # entrypoint.sh has blocked them till here.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
    return stop


def ignore() -> None:
    """Ignore both signals from now on, to the end of the process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _watch(stop: Stop, reader: int, handled: list[signal.Signals]) -> None:
    while not stop.requested:
        for number in os.read(reader, 64):
            if number in handled:
                stop.request(number)
    time.sleep(LAST_RESORT_SECONDS)
    code = int(stop.error.exit_code)
    # A terminal that Ctrl-S holds, or a pipe that nobody empties, would keep its words for ever.
    bound = threading.Timer(LAST_WORDS_SECONDS, os._exit, [code])
    bound.daemon = True
    bound.start()
    try:
        if stop.last_resort:
            code = stop.last_resort(stop.error)
    finally:
        os._exit(code)
