"""Multipart uploads: every call but UploadPart itself, which is a hot one."""

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from backup_manager.errors import MismatchError, Reason
from backup_manager.store.asked import explain_writing
from backup_manager.store.client import Store
from backup_manager.store.faults import (
    FAULTS,
    code_of,
    needed,
    not_found,
    passing,
    refused,
    unsupported,
    upload_gone,
)
from backup_manager.store.headers import hides_md5
from backup_manager.store.paging import pages
from backup_manager.store.sender import UploadGoneError
from backup_manager.volume.journal import Journal

_MD5 = re.compile("[0-9a-f]{32}")
_OF_PARTS = re.compile("[0-9a-f]{32}-[0-9]+")


class Upload(NamedTuple):
    """An open multipart upload; ``begun`` by the store's clock, as far as it tells."""

    key: str
    id: str
    begun: datetime | None


def etag_of_parts(etags: list[str]) -> str | None:
    """Return the ETag that S3 makes of parts whose ETags are MD5s: the MD5 of those; else None."""
    if not all(_MD5.fullmatch(etag) for etag in etags):
        return None
    digest = hashlib.md5(bytes.fromhex("".join(etags)), usedforsecurity=False).hexdigest()
    return f"{digest}-{len(etags)}"


class Multipart:
    """The multipart uploads of one bucket. Every method raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._client = store.client
        self._bucket = store.settings.bucket

    def create(self, key: str) -> str:
        """Begin a multipart upload; return its id."""
        try:
            answer = self._store.attempt(
                lambda: self._client.create_multipart_upload(Bucket=self._bucket, Key=key)
            )
        except FAULTS as error:
            doing = "begin a multipart upload"
            raise explain_writing(error, doing, key, Reason.UPLOAD, self._store) from error
        return str(needed(answer, "UploadId", self._store.settings.url(key)))

    def complete(self, key: str, upload_id: str, etags: list[str]) -> str:
        """Complete a multipart upload of all its parts in order; return the object's ETag.

        NoSuchUpload means that an earlier attempt worked and its answer was lost, if the object is
        there with the very ETag that these parts make; else UploadGoneError is raised.
        """
        parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]

        def complete() -> str:
            try:
                answer = self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": parts},
                )
                # Ceph 16 leaves it empty, except in the answer to a second attempt (seen).
                if etag := str(answer.get("ETag") or "").strip('"'):
                    self._check(key, etag, etags, answer["ResponseMetadata"]["HTTPHeaders"])
                    return etag
            except self._client.exceptions.ClientError as error:
                if not self._says_gone(error, key, upload_id):
                    raise
                if self._etag(key) != etag_of_parts(etags):
                    raise UploadGoneError from error
            return etag_of_parts(etags) or self._etag(key)

        doing = f"complete the multipart upload of {key}"
        etag = self._store.call(doing, complete, Reason.UPLOAD)
        if self._store.provider.etag != "md5":
            # Of some it is another one than the answer says (rclone's server: the whole file's).
            etag = self._store.call(f"look at {key}", lambda: self._etag(key), Reason.UPLOAD)
        self.retain(key)
        return etag

    def retain(self, key: str) -> None:
        """See to Object Lock: Ceph 16 drops what CreateMultipartUpload was told of it (seen)."""
        retention = self._store.options.retention
        if retention is None:
            return
        there = {"Bucket": self._bucket, "Key": key}
        head = self._store.call(f"look at {key}", lambda: self._client.head_object(**there))
        if head.get("ObjectLockMode"):
            return
        wanted = {"Mode": retention.mode, "RetainUntilDate": retention.until()}
        self._store.call(
            f"lock {key}",
            lambda: self._client.put_object_retention(**there, Retention=wanted),
            Reason.UPLOAD,
        )

    def _check(self, key: str, etag: str, etags: list[str], headers: dict[str, str]) -> None:
        """Raise MismatchError where the ETag is made of other MD5s than those of the parts."""
        store, expected = self._store, etag_of_parts(etags)
        options = store.options
        means_md5 = store.provider.etag == "md5" and not options.encryption.hides_md5
        asked = options.compare_etags and options.compare_multipart_etags
        if not (means_md5 and asked and expected and _OF_PARTS.fullmatch(etag)):
            return
        if etag != expected and not hides_md5(headers, aws=store.settings.provider == "aws"):
            raise MismatchError(
                f"{store.settings.url(key)}: the store has made something else of its parts",
                why=f"its ETag is {etag}, and that of the parts {expected}",
                fix="run the same command again; where the store's ETags are no MD5s (as under "
                "KMS), add --s3-option=--ignore-checksum",
            )

    def _says_gone(self, error: Exception, key: str, upload_id: str) -> bool:
        """Tell whether an error of CompleteMultipartUpload means that there is no such upload.

        Ceph 16 answers 500, "already in progress", for ever (seen); ListParts has it right.
        """
        if code_of(error) == "NoSuchUpload":
            return True
        if not passing(error):
            return False
        try:
            self._client.list_parts(Bucket=self._bucket, Key=key, UploadId=upload_id, MaxParts=1)
        except self._client.exceptions.ClientError as answer:
            return upload_gone(answer)
        return False

    def made_of(self, key: str, etags: list[str]) -> str | None:
        """Return the ETag of an object that is there, if it is the one that these parts make."""
        etag = self._store.call(f"look at {key}", lambda: self._etag(key), Reason.UPLOAD)
        return etag if etag and etag == etag_of_parts(etags) else None

    def _etag(self, key: str) -> str:
        """Ask for an object's ETag; an empty string if there is none."""
        try:
            answer = self._client.head_object(Bucket=self._bucket, Key=key)
        except self._client.exceptions.ClientError as error:
            if not_found(error):
                return ""
            raise
        return str(answer["ETag"]).strip('"')

    def abort(self, key: str, upload_id: str) -> None:
        """Abort a multipart upload; one that is gone already is success."""

        def abort() -> None:
            try:
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload_id
                )
            except self._client.exceptions.NoSuchUpload:
                return

        self._store.call(f"abort the multipart upload of {key}", abort)

    def uploads(self, prefix: str) -> list[tuple[str, str]]:
        """List the open multipart uploads whose keys begin with ``prefix``: (key, upload id).

        Where the store cannot list them, there are none.
        """
        return [(upload.key, upload.id) for upload in self.opened(prefix)]

    def opened(self, prefix: str) -> list[Upload]:
        """List the same with when each was begun."""
        where = self._store.settings.url(prefix)

        def list_page(marks: dict[str, Any]) -> Any:
            try:
                return self._client.list_multipart_uploads(
                    Bucket=self._bucket, Prefix=prefix, **marks
                )
            except self._client.exceptions.ClientError as error:
                # NoSuchUpload is how rclone says that there is none (seen on 1.75).
                if code_of(error) == "NoSuchUpload" or unsupported(error):
                    return {}
                raise

        def ask(marks: dict[str, Any]) -> Any:
            doing = f"list the open multipart uploads under {prefix}"
            return self._store.call(doing, lambda: list_page(marks))

        marks = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
        return [
            Upload(
                needed(item, "Key", where), needed(item, "UploadId", where), item.get("Initiated")
            )
            for page in pages(ask, marks, where)
            for item in page.get("Uploads", ())
        ]

    def parts(self, key: str, upload_id: str) -> dict[int, tuple[int, str]] | None:
        """Return size and ETag of each part of an open upload by number.

        None if the upload is gone, or the store cannot or may not tell.
        """
        where = self._store.settings.url(key)
        found: dict[int, tuple[int, str]] = {}
        for page in self._pages_of_parts(key, upload_id):
            if page is None:
                return None
            for part in page.get("Parts", ()):
                etag = needed(part, "ETag", where).strip('"')
                found[needed(part, "PartNumber", where)] = (needed(part, "Size", where), etag)
        return found

    def last_part(self, upload: Upload) -> datetime | None:
        """Return when the newest part of an upload came, as far as the store tells."""
        return max(
            (
                part["LastModified"]
                for page in self._pages_of_parts(upload.key, upload.id)
                for part in (page or {}).get("Parts", ())
                if part.get("LastModified")
            ),
            default=None,
        )

    def _pages_of_parts(self, key: str, upload_id: str) -> Iterator[Any]:
        """List an upload's parts; None is a page that the store cannot or may not tell."""

        def list_page(marks: dict[str, Any]) -> Any:
            try:
                return self._client.list_parts(
                    Bucket=self._bucket, Key=key, UploadId=upload_id, **marks
                )
            except self._client.exceptions.ClientError as error:
                if upload_gone(error) or unsupported(error) or refused(error):
                    return None
                raise

        def ask(marks: dict[str, Any]) -> Any:
            return self._store.call(f"list the parts of {key}", lambda: list_page(marks))

        where = self._store.settings.url(key)
        return pages(ask, {"PartNumberMarker": "NextPartNumberMarker"}, where)


def abort_begun(multipart: Multipart, journal: Journal, key: Callable[[str], str]) -> None:
    """Abort the uploads that a journal names, and forget each; ``key`` tells a name's key.

    Raises StoreError, VolumeError.
    """
    for name, upload_id in journal.uploads():
        multipart.abort(key(name), upload_id)
        journal.end_upload(name)
