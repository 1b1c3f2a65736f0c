"""Removing one backup from the store, so that it is never taken for a good one on the way.

The order: a tombstone, the record, the files, the open multipart uploads, the tombstone. Wherever
that was cut short, the tombstone tells the next one to end it; where none could be written, what is
left is a backup without a record.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from backup_manager.catalog.catalog import Catalog
from backup_manager.catalog.layout import Layout
from backup_manager.errors import Reason, StoreError
from backup_manager.progress import Figures, Progress
from backup_manager.store.client import Listed
from backup_manager.store.deletion import Deletion
from backup_manager.store.faults import FAULTS, explain, passing, refused, short_fault, status_of
from backup_manager.store.multipart import Multipart, Upload
from backup_manager.store.probe import NAME as PROBE
from backup_manager.store.wire import Body

_PASSES = 5
_PAUSE_SECONDS = 0.3
_TEXT = b"This backup is being removed; backup-manager prune or clean ends it.\n"
_CLIENT_ERRORS = range(400, 500)  # RFC 9110, 15.5
_UNKNOWN = datetime.max.replace(tzinfo=UTC)


class Removal:
    """Removes backups of one catalog; ``files`` and ``bytes`` are of the objects that are gone."""

    def __init__(self, catalog: Catalog, progress: Progress, known: Figures) -> None:
        """``known``: what is to be removed, as far as records tell.

        Raises StoreError for a key that may not delete, before anything was written.
        """
        self.files = self.bytes = 0
        self._catalog = catalog
        self._store = catalog.store
        self._progress = progress
        self._known = known
        self._deletion = Deletion(catalog.store, catalog.stop)
        # Else tombstones would be written into every backup, and could not be taken away.
        self._deletion.one(catalog.store.settings.key(f"{PROBE}delete"))

    def remove(self, layout: Layout, stays: Callable[[], str] | None = None) -> str:
        """Remove what is there of a backup.

        ``stays`` tells why it may not go after all, once a run that is at work on it can see that
        its removal was begun; that is returned, or nothing. Raises StoreError, the next call then
        goes on where this one ended.
        """
        self._mark(layout, _TEXT)
        try:
            why = stays() if stays else ""
        except BaseException:
            self._spare(layout)
            raise
        if why:
            self._unmark(layout)
            return why
        try:
            self._deletion.one(layout.record)
        except StoreError as error:
            if declined(error):
                self._spare(layout)
            raise
        self._empty(layout)
        self._deletion.one(layout.tombstone)
        if self._deletion.marked:
            self._catalog.report.warn(_versioned(self._catalog))
        return ""

    def _mark(self, layout: Layout, text: bytes) -> None:
        """Write the tombstone, as far as the key may and there is room."""
        body = Body(
            read=lambda: [text],
            length=len(text),
            sha256=hashlib.sha256(text).hexdigest(),
            # A bucket with Object Lock may want it; every store takes it.
            md5=hashlib.md5(text, usedforsecurity=False).digest(),
        )
        wire = self._catalog.reader.wire
        try:
            self._store.attempt(lambda: wire.put(layout.tombstone, body, locked=False))
        except FAULTS as error:
            if passing(error):
                url = self._store.settings.url(layout.tombstone)
                raise explain(error, "write it", url, None) from error
            self._catalog.report.debug("there is no tombstone", why=short_fault(error))

    def _spare(self, layout: Layout) -> None:
        """Let a backup stay what it was, as far as the store takes that."""
        with suppress(StoreError):
            self._unmark(layout)

    def _unmark(self, layout: Layout) -> None:
        try:
            self._deletion.one(layout.tombstone)
        except StoreError:
            # Who may not delete this backup's objects may overwrite them.
            self._mark(layout, b"")
            raise

    def _empty(self, layout: Layout) -> None:
        for number in range(_PASSES):
            if number > 1:
                # A store may go on with a request whose sender was killed.
                time.sleep(_PAUSE_SECONDS)
            if not self._pass(layout):
                return
        raise StoreError(
            f"{self._store.settings.url(layout.root)} is not empty",
            why="the store lists objects or multipart uploads that it has said to be gone",
            fix="see who writes there; then run the same command again",
        )

    def _pass(self, layout: Layout) -> int:
        """Remove what is there; return how much it was."""
        found = 0
        for gone in self._deletion.delete(self._objects(layout)):
            found += gone.objects
            self.files += gone.objects
            self.bytes += gone.bytes
            self._show()
        multipart = Multipart(self._store)
        for upload in open_uploads(self._catalog, layout):
            multipart.abort(upload.key, upload.id)
            found += 1
        return found

    def _objects(self, layout: Layout) -> Iterator[Listed]:
        for item in self._store.objects(layout.prefix):
            if layout.owns(item.key) and item.key != layout.tombstone:
                yield item

    def _show(self) -> None:
        known = self._known
        self._progress.show(
            "removing",
            Figures(
                verb="delete",
                files_sent=self.files,
                files_waiting=max(0, known.files_waiting - self.files),
                sent_bytes=self.bytes,
                known_bytes=max(known.known_bytes, self.bytes),
                moved_bytes=self.bytes,
            ),
        )


def removal_begun(catalog: Catalog, layout: Layout) -> bool:
    """Tell whether a backup's removal was begun, and has not come to its end. Raises StoreError."""
    # Listed, not read: it may not be encrypted as the rest is.
    found = catalog.store.objects(layout.tombstone)
    return any(layout.condemns(item.key, item.bytes) for item in found)


