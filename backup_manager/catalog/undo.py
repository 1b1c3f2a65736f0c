"""Undoing an unpublished backup in the store: its open multipart uploads and its objects."""

from backup_manager.errors import StoreError
from backup_manager.store.client import Store
from backup_manager.store.multipart import Multipart


def undo(store: Store, directory: str) -> None:
    """Abort every open upload and delete every object under ``directory``.

    Only for a directory that a journal names as ours and that has no record. Raises StoreError.
    """
    multipart = Multipart(store)
    prefix = f"{directory}/"
    for key, upload_id in multipart.uploads(prefix):
        multipart.abort(key, upload_id)
    try:
        store.delete(item.key for item in store.objects(prefix))
    except StoreError:
        # Some stores know no bulk delete, or want another checksum for it.
        for item in store.objects(prefix):
            store.delete_one(item.key)
