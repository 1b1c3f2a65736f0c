"""The first connection of a run: patient with what can pass, quick where nothing will."""

import time

from tenacity import RetryCallState, Retrying, retry_if_exception

from backup_manager.database.connection import OPERATION_SECONDS, Database
from backup_manager.database.failures import AnswerError, ConnectError
from backup_manager.database.source import Source
from backup_manager.durations import format_duration
from backup_manager.errors import DatabaseError
from backup_manager.report import Report
from backup_manager.signals import Stop

# TiDB Operator's rhythm: every 5 s.
INTERVAL_SECONDS = 5.0
# A name that does not resolve is more often a typing error than a cluster that starts.
UNKNOWN_HOST_SECONDS = 60.0
LOG_SECONDS = 30.0


def wait_for_database(
    source: Source,
    *,
    timeout: float,
    stop: Stop,
    report: Report,
    interval: float = INTERVAL_SECONDS,
    seconds: float = OPERATION_SECONDS,
) -> Database:
    """Connect and log in, trying for ``timeout`` seconds, every ``interval`` seconds.

    One attempt takes ``seconds`` at most. Raises DatabaseError: at once for a refused login or a
    TLS problem, after a minute for an unknown host, else when the time is up; UsageError for TLS
    files that cannot be used; InterruptedBySignalError where the run is asked to end.
    """
    database = Database(source, stop=stop, seconds=seconds, patience=timeout)
    patience = _Patience(source, timeout, interval, report)
    attempts = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, AnswerError) and error.passing),
        stop=patience.ended,
        wait=patience.pause,
        sleep=stop.wait,
        before_sleep=patience.say,
        reraise=True,
    )
    try:
        for attempt in attempts:
            with attempt:
                stop.check()
                database.identify()
    except AnswerError as error:
        database.close()
        raise patience.give_up(error) from error
    except BaseException:
        database.close()
        raise
    patience.reward(database)
    return database


class _Patience:
    """How long is waited for what, and how often it is said."""

    def __init__(self, source: Source, timeout: float, interval: float, report: Report) -> None:
        self._source = source
        self._timeout = timeout
        self._interval = interval
        self._report = report
        self._started = time.monotonic()
        self._unknown_since: float | None = None
        self._said_at: float | None = None

    def ended(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        now = time.monotonic()
        if isinstance(error, ConnectError) and error.unknown_host:
            self._unknown_since = self._unknown_since or now
            if now - self._unknown_since >= UNKNOWN_HOST_SECONDS:
                return True
        else:
            self._unknown_since = None
        return now - self._started >= self._timeout

    def pause(self, _state: RetryCallState) -> float:
        left = self._started + self._timeout - time.monotonic()
        return max(0.0, min(self._interval, left))

    def say(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        now = time.monotonic()
        if isinstance(error, AnswerError) and (
            self._said_at is None or now - self._said_at >= LOG_SECONDS
        ):
            self._said_at = now
            waited, limit = round(now - self._started), round(self._timeout)
            self._report.info(
                "waiting for the database", why=error.message, waited=waited, limit=limit
            )

    def give_up(self, error: AnswerError) -> DatabaseError:
        if not error.passing:
            return error
        tried = format_duration(round(time.monotonic() - self._started) * 1_000_000_000)
        return DatabaseError(error.what, why=f"{error.why} (tried for {tried})", fix=error.fix)

    def reward(self, database: Database) -> None:
        facts = {"host": self._source.address, "version": database.version}
        self._report.info("connected to the database", **facts)
