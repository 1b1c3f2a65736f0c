"""Reading objects: small ones whole, large ones range by range, each tried again by itself."""

import hashlib
import threading
from collections.abc import Callable
from datetime import datetime
from typing import BinaryIO, TypeVar, cast

from backup_manager.bounded import bounded
from backup_manager.errors import MismatchError
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.client import Store
from backup_manager.store.faults import FAULTS, code_of, explain, not_found, status_of
from backup_manager.store.headers import moment_of
from backup_manager.store.trying import Trying
from backup_manager.store.wire import Got

_T = TypeVar("_T")
RANGE_BYTES = 4 << 20
# The statuses of answers to a range that the object has not, or not all of it (RFC 9110, 14).
_OTHER_RANGE = {206, 416}


class Reader:
    """Reads objects of one bucket; safe to use from every thread.

    What may pass is tried again for the store's ``patience``. Every method raises StoreError.
    """

    def __init__(self, store: Store, *, stop: Stop, report: Report) -> None:
        self.wire = store.wire()
        self._stop = stop
        self._trying = Trying(store, stop=stop, report=report)
        self._url = store.settings.url

    def whole(self, key: str, *, limit: int) -> Got | None:
        """Read an object, at most ``limit`` bytes and one more; None if there is none."""

        def read() -> Got | None:
            try:
                return self.wire.get(key, limit=limit)
            except FAULTS as error:
                # Not by the status alone, which others in between answer with too.
                if code_of(error) == "NoSuchKey" and not_found(error):
                    return None
                raise

        return self._call(key, read)

    def span(self, key: str, first: int, count: int, *, size: int) -> bytes:
        """Read so many bytes from the one at ``first`` on of an object that has ``size`` bytes.

        Raises MismatchError too, where there is no such object, or it has another size.
        """

        def read() -> bytes:
            try:
                got = self.wire.get(key, (first, count), limit=count)
            except FAULTS as error:
                if not_found(error):
                    raise _misfit(self._url(key), "it is missing") from error
                if status_of(error) in _OTHER_RANGE:
                    raise _misfit(self._url(key), f"it has not {size} bytes: {error}") from error
                raise
            # Of who knows no ranges it is the whole, as ``wire`` has seen to.
            said = str(got.headers.get("Content-Range") or f"/{len(got.data)}").rpartition("/")[2]
            if said not in {str(size), "*"}:
                raise _misfit(self._url(key), f"it has {said} bytes instead of {size}")
            return got.data

        return self._call(key, read)

    def end(self) -> None:
        """Cut what is under way; nothing is tried again, by any call of the same store."""
        self._trying.end()
        self.wire.cut()

    def _call(self, key: str, call: Callable[[], _T]) -> _T:
        try:
            if threading.current_thread() is threading.main_thread():
                # A signal ends it: nobody else cuts what this thread waits for.
                return bounded(self._stop, lambda: self._trying.run(call))
            return self._trying.run(call)
        except FAULTS as error:
            raise explain(error, "read it", self._url(key), None) from error


class ObjectStream:
    """An object as a file to be read from its beginning to its end; in memory is a range of it.

    ``bytes`` is its size, ``sha256`` that of what was read so far. Raises StoreError.
    """

    def __init__(self, reader: Reader, key: str) -> None:
        """Read its first range; raises MismatchError where there is no such object."""
        first = reader.whole(key, limit=RANGE_BYTES)
        if first is None:
            raise MismatchError(
                f"{key} is missing in the store",
                why="the commit record names it",
                fix="see who deletes objects there; this backup cannot be used",
            )
        self.bytes = int(first.headers.get("Content-Length") or len(first.data))
        self._reader = reader
        self._key = key
        self._first = first.data[:RANGE_BYTES]
        self.rewind()

    def rewind(self) -> None:
        """Begin at the first byte again."""
        self._block, self._at, self._next = self._first, 0, len(self._first)
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int) -> bytes:
        """Return at most so many bytes, none at the end."""
        if self._at == len(self._block) and self._next < self.bytes:
            count = min(RANGE_BYTES, self.bytes - self._next)
            self._block = self._reader.span(self._key, self._next, count, size=self.bytes)
            self._at, self._next = 0, self._next + count
        piece = self._block[self._at : self._at + size]
        self._at += len(piece)
        self._digest.update(piece)
        return piece

    def hash_all(self) -> str:
        """Return the SHA-256 of the whole; it stands at its beginning again then."""
        while self.read(RANGE_BYTES):
            pass
        found = self.sha256
        self.rewind()
        return found

    @property
    def file(self) -> BinaryIO:
        """The same, to those that want a file; it can do no more than be read."""
        return cast(BinaryIO, self)


def _misfit(url: str, why: str) -> MismatchError:
    return MismatchError(
        f"{url} is not what was written",
        why=why,
        fix="see who deletes or changes objects there; backup-manager verify tells what else is "
        "damaged",
    )


def last_modified(got: Got) -> datetime | None:
    """Return when the store took the object, by the store's clock, as far as it says so."""
    return moment_of(got.headers, "Last-Modified")
