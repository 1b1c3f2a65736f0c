"""One hot call, tried again while what goes wrong may pass; counted, and slowed where asked to."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception
from tenacity import wait_random_exponential as full_jitter

from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.client import Store
from backup_manager.store.faults import FAULTS, short_fault, throttled
from backup_manager.store.retries import Judge
from backup_manager.store.throttle import Throttle

_T = TypeVar("_T")


class Trying:
    """Makes calls to one store from many threads, each again and again for its ``patience``."""

    def __init__(self, store: Store, *, stop: Stop, report: Report) -> None:
        self.retries = 0
        self._throttle = Throttle(store.options.pace.requests_at_once, report)
        self._succeeded_at = time.monotonic()
        self._store = store
        self._stop = stop
        self._report = report
        self._lock = threading.Lock()
        self._ended = False

    @property
    def throttles(self) -> int:
        """How often the number of requests at once was halved."""
        return self._throttle.slowed

    def end(self) -> None:
        """Try nothing again from now on, by any call of the same store."""
        self._store.patience.end()
        self._ended = True
        self._throttle.end()

    def run(self, call: Callable[[], _T]) -> _T:
        """Make the call; raise the errors of ``faults.FAULTS`` that did not pass."""
        result = self._try(call)
        with self._lock:
            self._succeeded_at = time.monotonic()
            recovered, self._store.last_fault = self._store.last_fault, None
        if recovered is not None:
            self._report.info("the store answers again as it should")
        return result

    def _try(self, call: Callable[[], _T]) -> _T:
        try:
            # Nearly always once is enough, and tenacity costs as much as hashing a small file.
            return self._throttle.run(call)
        except FAULTS as error:
            failed = [error]
        began = time.monotonic()
        judge = Judge(self._store.credentials)

        def again() -> _T:
            if failed:
                raise failed.pop()
            return self._throttle.run(call)

        def given_up(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            # Who waits for its turn at a store that is slow does not starve, others go on.
            slow = error is not None and throttled(error)
            if state.attempt_number == self._store.options.attempts:
                return True
            return self._store.patience.over(max(began, self._succeeded_at) if slow else began)

        return Retrying(
            stop=given_up,
            wait=full_jitter(multiplier=0.5, max=20),
            retry=retry_if_exception(lambda error: not self._ended and judge(error)),
            sleep=self._stop.wait,
            before_sleep=self._say,
            reraise=True,
        )(again)

    def _say(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        with self._lock:
            self.retries += 1
        if self._store.last_fault is None:
            # Once for an outage, however many files meet it.
            self._report.info(
                "the store fails: it is asked again until it does not",
                why=short_fault(error),
                limit=self._store.patience.seconds,
            )
        self._store.last_fault = error
        self._report.debug("it is tried again", attempt=state.attempt_number, why=str(error))
