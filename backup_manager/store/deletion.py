"""Deleting many objects: in bulk, and one by one where a store does not take that."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from backup_manager.ahead import ahead
from backup_manager.errors import StoreError
from backup_manager.signals import Stop
from backup_manager.store.client import Listed, Store
from backup_manager.store.faults import FAULTS, passing, refused
from backup_manager.store.locks import lock_on

_T = TypeVar("_T")
_R = TypeVar("_R")
_MOST = 1000  # S3's limit for one DeleteObjects
# A million objects one after the other would take hours.
_BATCHES_AT_ONCE, _SINGLES_AT_ONCE = 4, 4


class Gone(NamedTuple):
    """So many objects that were deleted, and their bytes."""

    objects: int
    bytes: int


class Deletion:
    """Deletes objects of one bucket; what is gone already is success.

    With ``stop``, many at once. Without it, one call after the other, in the caller's thread: the
    orderly end after a signal has to be so. ``marked``: whether an answer has said that the bucket
    keeps versions, so that what was deleted only got a marker.
    """

    def __init__(self, store: Store, stop: Stop | None = None) -> None:
        self.marked = False
        self._store = store
        self._stop = stop
        self._bulk = store.provider.bulk_delete

    def delete(self, items: Iterable[Listed]) -> Iterator[Gone]:
        """Delete objects, of which a few thousand are in memory; yield what is gone.

        Raises StoreError for one that cannot be deleted; some that follow it may be gone.
        """
        yield from self._each(self._batch, _batches(iter(items)), _BATCHES_AT_ONCE)

    def one(self, key: str) -> None:
        """Delete one object. Raises StoreError, which names the lock where that is the cause."""
        try:
            self.marked |= self._store.delete_one(key)
        except StoreError as error:
            cause = error.__cause__
            held = lock_on(self._store, key) if cause and refused(cause) else ""
            if not held:
                raise
            raise StoreError(
                f"{self._store.settings.url(key)}: cannot delete it",
                why=f"it is locked: {held}",
                fix="wait for the lock's end, or have who may do so take it away",
            ) from error

    def _each(self, call: Callable[[_T], _R], items: Iterable[_T], at_once: int) -> Iterator[_R]:
        if self._stop is None:
            yield from map(call, items)
            return
        with closing(ahead(call, items, at_once=at_once, look=self._stop.check)) as results:
            yield from results

    def _batch(self, batch: list[Listed]) -> Gone:
        keys = [item.key for item in batch]
        left = self._in_bulk(keys) if self._bulk else keys
        for _ in self._each(self.one, left, _SINGLES_AT_ONCE):
            pass
        return Gone(len(batch), sum(item.bytes for item in batch))

    def _in_bulk(self, keys: list[str]) -> list[str]:
        """Delete up to 1,000 objects at once; return those that this did not do for certain.

        Why it did not is told by the single delete that follows: of some keys only it is refused
        for a reason; some stores know no other, want another checksum, or refuse it to this key.
        """
        # Not quiet: only what the answer names is known to be gone.
        objects = {"Objects": [{"Key": key} for key in keys], "Quiet": False}
        settings = self._store.settings

        def ask() -> Any:
            return self._store.client.delete_objects(Bucket=settings.bucket, Delete=objects)

        try:
            answer = self._store.attempt(ask)
        except FAULTS as error:
            if not passing(error):
                self._bulk = False
            return keys
        deleted = answer.get("Deleted", ())
        if any(item.get("DeleteMarker") for item in deleted):
            self.marked = True
        gone = {item.get("Key") for item in deleted}
        return [key for key in keys if key not in gone]


def _batches(items: Iterator[Listed]) -> Iterator[list[Listed]]:
    while batch := list(islice(items, _MOST)):
        yield batch
