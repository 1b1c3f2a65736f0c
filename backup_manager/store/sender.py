"""Bodies on their way to the store: each tried again by itself, counted, and cut off at the end."""

import threading
from collections.abc import Callable
from pathlib import Path

from backup_manager.errors import BackupError, DumpInvalidError, Reason
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.asked import explain_writing
from backup_manager.store.client import Store
from backup_manager.store.faults import FAULTS, code_of
from backup_manager.store.source import FileChangedError, SourceFile
from backup_manager.store.trying import Trying
from backup_manager.store.wire import Body
from backup_manager.volume.directory import volume_error


class UploadGoneError(Exception):
    """The store does not know the multipart upload any more: somebody aborted it."""


class Sender:
    """Sends parts and whole files; safe to use from every thread.

    What may pass is tried again for the store's ``patience``.
    """

    def __init__(self, store: Store, *, stop: Stop, report: Report) -> None:
        self.wire = store.wire()
        self.bytes_sent = 0
        self._trying = Trying(store, stop=stop, report=report)
        self._store = store
        self._lock = threading.Lock()

    def put(self, key: str, body: Body) -> str:
        """Send an object; return its ETag. Raises StoreError, FileChangedError."""
        return self._send(key, body, lambda: self.wire.put(key, body))

    def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> str:
        """Send a part; return its ETag. Raises StoreError, FileChangedError, UploadGoneError."""
        return self._send(key, body, lambda: self.wire.upload_part(key, upload_id, number, body))

    def put_file(self, path: Path, key: str) -> tuple[SourceFile, str, str]:
        """Send one whole file; return it (closed), its SHA-256 and its ETag.

        Raises DumpInvalidError if it changes meanwhile, StoreError, VolumeError.
        """
        try:
            with SourceFile(path, content_md5=self._store.content_md5) as source:
                body = source.body(0, source.state.bytes)
                etag = self.put(key, body)
                source.check()
                return source, body.sha256, etag
        except FileChangedError:
            raise changed_after(path.name) from None
        except OSError as error:
            raise volume_error(f"{path} cannot be read", error) from error

    @property
    def retries(self) -> int:
        """How often something was tried again."""
        return self._trying.retries

    @property
    def throttles(self) -> int:
        """How often the number of requests at once was halved."""
        return self._trying.throttles

    @property
    def last_fault(self) -> BaseException | None:
        """What the store answered last to something that is tried again."""
        return self._store.last_fault

    def end(self) -> None:
        """Cut what is under way; nothing is tried again, by any call of the same store."""
        self._trying.end()
        self.wire.cut()

    def _send(self, key: str, body: Body, call: Callable[[], str]) -> str:
        try:
            etag = self._trying.run(call)
        except FAULTS as error:
            if isinstance(error, BackupError):
                raise
            if code_of(error) == "NoSuchUpload":
                raise UploadGoneError from error
            raise explain_writing(error, "write it", key, Reason.UPLOAD, self._store) from error
        with self._lock:
            self.bytes_sent += body.length
        return etag


def changed_after(name: str) -> DumpInvalidError:
    """Say that a file is no longer what it was when the dump had ended."""
    return DumpInvalidError(
        f"the file {name} changed after the dump had ended",
        fix="find out who writes on the volume, then run the same command again",
    )


def gone_after(name: str) -> DumpInvalidError:
    """Say that a file is no longer there, though the dump had ended."""
    return DumpInvalidError(
        f"the file {name} of the dump is gone",
        fix="find out who deletes files on the volume, then run the same command again",
    )
