"""Bodies on their way to the store: each tried again by itself, counted, and cut off at the end."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from tenacity import RetryCallState, Retrying, retry_if_exception
from tenacity import wait_random_exponential as full_jitter

from backup_manager.errors import BackupError, DumpInvalidError, Reason
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.asked import explain_writing
from backup_manager.store.client import Store
from backup_manager.store.faults import FAULTS, code_of, short_fault, throttled
from backup_manager.store.retries import Judge
from backup_manager.store.source import FileChangedError, SourceFile
from backup_manager.store.throttle import Throttle
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
        self.retries = 0
        self._throttle = Throttle(store.options.pace.requests_at_once, report)
        self._sent_at = time.monotonic()
        self._store = store
        self._stop = stop
        self._report = report
        self._lock = threading.Lock()
        self._ended = False

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
    def throttles(self) -> int:
        """How often the number of requests at once was halved."""
        return self._throttle.slowed

    @property
    def last_fault(self) -> BaseException | None:
        """What the store answered last to something that is tried again."""
        return self._store.last_fault

    def end(self) -> None:
        """Cut what is under way; nothing is tried again, by any call of the same store."""
        self._store.patience.end()
        self._ended = True
        self.wire.cut()
        self._throttle.end()

    def _send(self, key: str, body: Body, call: Callable[[], str]) -> str:
        try:
            etag = self._try(call)
        except FAULTS as error:
            if isinstance(error, BackupError):
                raise
            if code_of(error) == "NoSuchUpload":
                raise UploadGoneError from error
            raise explain_writing(error, "write it", key, Reason.UPLOAD, self._store) from error
        with self._lock:
            self.bytes_sent += body.length
            self._sent_at = time.monotonic()
            recovered, self._store.last_fault = self._store.last_fault, None
        if recovered is not None:
            self._report.info("the store takes what is sent again")
        return etag

    def _try(self, call: Callable[[], str]) -> str:
        try:
            # Nearly always once is enough, and tenacity costs as much as hashing a small file.
            return self._throttle.run(call)
        except FAULTS as error:
            failed = [error]
        began = time.monotonic()
        judge = Judge(self._store.credentials)

        def again() -> str:
            if failed:
                raise failed.pop()
            return self._throttle.run(call)

        def given_up(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            # Who waits for its turn at a store that is slow does not starve, others go on.
            slow = error is not None and throttled(error)
            if state.attempt_number == self._store.options.attempts:
                return True
            return self._store.patience.over(max(began, self._sent_at) if slow else began)

        return Retrying(
            stop=given_up,
            wait=full_jitter(multiplier=0.5, max=20),
            retry=retry_if_exception(lambda error: not self._ended and judge(error)),
            sleep=self._stop.wait,
            before_sleep=self._say,
            reraise=True,
        )(again)

    def _say(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        with self._lock:
            self.retries += 1
        if self._store.last_fault is None:
            # Once for an outage, however many files meet it.
            self._report.info(
                "the store fails: it is asked again until it does not",
                why=short_fault(error),
                limit=self._store.patience.seconds,
            )
        self._store.last_fault = error
        self._report.debug("sending is tried again", attempt=state.attempt_number, why=str(error))


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
