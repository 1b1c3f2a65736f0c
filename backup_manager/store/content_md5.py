"""Content-MD5, which boto3 no longer sends of its own accord."""

import base64
import hashlib
from typing import Any


def content_md5(body: bytes) -> str:
    """Return the header's value."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def add_content_md5(request: Any, **_kwargs: Any) -> None:
    """Put the header on a request of botocore's that is about to be signed."""
    body = request.body if isinstance(request.body, bytes) else request.body.encode()
    request.headers["Content-MD5"] = content_md5(body)
