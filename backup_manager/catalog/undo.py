"""Undoing an unpublished backup in the store: its open multipart uploads and its objects."""

from collections.abc import Iterable

from backup_manager.errors import StoreError
from backup_manager.report import Report
from backup_manager.store.client import Store
from backup_manager.store.faults import refused
from backup_manager.store.multipart import Multipart


def undo(store: Store, directory: str, uploads: Iterable[tuple[str, str]]) -> None:
    """Abort every open upload and delete every object under ``directory``.

    Only for a directory that a journal names as ours and that has no record. ``uploads`` are those
    that the journal knows (file and upload id): not every store lists them. Raises StoreError.
    """
    multipart = Multipart(store)
    prefix = f"{directory}/"
    failure: StoreError | None = None
    try:
        for name, upload_id in uploads:
            multipart.abort(f"{prefix}{name}", upload_id)
        for key, upload_id in multipart.uploads(prefix):
            multipart.abort(key, upload_id)
    except StoreError as error:
        # No reason to leave the objects too. And who may not list uploads could never be done.
        cause = error.__cause__
        failure = None if cause and refused(cause) else error
    try:
        store.delete(item.key for item in store.objects(prefix))
    except StoreError:
        # Some stores know no bulk delete, or want another checksum for it.
        for item in store.objects(prefix):
            store.delete_one(item.key)
    if failure:
        raise failure


def abort_strays(store: Store, directory: str, report: Report) -> None:
    """Abort what is still open once every file was sent.

    An upload whose beginning was answered to nobody is in no journal: the run was killed, or the
    answer was lost. What cannot be aborted is a warning.
    """
    multipart = Multipart(store)
    try:
        for key, upload_id in multipart.uploads(f"{directory}/"):
            multipart.abort(key, upload_id)
    except StoreError as error:
        report.warn(
            f"multipart uploads under {store.settings.url(directory)} may have stayed open "
            f"({error.why}). To do: allow s3:ListBucketMultipartUploads and "
            "s3:AbortMultipartUpload, or have a lifecycle rule abort them"
        )
