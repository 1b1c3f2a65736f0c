"""The headers that go with requests, and what an answer's say."""

import base64
import hashlib
import json
from typing import Any

import pytest

from backup_manager.store.encryption import kms_context
from backup_manager.store.headers import Headers, hides_md5, parse_header
from backup_manager.store.settings import Encryption, Retention, StoreOptions

_SSE = "x-amz-server-side-encryption"
_ALL = [
    "PutObject",
    "CreateMultipartUpload",
    "UploadPart",
    "GetObject",
    "HeadObject",
    "CompleteMultipartUpload",
    "ListObjectsV2",
    "DeleteObjects",
]


def of(operation: str, **options: Any) -> dict[str, str]:
    return Headers(StoreOptions(**options)).of(operation)


@pytest.mark.parametrize("operation", _ALL)
def test_nothing_of_its_own_accord(operation: str) -> None:
    assert {} == of(operation)


@pytest.mark.parametrize("operation", _ALL)
def test_kms_goes_with_what_creates_an_object(operation: str) -> None:
    context = kms_context('{"b": "ü", "a": "1"}')
    encryption = Encryption("aws:kms", "key", context)
    headers = of(operation, encryption=encryption)
    if operation not in {"PutObject", "CreateMultipartUpload"}:
        assert {} == headers
        return
    sent = base64.b64decode(headers.pop(f"{_SSE}-context"))
    assert {"a": "1", "b": "ü"} == json.loads(sent)
    assert {_SSE: "aws:kms", f"{_SSE}-aws-kms-key-id": "key"} == headers


@pytest.mark.parametrize("operation", _ALL)
def test_a_key_of_ones_own_goes_with_all_that_reads_or_writes(operation: str) -> None:
    key = bytes(range(32))
    md5 = base64.b64encode(hashlib.md5(key).digest()).decode()
    expected = {
        f"{_SSE}-customer-algorithm": "AES256",
        f"{_SSE}-customer-key": base64.b64encode(key).decode(),
        f"{_SSE}-customer-key-md5": md5,
    }
    named = {"PutObject", "CreateMultipartUpload", "UploadPart", "GetObject", "HeadObject"}
    headers = of(operation, encryption=Encryption(customer_key=key))
    assert (expected if operation in named else {}) == headers


def test_the_lock_can_be_left_out() -> None:
    headers = Headers(StoreOptions(retention=Retention("GOVERNANCE", 60.0)))
    assert {} == headers.of("PutObject", locked=False)
    assert "GOVERNANCE" == headers.of("PutObject")["x-amz-object-lock-mode"]


@pytest.mark.parametrize(
    ("headers", "aws", "hidden"),
    [
        ({}, True, False),
        ({_SSE: "AES256"}, True, False),
        ({_SSE: "AES256"}, False, True),  # MinIO
        ({_SSE: "aws:kms"}, True, True),
        ({_SSE: "aws:kms:dsse"}, True, True),
        ({f"{_SSE}-customer-algorithm": "AES256"}, True, True),
    ],
)
def test_whether_an_etag_is_an_md5(headers: dict[str, str], *, aws: bool, hidden: bool) -> None:
    assert hidden is hides_md5(headers, aws=aws)


@pytest.mark.parametrize(
    "name", ["Authorization", "host", "Content-MD5", "If-Match", "x-amz-acl", "X-Amz-Date"]
)
def test_headers_that_are_ours(name: str) -> None:
    with pytest.raises(ValueError, match="set by backup-manager"):
        parse_header(f"{name}: x")
