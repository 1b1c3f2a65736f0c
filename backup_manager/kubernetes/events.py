"""Events on a Backup object, where the role allows them; where not, silence."""

import secrets
import time
from collections.abc import Callable
from typing import Any

from backup_manager.errors import KubernetesError
from backup_manager.kubernetes.api import GROUP, KIND, VERSION, BackupApi, passing
from backup_manager.kubernetes.status import moment
from backup_manager.texts import cut

NORMAL, WARNING = "Normal", "Warning"
_COMPONENT = "backup-manager"
# The API refuses longer messages (core/validation, events.go).
_MESSAGE_BYTES = 1024
_TRIES = 5
_RETRY_SECONDS = 1.0


class Events:
    """Tells events one after the other, each once. Nothing here raises."""

    def __init__(self, api: BackupApi, body: dict[str, Any]) -> None:
        self._api = api
        self._uid = body["metadata"].get("uid")
        self._waiting: list[dict[str, Any]] = []
        self._allowed = True

    def probe(self) -> None:
        """Have the API say whether it would take an event. Raises KubernetesError."""
        self._api.create_event(self._body(NORMAL, "Probe", "not kept"), dry_run=True)

    def add(self, kind: str, reason: str, message: str) -> None:
        """Have an event told with the next ``send``."""
        self._waiting.append(self._body(kind, reason, message))

    def _body(self, kind: str, reason: str, message: str) -> dict[str, Any]:
        now = moment(time.time())
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{self._api.name}.{secrets.token_hex(8)}",
                "namespace": self._api.namespace,
            },
            "involvedObject": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": KIND,
                "namespace": self._api.namespace,
                "name": self._api.name,
                "uid": self._uid,
            },
            "type": kind,
            "reason": reason,
            "message": cut(message, _MESSAGE_BYTES),
            "source": {"component": _COMPONENT},
            "reportingComponent": _COMPONENT,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }

    def insist(self, left: Callable[[float], float]) -> None:
        """Tell what waits, tried again a few times where that may help; ``left`` bounds it."""
        for _ in range(_TRIES):
            self.send()
            if not (self._allowed and self._waiting) or left(_RETRY_SECONDS) <= 0:
                return
            time.sleep(left(_RETRY_SECONDS))

    def send(self) -> None:
        """Tell what waits; what the API does not take now is tried again with the next call."""
        while self._allowed and self._waiting:
            try:
                self._api.create_event(self._waiting[0])
            except KubernetesError as error:
                if passing(error):
                    return
                self._allowed = False
            else:
                self._waiting.pop(0)
