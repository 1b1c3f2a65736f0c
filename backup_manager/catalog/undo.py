"""Undoing an unpublished backup in the store: its open multipart uploads and its objects."""

import time
from collections.abc import Iterable

from backup_manager.catalog.layout import Layout
from backup_manager.errors import HeldError, Reason, StoreError
from backup_manager.report import Report
from backup_manager.store.client import Store
from backup_manager.store.deletion import Deletion
from backup_manager.store.faults import refused
from backup_manager.store.multipart import Multipart

_PASSES = 5
_PAUSE_SECONDS = 0.3


def undo(store: Store, layout: Layout, uploads: Iterable[tuple[str, str]]) -> None:
    """Abort every open upload and delete every object of a backup.

    Only for one that a journal names as ours. ``uploads`` are those that the journal knows
    (file and upload id): not every store lists them. Raises StoreError; and HeldError, with nothing
    removed, where a record stands: another run with a copy of this journal has published.
    """
    if store.get(layout.record, limit=1) is not None:
        raise HeldError(
            f"{store.settings.url(layout.record)} is there: a backup was published from another "
            "copy of this volume",
            fix="let each run have a volume of its own",
            reason=Reason.SUPERSEDED,
        )
    known = [(layout.key(name), upload_id) for name, upload_id in uploads]
    for _ in range(_PASSES):
        if not _pass(store, layout.prefix, known):
            return
        # A store goes on with a request whose sender was cut off or killed: it is looked at again.
        time.sleep(_PAUSE_SECONDS)


def _pass(store: Store, prefix: str, known: list[tuple[str, str]]) -> int:
    """Remove what is there; return how much it was."""
    multipart = Multipart(store)
    found = 0
    failure: StoreError | None = None
    try:
        while known:
            multipart.abort(*known.pop())
            found += 1
        for key, upload_id in multipart.uploads(prefix):
            multipart.abort(key, upload_id)
            found += 1
    except StoreError as error:
        # No reason to leave the objects too. And who may not list uploads could never be done.
        cause = error.__cause__
        failure = None if cause and refused(cause) else error
    found += sum(gone.objects for gone in Deletion(store).delete(store.objects(prefix)))
    if failure:
        raise failure
    return found


def abort_strays(store: Store, layout: Layout, report: Report) -> None:
    """Abort what is still open once every file was sent.

    An upload whose beginning was answered to nobody is in no journal: the run was killed, or the
    answer was lost. What cannot be aborted is a warning.
    """
    multipart = Multipart(store)
    try:
        for key, upload_id in multipart.uploads(layout.prefix):
            multipart.abort(key, upload_id)
    except StoreError as error:
        report.warn(
            f"multipart uploads under {store.settings.url(layout.root)} may have stayed open "
            f"({error.why}). To do: allow s3:ListBucketMultipartUploads and "
            "s3:AbortMultipartUpload, or have a lifecycle rule abort them"
        )
