"""Encryption at rest and Object Lock, as they are asked for; each reader raises ValueError."""

import base64
import json
from pathlib import Path

from backup_manager.canonical import canonical
from backup_manager.errors import UsageError

ALGORITHM = "AES256"
_KEY_BYTES = 32
ALGORITHMS = (ALGORITHM, "aws:kms", "aws:kms:dsse")
LOCK_MODES = ("GOVERNANCE", "COMPLIANCE")
# S3's limit is 2,048 characters of base64.
_CONTEXT_BYTES = 1536


def sse_algorithm(text: str) -> str:
    if text not in ALGORITHMS:
        raise ValueError(f"{text!r} is no encryption of S3", f"give one of {', '.join(ALGORITHMS)}")
    return text


def lock_mode(text: str) -> str:
    mode = text.upper()
    if mode not in LOCK_MODES:
        raise ValueError(f"{text!r} is no mode of Object Lock", f"give {' or '.join(LOCK_MODES)}")
    return mode


def kms_context(text: str) -> str:
    """Read an encryption context: a JSON object of strings; return its canonical form."""
    fix = """give a JSON object of strings, such as {"backup":"demo1"}"""
    try:
        context = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("the KMS context is no JSON", fix) from None
    if not isinstance(context, dict) or not all(
        isinstance(value, str) for value in context.values()
    ):
        raise ValueError("the KMS context is no object of strings", fix)
    try:
        data = canonical(context)
    except UnicodeEncodeError:
        raise ValueError("the KMS context is no UTF-8", fix) from None
    if len(data) > _CONTEXT_BYTES:
        raise ValueError("the KMS context is longer than S3 takes", "shorten it to 1,536 bytes")
    return data.decode()


def customer_key(data: bytes) -> bytes:
    if len(data) != _KEY_BYTES:
        raise ValueError(f"the key has {len(data)} bytes", "an SSE-C key has 32 bytes")
    return data


def customer_key_base64(text: str | bytes) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("the key is no base64", "give the base64 of its 32 bytes") from None
    return customer_key(data)


def read_customer_key(path: Path) -> bytes:
    """Read an SSE-C key: 32 bytes, or the base64 of them. Raises UsageError."""
    fix = "write one with: head -c 32 /dev/urandom > FILE; and keep it: without it nothing is read"
    what = f"the file {path}"
    try:
        with path.open("rb") as file:
            data = file.read(1 << 10)
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(f"{what} cannot be read", why=why, fix="check the mount") from error
    typed = data.endswith(b"\n") and data.strip().isalnum()
    if len(data) == _KEY_BYTES and not typed:
        return data
    try:
        return customer_key_base64(data.strip())
    except ValueError:
        raise UsageError(
            f"{what} is no SSE-C key",
            why=f"it has {len(data)} bytes, which are neither a key's 32 nor the base64 of them",
            fix=fix,
        ) from None
