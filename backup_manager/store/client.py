"""Access to one bucket: credentials, addressing, and every call but the two hot ones."""

import copy
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from backup_manager.bounded import bounded
from backup_manager.errors import Reason, StoreError
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store import credentials
from backup_manager.store.content_md5 import add_content_md5
from backup_manager.store.faults import FAULTS, explain, fix_for, needed, not_found, short_fault
from backup_manager.store.paging import pages
from backup_manager.store.providers import PROVIDERS
from backup_manager.store.retries import Judge, Patience
from backup_manager.store.wire import CONNECT_SECONDS, Wire

_T = TypeVar("_T")

TIMEOUT_SECONDS = 60.0
PATIENCE_SECONDS = 60.0
_MAX_DELETE = 1000  # S3's limit for one DeleteObjects
# What a new object is given, by boto3's names.
_HEADERS = {"StorageClass": "x-amz-storage-class", "ACL": "x-amz-acl"}


@dataclass(frozen=True)
class StoreSettings:
    """Where the backups go. ``prefix`` has no slash at its ends."""

    provider: str
    endpoint: str | None
    region: str | None
    bucket: str
    prefix: str
    storage_class: str | None = None
    acl: str | None = None

    def key(self, name: str) -> str:
        """Return the key of ``name`` under the prefix."""
        return f"{self.prefix}/{name}" if self.prefix else name

    @property
    def place(self) -> str:
        """The bucket and where it was looked for, for messages."""
        return f"{self.url('')} at {self.endpoint}" if self.endpoint else self.url("")

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it; ``etag`` without quotes."""

    key: str
    bytes: int
    etag: str


class Store:
    """One bucket. Calls of ``Store`` end within the time that a signal leaves them.

    Every method raises StoreError with what to do; ``patience`` is how long a call is tried again
    on what may pass, ``timeout`` how many seconds one request may go without an answer.
    """

    def __init__(
        self,
        settings: StoreSettings,
        *,
        report: Report,
        stop: Stop,
        connections: int,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self.settings = settings
        self.provider = PROVIDERS[settings.provider]
        self.patience = Patience(PATIENCE_SECONDS)
        self.last_fault: BaseException | None = None
        self._report = report
        self._stop = stop
        self._connections = connections
        self._timeout = timeout
        self._core = credentials.new_session()
        self.credentials = self._find_credentials()
        self.client: Any = self._open_client(connections)
        self.new_object = _given(StorageClass=settings.storage_class, ACL=settings.acl)

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
        return Store(
            settings,
            report=self._report,
            stop=self._stop,
            connections=self._connections,
            timeout=self._timeout,
        )

    def _find_credentials(self) -> credentials.Renewing | None:
        try:
            return credentials.install(self._core, self._report.redact.add)
        except FAULTS as error:
            raise explain(error, "be used", self.settings.url(""), None) from error

    def _open_client(self, connections: int) -> Any:
        config = Config(
            connect_timeout=min(CONNECT_SECONDS, self._timeout),
            read_timeout=self._timeout,
            retries={"mode": "standard", "max_attempts": 3},
            max_pool_connections=connections + 4,
            # boto3's default trailers are refused by Ceph over HTTPS and by many others
            # (boto3#4392); the signed SHA-256 has the store check the body all the same.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            signature_version="s3v4",
            s3={
                "addressing_style": self.provider.addressing,
                "payload_signing_enabled": True,
            },
        )
        session = boto3.Session(botocore_session=self._core)
        client = session.client(
            "s3",
            endpoint_url=self.settings.endpoint,
            region_name=self.settings.region or session.region_name or "us-east-1",
            config=config,
        )
        # boto3 1.36 and later leaves it out, and some stores insist on it (barman#1124).
        client.meta.events.register("before-sign.s3.DeleteObjects", add_content_md5)
        return client

    def wire(self) -> Wire:
        """Open the way for the two hot calls."""
        if self.credentials is None:
            raise StoreError(
                f"{self.settings.url('')}: cannot be used",
                why="no credentials were found",
                fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the Pod a role",
            )
        # The one public way to learn where botocore would send a request for this bucket.
        url = self.client.generate_presigned_url(
            "put_object", Params={"Bucket": self.settings.bucket, "Key": "k"}
        )
        return Wire(
            base_url=url.split("?", 1)[0].removesuffix("k"),
            credentials=self.credentials,
            region=self.client.meta.region_name,
            ca_bundle=self._core.get_config_variable("ca_bundle"),
            connections=self._connections,
            timeout=self._timeout,
            headers={_HEADERS[name]: value for name, value in self.new_object.items()},
        )

    def attempt(self, call: Callable[[], _T]) -> _T:
        """Make a call, again and again while what goes wrong may pass; its errors as they are.

        After a signal there is one attempt only.
        """
        began = time.monotonic()
        retrying = Retrying(
            stop=lambda _: self._stop.ending or self.patience.over(began),
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
        more = dict(self.new_object)
        if if_none_match:
            more["IfNoneMatch"] = "*"
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
        where = self.settings.url(prefix)

        def ask(token: dict[str, Any]) -> Any:
            return self.call(
                f"list {prefix}",
                lambda: self.client.list_objects_v2(
                    Bucket=self.settings.bucket, Prefix=prefix, **token
                ),
            )

        for page in pages(ask, {"ContinuationToken": "NextContinuationToken"}, where):
            # What is no listing at all has no such field; it must not be taken for an empty one.
            needed(page, "IsTruncated", where)
            for item in page.get("Contents", ()):
                key, size, etag = (needed(item, name, where) for name in ("Key", "Size", "ETag"))
                yield Listed(key, size, etag.strip('"'))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects in bulk; what is gone already is success."""
        batch: list[str] = []
        for key in keys:
            batch.append(key)
            if len(batch) == _MAX_DELETE:
                self._delete_batch(batch)
                batch = []
        if batch:
            self._delete_batch(batch)

    def _delete_batch(self, keys: list[str]) -> None:
        # Not quiet: only what the answer names is known to be gone.
        objects = {"Objects": [{"Key": key} for key in keys], "Quiet": False}
        answer = self.call(
            f"delete {len(keys)} objects",
            lambda: self.client.delete_objects(Bucket=self.settings.bucket, Delete=objects),
        )
        for error in answer.get("Errors", ()):
            raise StoreError(
                f"{self.settings.url(error.get('Key', ''))}: cannot delete it",
                why=f"the store answered {error.get('Code')}",
                fix=fix_for(str(error.get("Code")), "s3:DeleteObject"),
            )
        unnamed = set(keys).difference(item.get("Key") for item in answer.get("Deleted", ()))
        if unnamed:
            raise StoreError(
                f"{self.settings.url(min(unnamed))}: cannot delete it",
                why="the store's answer does not say that it did",
                fix="check that --endpoint is an S3 store, with no proxy that changes its answers",
            )

    def delete_one(self, key: str) -> None:
        """Delete one object by DeleteObject, which every store has."""
        self.call(
            f"delete {key}",
            lambda: self.client.delete_object(Bucket=self.settings.bucket, Key=key),
        )


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
