"""What changes nothing is asked again while the database is away for a moment."""

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, wait_random_exponential

from backup_manager.database.connection import Database
from backup_manager.database.failures import AnswerError

# A TiDB server that restarts, or a load balancer that finds another one.
RECOVERY_SECONDS = 60.0
# For what a backup can be without.
BRIEF_SECONDS = 5.0
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 1.0

_Answer = TypeVar("_Answer")


def patiently(
    database: Database, ask: Callable[[], _Answer], *, seconds: float = RECOVERY_SECONDS
) -> _Answer:
    """Return what ``ask`` returns, which is called anew for ``seconds`` while the way there fails.

    Less where the run waits for its database for less time than that. For the main thread. Raises
    what the last call raised, and InterruptedBySignalError.
    """
    until = time.monotonic() + min(seconds, database.patience)
    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, AnswerError) and error.passing),
        stop=lambda _: time.monotonic() >= until,
        wait=wait_random_exponential(_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS),
        sleep=database.stop.wait,
        reraise=True,
    )
    return retrying(ask)
