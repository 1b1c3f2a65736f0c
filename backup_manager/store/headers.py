"""What goes with which request beside the body: class, ACL, encryption, lock, payer and more.

As plain headers, the same for boto3's calls and for the two hot ones.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from backup_manager.store.settings import StoreOptions

_SSE = "x-amz-server-side-encryption"
_CREATES = ("PutObject", "CreateMultipartUpload")
# Those that AWS asks the SSE-C key of (S3's documentation of SSE-C).
_WITH_KEY = (*_CREATES, "UploadPart", "GetObject", "HeadObject")
# What this program sets by itself, and what would change the meaning of a request.
_OWN = re.compile(
    "(authorization|connection|content-(length|md5|encoding)|expect|host|if-.*|transfer-encoding"
    "|x-amz-(acl|algorithm|checksum-.*|content-sha256|copy-.*|credential|date|decoded-.*"
    "|object-lock-.*|request-payer|sdk-.*|security-token|server-side-.*|signature"
    "|storage-class|trailer))"
)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Headers:
    """The headers of one store's requests, by S3's name of the operation."""

    def __init__(self, options: StoreOptions) -> None:
        self._options = options
        self._key = _customer_key(options.encryption.customer_key)
        self._new = _of_new_objects(options)

    def of(self, operation: str, *, locked: bool = True) -> dict[str, str]:
        """Return what goes with a request; ``locked``: with Object Lock, where it is set."""
        headers: dict[str, str] = {}
        if self._options.requester_pays:
            headers["x-amz-request-payer"] = "requester"
        if operation in _WITH_KEY:
            headers |= self._key
        if operation in _CREATES:
            headers |= self._new
            if locked:
                headers |= self._lock()
        return headers

    def _lock(self) -> dict[str, str]:
        retention = self._options.retention
        if retention is None:
            return {}
        return {
            "x-amz-object-lock-mode": retention.mode,
            "x-amz-object-lock-retain-until-date": retention.until().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def install(self, client: Any) -> None:
        """Have a client of boto3 send them too."""

        def add(model: Any, params: dict[str, Any], **_: object) -> None:
            given: Mapping[str, str] = params["headers"]
            params["headers"] = {**self.of(model.name), **given}

        client.meta.events.register("before-call.s3", add)


def _of_new_objects(options: StoreOptions) -> dict[str, str]:
    encryption = options.encryption
    context = encryption.kms_context
    given = {
        "x-amz-storage-class": options.storage_class,
        "x-amz-acl": options.acl,
        _SSE: encryption.algorithm,
        f"{_SSE}-aws-kms-key-id": encryption.kms_key_id,
        f"{_SSE}-context": base64.b64encode(context.encode()).decode() if context else None,
    }
    return {name: value for name, value in given.items() if value} | {
        name.lower(): value for name, value in options.headers
    }


def _customer_key(key: bytes | None) -> dict[str, str]:
    if key is None:
        return {}
    md5 = hashlib.md5(key, usedforsecurity=False).digest()
    return {
        f"{_SSE}-customer-algorithm": "AES256",
        f"{_SSE}-customer-key": base64.b64encode(key).decode(),
        f"{_SSE}-customer-key-md5": base64.b64encode(md5).decode(),
    }


def hides_md5(headers: Mapping[str, str], *, aws: bool) -> bool:
    """Tell of an answer whether the object's ETag is no MD5, since it was encrypted.

    A bucket may encrypt by default; the answer says so. Under SSE-S3 it is one on Amazon S3 (its
    documentation of ETag), and not everywhere else.
    """
    algorithm = str(headers.get(_SSE, ""))
    plain = {"", "AES256"} if aws else {""}
    return algorithm not in plain or f"{_SSE}-customer-algorithm" in headers


def moment_of(headers: Mapping[str, Any], name: str) -> datetime | None:
    """Return the moment that a header of an answer says; None where it says none."""
    try:
        found = parsedate_to_datetime(str(headers.get(name)))
    except (ValueError, OverflowError):
        return None
    # "-0000" is UTC too, of which nothing more is known (RFC 5322, section 3.3).
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def parse_header(text: str) -> tuple[str, str]:
    """Read ``Name: value`` of the user's.

    Raises ValueError(why, what to do), also for a header that this program sets itself.
    """
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no header", "give it as 'Name: value'")
    if not value.isprintable() or not value.isascii():
        raise ValueError(f"the value of {name} is no plain text", "give printable ASCII")
    if _OWN.fullmatch(name.lower()):
        raise ValueError(
            f"{name} is set by backup-manager itself",
            "leave it away; most have a flag of their own",
        )
    return name, value