@contextmanager
def removing() -> Iterator[None]:
    """Give what the store refuses meanwhile the reason that TiDB Operator has for it."""
    try:
        yield
    except StoreError as error:
        error.reason = Reason.CLEAN
        raise


def declined(error: BaseException | None) -> bool:
    """Tell whether the store has said no to just that: a right, a lock or a policy is missing.

    Then nothing was changed; and of another backup it may not hold.
    """
    faults = faults_of(error)
    return any(_CLIENT_ERRORS.start <= status_of(one) < _CLIENT_ERRORS.stop for one in faults) and (
        not any(map(passing, faults))
    )


def faults_of(error: BaseException | None) -> list[BaseException]:
    """Return what of the store's has led to an error."""
    found: list[BaseException] = []
    while error is not None:
        found += [error] if isinstance(error, FAULTS) else []
        error = error.__cause__
    return found


def open_uploads(catalog: Catalog, layout: Layout) -> list[Upload]:
    """List the open multipart uploads of one backup, as far as the key may. Raises StoreError."""
    return [each for each in uploads_below(catalog, layout.prefix) if layout.owns(each.key)]


def uploads_below(catalog: Catalog, prefix: str) -> list[Upload]:
    """List the open multipart uploads of which the keys begin so; refused, it is a warning."""
    try:
        return Multipart(catalog.store).opened(prefix)
    except StoreError as error:
        if not any(map(refused, faults_of(error))):
            raise
        catalog.report.warn(
            f"open multipart uploads under {catalog.url} cannot be seen, and stay ({error.why}). "
            "To do: allow s3:ListBucketMultipartUploads, or have a lifecycle rule abort them"
        )
        return []


def last_written(catalog: Catalog, layout: Layout, enough: datetime) -> datetime | None:
    """Return when something was last written to a backup, by the store's clock.

    Its objects, its open uploads and their parts count. It ends early with what is later than
    ``enough``. None: there is nothing of it. Raises StoreError.
    """
    newest = None
    for moment in _moments(catalog, layout):
        catalog.stop.check()
        newest = max(newest or moment, moment)
        if newest > enough:
            break
    return newest


def _moments(catalog: Catalog, layout: Layout) -> Iterator[datetime]:
    # First, as they are the fewest: a run may be at work on one big file.
    multipart = Multipart(catalog.store)
    for upload in open_uploads(catalog, layout):
        yield upload.begun or _UNKNOWN
        if part := multipart.last_part(upload):
            yield part
    for item in catalog.store.objects(layout.prefix):
        if item.key == layout.record:
            yield _UNKNOWN  # it is there after all, whatever was answered when it was read
        elif layout.owns(item.key) and item.key != layout.tombstone:
            yield item.modified or _UNKNOWN


def _versioned(catalog: Catalog) -> str:
    return (
        f"{catalog.store.settings.place} keeps versions: what was removed takes its space until "
        "they are gone. To do: a lifecycle rule with NoncurrentVersionExpiration and "
        "ExpiredObjectDeleteMarker for the prefix"
    )
