"""Whether the store can be used, found out by doing: list, write and delete under the prefix."""

import hashlib
from itertools import islice

from backup_manager.bounded import bounded
from backup_manager.errors import Reason, StoreError
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.client import Store
from backup_manager.store.faults import FAULTS, explain
from backup_manager.store.wire import Body

GIVE_UP_SECONDS = 60.0
_NAME = ".backup-manager-probe-"
_MOST_LEFT = 20
_TEXT = b"backup-manager was here to see whether it can write; this may be deleted.\n"


def prove(store: Store, *, run_id: str, stop: Stop, report: Report, seconds: float) -> None:
    """List, write and delete a probe under the prefix; takes at most ``seconds``, and 60 s.

    Raises StoreError (exit 7). Where only the delete is refused, a warning names what stays.
    """
    key = store.settings.key(f"{_NAME}{run_id}")
    left: list[str] = []
    seconds = min(seconds, GIVE_UP_SECONDS)
    try:
        bounded(stop, lambda: _list_and_write(store, key, left), seconds=seconds)
    except TimeoutError as error:
        if store.last_fault:
            url = store.settings.url("")
            raise explain(store.last_fault, "use it", url, Reason.STORE) from error
        raise StoreError(
            f"{store.settings.url('')}: the store does not answer",
            why=f"nothing within {seconds:.0f} s",
            fix="check --endpoint, its port and the network",
        ) from error
    try:
        store.delete_one(key)
        # Of runs that were killed at this moment; one at work misses nothing.
        for other in left:
            store.delete_one(other)
    except StoreError as error:
        report.warn(
            f"{store.settings.url(key)} stays: the store refuses to delete it ({error.why}). What "
            "a failed run leaves under the prefix stays too. To do: allow s3:DeleteObject there"
        )


def _list_and_write(store: Store, key: str, left: list[str]) -> None:
    # Listing proves the bucket, the key and the clock, and that a backup can be verified later.
    probes = islice(store.objects(store.settings.key(_NAME)), _MOST_LEFT)
    left[:] = [item.key for item in probes if item.key != key]
    body = Body(
        read=lambda: [_TEXT],
        length=len(_TEXT),
        sha256=hashlib.sha256(_TEXT).hexdigest(),
        md5=hashlib.md5(_TEXT, usedforsecurity=False).digest(),
    )
    url = store.settings.url(key)
    try:
        store.attempt(lambda: store.wire().put(key, body))
    except FAULTS as error:
        raise explain(error, "write there", url, Reason.STORE) from error
