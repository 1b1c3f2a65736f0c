"""What the doctor writes into the bucket, and that nothing of it stays."""

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from backup_manager.errors import StoreError
from backup_manager.signals import Stop
from backup_manager.store import probe
from backup_manager.store.client import Store
from backup_manager.store.multipart import Multipart
from backup_manager.store.sender import Sender

_T = TypeVar("_T")

_CHECK_SECONDS = 30.0
# A store goes on with a request whose sender has gone.
_PAUSE_SECONDS = 0.5


class Probing:
    """One probe under the prefix: two small objects, and the multipart uploads of the second.

    ``versioned``: the bucket keeps what is deleted. ``left`` are the keys of probes of other runs.
    """

    def __init__(self, store: Store, sender: Sender, stop: Stop) -> None:
        self.store = store
        self.sender = sender
        self.multipart = Multipart(store)
        self.name = store.settings.key(f"{probe.NAME}{uuid.uuid4().hex[:16]}")
        self.key, self.parts_key = self.name, f"{self.name}.parts"
        self.left: list[str] = []
        self.versioned = False
        self._objects: set[str] = set()
        self._uploads: set[str] = set()
        self._unsure = False
        self._stop = stop

    def ask(self, call: Callable[[], _T]) -> _T:
        """Make calls to the store, in half a minute at most. Raises StoreError."""
        self.store.last_fault = None
        return probe.within(self.store, self._stop, call, seconds=_CHECK_SECONDS)

    def _change(self, call: Callable[[], _T]) -> _T:
        """Make calls that write: without an answer nobody knows what there is."""
        before, self._unsure = self._unsure, True
        result = self.ask(call)
        self._unsure = before
        return result

    # What it does ------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the first object. Raises StoreError."""
        self._objects.add(self.key)
        self._change(lambda: probe.write(self.store, self.sender.wire, self.key))

    def write_on_condition(self) -> None:
        """Write it again if it is not there. Raises the errors of ``faults.FAULTS``."""
        self.ask(lambda: self.store.put(self.key, probe.TEXT, if_none_match=True))

    def read(self, key: str) -> bytes | None:
        """Return what is there, and at most one byte more than was written. Raises StoreError."""
        return self.ask(lambda: self.store.get(key, limit=len(probe.TEXT) + 1))

    def send_part(self) -> tuple[str, str]:
        """Begin an upload and send its only part, which may be small; return its id and the ETag.

        Raises StoreError, UploadGoneError.
        """
        upload_id = self._change(lambda: self.multipart.create(self.parts_key))
        self._uploads.add(upload_id)
        body = probe.body(self.store)
        etag = self.ask(lambda: self.sender.upload_part(self.parts_key, upload_id, 1, body))
        return upload_id, etag

    def abort(self, upload_id: str) -> None:
        """Abort an upload. Raises StoreError; it is tried again at the end."""
        self.ask(lambda: self.multipart.abort(self.parts_key, upload_id))
        self._uploads.discard(upload_id)

    def complete(self, upload_id: str, etag: str) -> None:
        """Make the second object of an upload. Raises StoreError, UploadGoneError."""
        self._objects.add(self.parts_key)
        self._change(lambda: self.multipart.complete(self.parts_key, upload_id, [etag]))
        self._uploads.discard(upload_id)

    def delete(self) -> str | None:
        """Delete the objects; say why older versions stay, if they do. Raises StoreError."""
        for key in sorted(self._objects):
            self._change(lambda key=key: self.store.delete_one(key))  # type: ignore[misc]  # mypy has no type for it
        self._objects.clear()
        try:
            self.ask(self._delete_versions)
        except StoreError as error:
            return error.why
        return None

    def _delete_versions(self) -> None:
        """Delete what a bucket with versioning keeps. Raises StoreError."""
        if not self.versioned:
            return
        client = self.store.client
        where = {"Bucket": self.store.settings.bucket}
        found = self.store.call(
            "list older versions",
            lambda: client.list_object_versions(**where, Prefix=self.name),
        )
        for version in [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]:
            which = {**where, "Key": version["Key"], "VersionId": version["VersionId"]}
            self.store.call(
                "delete an older version",
                lambda which=which: client.delete_object(**which),  # type: ignore[misc]  # as above
            )

    def clear(self) -> None:
        """Leave nothing behind, after checks that did not come to their end.

        What the store refuses to remove stays; a later run looks for it.
        """
        if not (self._objects or self._uploads or self._unsure):
            return
        self.sender.wire.cut()
        for look in range(2):
            if look:
                time.sleep(_PAUSE_SECONDS)
            with suppress(StoreError):
                self._abort_all()
            with suppress(StoreError):
                for key in {*self._objects, *self._listed()}:
                    self.store.delete_one(key)
        with suppress(StoreError):
            self._delete_versions()

    def _abort_all(self) -> None:
        begun = {(self.parts_key, upload_id) for upload_id in self._uploads}
        for key, upload_id in begun:
            self.multipart.abort(key, upload_id)
        for key, upload_id in self.multipart.uploads(self.name):
            self.multipart.abort(key, upload_id)

    def _listed(self) -> list[str]:
        try:
            return [item.key for item in self.store.objects(self.name)]
        except StoreError:
            return []
