"""Writing into the Backup object, beside everybody else who writes there."""

import random
import time
from collections.abc import Callable
from typing import Any

from backup_manager.errors import KubernetesError, Reason
from backup_manager.kubernetes.api import CONFLICT, NOT_FOUND, UNAUTHORIZED, BackupApi, passing
from backup_manager.kubernetes.status import Wanted, merged, without_progress

# Between two writes that change nothing but the progress: each wakes everybody who watches.
PROGRESS_SECONDS = 10.0
_CONFLICTS = 10
# A token that is just being renewed is right in a moment.
_SOON_RIGHT = {CONFLICT, UNAUTHORIZED}
_PAUSE_SECONDS = 0.05
_RETRY_SECONDS = 2.0


class Writer:
    """Keeps the object's status as it is wanted. Used by one thread at a time.

    ``seen`` is the object as it was read last: a PUT carries its resourceVersion, so that nothing
    is overwritten that was not seen.
    """

    def __init__(self, api: BackupApi, seen: dict[str, Any]) -> None:
        self._api = api
        self._seen = seen
        self._uid = seen["metadata"].get("uid")
        self._written_at = -PROGRESS_SECONDS

    def write(self, wanted: Wanted) -> None:
        """Write what is wanted, unless it is there; another's change meanwhile is taken in.

        Raises KubernetesError; the reason is UpdateBackupStatusFailed.
        """
        try:
            for number in range(_CONFLICTS):
                try:
                    self._try(wanted)
                except KubernetesError as error:
                    if error.status != CONFLICT or number == _CONFLICTS - 1:
                        raise
                    # Others are at it too: not all of them again at the same moment.
                    time.sleep(random.uniform(0, _PAUSE_SECONDS * number))  # noqa: S311 - no secret
                    self._seen = self._read()
                else:
                    return
        except KubernetesError as error:
            error.reason = Reason.STATUS
            raise

    def insist(self, wanted: Wanted, seconds: float, left: Callable[[float], float]) -> None:
        """Write it as ``write`` does, tried again for ``seconds`` where that may help.

        ``left`` says how much of that there is still. Raises KubernetesError.
        """
        give_up = time.monotonic() + seconds
        while True:
            try:
                self.write(wanted)
            except KubernetesError as error:
                rest = left(give_up - time.monotonic())
                if rest <= 0 or not (passing(error) or error.status in _SOON_RIGHT):
                    raise
                time.sleep(min(_RETRY_SECONDS, rest))
            else:
                return

    def _try(self, wanted: Wanted) -> None:
        body = merged(self._seen, wanted)
        if body == self._seen:
            return
        now = time.monotonic()
        only_progress = "status" in self._seen and (
            without_progress(body) == without_progress(self._seen)
        )
        if only_progress and now - self._written_at < PROGRESS_SECONDS:
            return
        self._seen = self._api.write(body)
        self._written_at = now

    def _read(self) -> dict[str, Any]:
        body = self._api.read()
        if body["metadata"].get("uid") != self._uid:
            raise KubernetesError(
                f"{self._api} is another one now",
                why="it was deleted, and made anew",
                status=NOT_FOUND,
            )
        return body
