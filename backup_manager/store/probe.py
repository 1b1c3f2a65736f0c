"""Whether the store can be used, found out by doing: list, write and delete under the prefix."""

import hashlib
from collections.abc import Callable, Collection
from contextlib import suppress
from itertools import islice
from typing import TypeVar

from backup_manager.bounded import bounded
from backup_manager.errors import Reason, StoreError
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.asked import explain_writing
from backup_manager.store.client import Store
from backup_manager.store.faults import FAULTS, AnswerError, code_of, explain
from backup_manager.store.multipart import Multipart
from backup_manager.store.settings import Retention
from backup_manager.store.wire import Body, Wire

_T = TypeVar("_T")

GIVE_UP_SECONDS = 60.0
# Of everything that is written to see whether it can be; what begins so is nobody's data.
NAME = ".backup-manager-probe-"
TEXT = b"backup-manager was here to see whether it can write; this may be deleted.\n"
_MOST_LEFT = 20
_BAD_REQUEST = 400


def prove(store: Store, *, run_id: str, stop: Stop, report: Report, seconds: float) -> None:
    """List, write and delete a probe under the prefix; takes at most ``seconds``, and 60 s.

    Raises StoreError (exit 7). Where only the delete is refused, a warning names what stays.
    """
    key = store.settings.key(f"{NAME}{run_id}")
    left: list[str] = []

    def list_and_write() -> None:
        # Listing proves the bucket, the key and the clock, and that a backup can be verified later.
        left[:] = others(store, key)
        check_lock(store, store.options.retention)
        write(store, store.wire(), key)

    within(store, stop, list_and_write, seconds=min(seconds, GIVE_UP_SECONDS))
    try:
        store.delete_one(key)
        clear_away(store, left)
    except StoreError as error:
        report.warn(stays(store, key, error))


def within(store: Store, stop: Stop, call: Callable[[], _T], *, seconds: float) -> _T:
    """Make calls to the store for so many seconds at most; raise StoreError after that."""
    try:
        return bounded(stop, call, seconds=seconds)
    except TimeoutError as error:
        if store.last_fault:
            where = store.settings.place
            raise explain(store.last_fault, "use it", where, Reason.STORE) from error
        raise StoreError(
            f"{store.settings.place}: the store does not answer",
            why=f"nothing within {seconds:.0f} s",
            fix="check --endpoint, its port and the network",
        ) from error


def others(store: Store, name: str) -> list[str]:
    """Return the keys of probes that were left, but those that begin with ``name``: 20 at most."""
    probes = islice(store.objects(store.settings.key(NAME)), _MOST_LEFT)
    return [item.key for item in probes if not item.key.startswith(name)]


def clear_away(store: Store, keys: Collection[str]) -> None:
    """Delete what killed runs left of their probes; one at work misses nothing, or tries again."""
    for key in keys:
        store.delete_one(key)
    if keys:
        # A doctor that was killed may have left an upload too; it had an object beside.
        multipart = Multipart(store)
        with suppress(StoreError):
            for key, upload_id in multipart.uploads(store.settings.key(NAME)):
                multipart.abort(key, upload_id)


def stays(store: Store, key: str, error: StoreError) -> str:
    """Say that a probe could not be deleted."""
    return (
        f"{store.settings.url(key)} stays: the store refuses to delete it ({error.why}). What "
        "a failed run leaves under the prefix stays too. To do: allow s3:DeleteObject there"
    )


def write(store: Store, wire: Wire, key: str) -> None:
    """Write a probe; learn whether the store wants a Content-MD5. Raises StoreError."""
    try:
        try:
            store.attempt(lambda: wire.put(key, body(store), locked=False))
        except AnswerError as error:
            if store.content_md5 or not _wants_content_md5(error):
                raise
            store.content_md5 = True
            store.attempt(lambda: wire.put(key, body(store), locked=False))
    except FAULTS as error:
        raise explain_writing(error, "write there", key, Reason.STORE, store) from error


def check_lock(store: Store, retention: Retention | None) -> None:
    """Raise StoreError where Object Lock is asked for and the bucket has none.

    The probe itself is not locked: it could not be deleted.
    """
    if retention is None:
        return
    bucket = store.settings.bucket
    try:
        store.attempt(lambda: store.client.get_object_lock_configuration(Bucket=bucket))
    except FAULTS as error:
        # A key that may not ask may lock all the same.
        if code_of(error) == "ObjectLockConfigurationNotFoundError":
            raise StoreError(
                f"{store.settings.place}: objects cannot be locked",
                why="the bucket has no Object Lock",
                fix="leave --object-lock-mode out, or take a bucket that was made with Object Lock",
            ) from error


def body(store: Store) -> Body:
    """Return what a probe holds, as a body for this store."""
    md5 = hashlib.md5(TEXT, usedforsecurity=False).digest()
    return Body(
        read=lambda: [TEXT],
        length=len(TEXT),
        sha256=hashlib.sha256(TEXT).hexdigest(),
        md5=md5 if store.content_md5 else None,
    )


def _wants_content_md5(error: AnswerError) -> bool:
    """Tell whether the store refuses what has no Content-MD5: a bucket's default Object Lock."""
    return error.status == _BAD_REQUEST and "content-md5" in error.message.lower()
