"""A proxy before a store that tells other times than it has: of its clock, of objects and uploads.

    with Times(ceph.http) as times:
        times.later = timedelta(days=8)
        times.moments["backup-2026-"] = ago(days=3)

Who asks by way of it sees a store whose clock is `later`, and in which everything whose key holds
the text came at that moment.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from tests.s3_proxy import Answer, Request, S3Proxy

_ITEM = re.compile(r"<(Contents|Upload)>.*?</\1>", re.DOTALL)
_TIME = re.compile(r"(<(?:LastModified|Initiated)>)[^<]*")


class Times(S3Proxy):
    """`parts`: as `moments`, for the parts of the uploads of a key."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.later = timedelta()
        self.moments: dict[str, datetime] = {}
        self.parts: dict[str, datetime] = {}

    def serve(self, request: Request, body: bytes) -> Answer:
        answer = super().serve(request, body)
        headers = {**answer.headers, "Date": self._http(datetime.now(UTC) + self.later)}
        key = unquote(urlsplit(request.target).path)
        if request.operation == "ListParts":
            return replace(answer, headers=headers, body=self._told(answer.body, key, self.parts))
        if request.operation in {"ListObjectsV2", "ListMultipartUploads"}:
            text = _ITEM.sub(
                lambda item: self._told(item[0].encode(), unquote(item[0]), self.moments).decode(),
                answer.body.decode(),
            )
            return replace(answer, headers=headers, body=text.encode())
        if moment := _found(self.moments, key):
            headers["Last-Modified"] = self._http(moment)
        return replace(answer, headers=headers)

    @staticmethod
    def _http(moment: datetime) -> str:
        return format_datetime(moment.astimezone(UTC), usegmt=True)

    @staticmethod
    def _told(body: bytes, key: str, moments: dict[str, datetime]) -> bytes:
        moment = _found(moments, key)
        if moment is None:
            return body
        said = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
        return _TIME.sub(lambda found: found[1] + said, body.decode()).encode()


def _found(moments: dict[str, datetime], text: str) -> datetime | None:
    return next((moment for key, moment in moments.items() if key in text), None)


def ordered(requests: list[Request], choose: Callable[[Request], bool]) -> list[str]:
    """The requests of that kind in the order in which they came: operation and last part of key."""
    return [
        f"{each.operation} {unquote(urlsplit(each.target).path).rpartition('/')[2]}"
        for each in requests
        if choose(each)
    ]
