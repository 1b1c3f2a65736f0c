"""Access to one bucket: credentials, addressing, and every call but the two hot ones."""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from backup_manager.bounded import bounded
from backup_manager.errors import Reason
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store import credentials
from backup_manager.store.content_md5 import add_content_md5, content_md5
from backup_manager.store.faults import (
    FAULTS,
    explain,
    needed,
    not_found,
    short_fault,
)
from backup_manager.store.headers import Headers, moment_of
from backup_manager.store.opening import open_client, verified_by
from backup_manager.store.paging import pages
from backup_manager.store.providers import PROVIDERS
from backup_manager.store.retries import Judge, Patience
from backup_manager.store.settings import StoreOptions, StoreSettings
from backup_manager.store.wire import Wire

_T = TypeVar("_T")

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it; ``etag`` without quotes.

    ``modified``: when the store took it, by the store's clock.
    """

    key: str
    bytes: int
    etag: str
    modified: datetime | None = field(default=None, compare=False)


class Store:
    """One bucket. Calls of ``Store`` end within the time that a signal leaves them.

    Every method raises StoreError with what to do; ``patience`` is how long a call is tried again
    on what may pass. ``content_md5``: whether bodies carry a Content-MD5.
    """

    def __init__(
        self,
        settings: StoreSettings,
        options: StoreOptions = StoreOptions(),  # noqa: B008 - it is frozen
        *,
        report: Report,
        stop: Stop,
    ) -> None:
        self.settings = settings
        self.options = options
        self.provider = PROVIDERS[settings.provider]
        self.headers = Headers(options)
        # S3 wants it, or a checksum, for objects under Object Lock.
        self.content_md5 = self.provider.content_md5 or options.retention is not None
        self.patience = Patience(PATIENCE_SECONDS)
        self.last_fault: BaseException | None = None
        self.clock: datetime | None = None
        self._report = report
        self._stop = stop
        self._core = credentials.new_session()
        self.credentials = self._find_credentials()
        self.client: Any = self._open_client()

    def unheeding(self) -> "Store":
        """Return the same store for calls that no signal cuts short; see ``bounded.shielded``."""
        other = copy.copy(self)
        other._stop = Stop()  # noqa: SLF001 - a copy of our own class
        return other

    def patient(self, patience: Patience) -> "Store":
        """Return the same store for calls that have another patience."""
        other = copy.copy(self)
        other.patience = patience
        return other

    def elsewhere(self, settings: StoreSettings) -> "Store":
        """Open another bucket in the same way."""
        return Store(settings, self.options, report=self._report, stop=self._stop)

    def _find_credentials(self) -> credentials.Renewing:
        lookup = credentials.Lookup(
            self._report.redact.add,
            what=f"{self.settings.place}: cannot be used",
            region=self.settings.region,
        )
        try:
            found = lookup.first(self._stop)
        except FAULTS as error:
            raise explain(error, "be used", self.settings.url(""), None) from error
        credentials.install(self._core, found)
        return found

    def _open_client(self) -> Any:
        client = open_client(self._core, self.settings, self.options)
        self.headers.install(client)
        # boto3 1.36 and later leaves it out, and some stores insist on it (barman#1124).
        client.meta.events.register("before-sign.s3.DeleteObjects", add_content_md5)
        return client

    def wire(self) -> Wire:
        """Open the way for the two hot calls."""
        # The one public way to learn where botocore would send a request for this bucket.
        url = self.client.generate_presigned_url(
            "put_object", Params={"Bucket": self.settings.bucket, "Key": "k"}
        )
        ca = verified_by(self.options)
        return Wire(
            base_url=url.split("?", 1)[0].removesuffix("k"),
            credentials=self.credentials,
            region=self.client.meta.region_name,
            ca_bundle=self._core.get_config_variable("ca_bundle") if ca is None else ca,
            options=self.options,
            headers=self.headers,
            aws=self.settings.provider == "aws",
        )

    def attempt(self, call: Callable[[], _T]) -> _T:
        """Make a call, again and again while what goes wrong may pass; its errors as they are.

        After a signal there is one attempt only.
        """
        began = time.monotonic()
        retrying = Retrying(
            stop=lambda state: (
                self._stop.ending
                or self.patience.over(began)
                or state.attempt_number == self.options.attempts
            ),
            wait=wait_random_exponential(multiplier=0.5, max=10),
            retry=retry_if_exception(Judge(self.credentials)),
            sleep=self._stop.wait,
            before_sleep=self._say,
            reraise=True,
        )
        return retrying(lambda: bounded(self._stop, self._unless_ended(call)))

    def _unless_ended(self, call: Callable[[], _T]) -> Callable[[], _T]:
        if self.patience.ended:
            # What is begun now would be left behind by the undoing that is under way.
            raise ConnectionAbortedError("the run is ending")
        return call

    def _say(self, state: RetryCallState) -> None:
        self.last_fault = state.outcome.exception() if state.outcome else None
        say = self._report.info if state.attempt_number == 1 else self._report.debug
        say("waiting for the store", why=short_fault(self.last_fault), limit=self.patience.seconds)

    def call(self, doing: str, call: Callable[[], _T], reason: Reason | None = None) -> _T:
        """Make a call like ``attempt`` and explain what it raises: a StoreError."""
        try:
            return self.attempt(call)
        except FAULTS as error:
            raise explain(error, doing, self.settings.place, reason) from error

    # Objects -------------------------------------------------------------------------------

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> str:
        """Put a small object, once, without retries of our own; return its ETag.

        Raises the errors of ``faults.FAULTS`` as they are: the caller knows what they mean.
        """
        more = {"IfNoneMatch": "*"} if if_none_match else {}
        if self.content_md5:
            more["ContentMD5"] = content_md5(data)
        answer = bounded(
            self._stop,
            lambda: self.client.put_object(Bucket=self.settings.bucket, Key=key, Body=data, **more),
        )
        return str(answer.get("ETag") or "").strip('"')

    def get(self, key: str, *, limit: int) -> bytes | None:
        """Read a small object, at most ``limit`` bytes of it; None if there is none."""

        def read() -> bytes | None:
            try:
                answer = self.client.get_object(Bucket=self.settings.bucket, Key=key)
            except self.client.exceptions.ClientError as error:
                if not_found(error):
                    return None
                raise
            with answer["Body"] as body:
                return bytes(body.read(limit))

        return self.call(f"read {key}", read)

    def objects(self, prefix: str) -> Iterator[Listed]:
        """List the objects whose keys begin with ``prefix``, a page at a time."""
        for page in self._pages(prefix):
            yield from self._listed(page, prefix)

    def level(self, prefix: str) -> Iterator[str | Listed]:
        """List one level only: objects, and of what lies deeper the next part, with its slash.

        Each kind comes in the order of its keys.
        """
        for page in self._pages(prefix, Delimiter="/"):
            for item in page.get("CommonPrefixes", ()):
                yield str(needed(item, "Prefix", self.settings.url(prefix)))
            yield from self._listed(page, prefix)

    def _pages(self, prefix: str, **more: str) -> Iterator[Any]:
        where = self.settings.url(prefix)

        def ask(token: dict[str, Any]) -> Any:
            return self.call(
                f"list {prefix}",
                lambda: self.client.list_objects_v2(
                    Bucket=self.settings.bucket, Prefix=prefix, **more, **token
                ),
            )

        for page in pages(ask, {"ContinuationToken": "NextContinuationToken"}, where):
            # What is no listing at all has no such field; it must not be taken for an empty one.
            needed(page, "IsTruncated", where)
            answer = page.get("ResponseMetadata", {})
            self.clock = moment_of(answer.get("HTTPHeaders", {}), "date")
            yield page

    def _listed(self, page: Any, prefix: str) -> Iterator[Listed]:
        where = self.settings.url(prefix)
        for item in page.get("Contents", ()):
            key, size, etag = (needed(item, name, where) for name in ("Key", "Size", "ETag"))
            yield Listed(key, size, etag.strip('"'), item.get("LastModified"))

    def delete_one(self, key: str) -> bool:
        """Delete one object; what is gone already is success.

        Returns whether it only got a marker, as the bucket keeps versions.
        """
        answer = self.call(
            f"delete {key}",
            lambda: self.client.delete_object(Bucket=self.settings.bucket, Key=key),
        )
        return bool(answer.get("DeleteMarker"))
