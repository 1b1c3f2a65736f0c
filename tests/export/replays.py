"""Exports of made-up files through a proxy: the requests that they make, and answers to them."""

import threading
from typing import Any

from tests.s3_proxy import Answer, Chooser, Request, operation

SMALL = operation("PutObject", containing=".small.0")
LISTING = operation("ListObjectsV2", containing="prefix=nightly%2Fbackup-")
RECORD = operation("PutObject", containing="backup.json")
RECORD_READ = operation("GetObject", containing="backup.json")
COMPLETE = operation("CompleteMultipartUpload")
ALWAYS = 1_000_000

# Of a proxy in between that wants a login.
HTML = Answer(
    200, b"<!doctype html><html><body>Log in</body></html>", {"Content-Type": "text/html"}
)


def anything(_: Request) -> bool:
    return True


def from_then_on(chooser: Chooser) -> Chooser:
    """Choose a request and all that come after it."""
    begun = threading.Event()

    def choose(request: Request) -> bool:
        if chooser(request):
            begun.set()
        return begun.is_set()

    return choose


def replay(files: int, big: int = 0, *, size: int = 2_000, **more: Any) -> dict[str, Any]:
    """So many small files, and big ones that go up in three parts, the last a small one."""
    plan: dict[str, Any] = {"files": files, "bytes": size, **more}
    if big:
        plan["big"] = {"files": big, "bytes": 34_000_000}
    return {"replay": plan}
