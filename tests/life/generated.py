"""A store with one backup of very many files, which it makes up as it is asked: `python -m` this.

Nothing is kept but the manifest: listings, files and the answers to deletions are computed. It is
for what a client's memory does as the files become many.
"""

import functools
import gzip
import hashlib
import io
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from backup_manager.canonical import canonical
from backup_manager.catalog.formats import FORMAT, seal

BUCKET, PREFIX = "generated", "many"
RUN = "1a2b3c4d" + "0" * 24
NAME = f"backup-2026-11-22T10:00:00Z-{RUN[:8]}"
_ROOT = f"{PREFIX}/{NAME}"
BODY = b"INSERT INTO `t` VALUES (1);\n"
_SHA256 = hashlib.sha256(BODY).hexdigest()
_ETAG = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
_PAGE = 1000
_METADATA = "metadata"


class Generated:
    """One backup of `count` files: a schema, a table's schema, its data, and `metadata`."""

    def __init__(self, count: int) -> None:
        self._names = [
            _METADATA,
            "shop-schema-create.sql",
            "shop.t-schema.sql",
            *(f"shop.t.{number:09}.sql" for number in range(count - 3)),
        ]
        self._names.sort(key=str.encode)
        self.manifest = self._manifest()
        self.record = self._record()
        self.gone: set[str] = set()
        own = {"backup.json": self.record, "manifest.jsonl.gz": self.manifest}
        self._own = {f"{_ROOT}/{name}": data for name, data in own.items()}
        self._keys = sorted([*self._own, *(f"{_ROOT}/{name}" for name in self._names)])

    def _manifest(self) -> bytes:
        packed = io.BytesIO()
        with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, compresslevel=1) as file:
            for name in self._names:
                row = {"name": name, "bytes": len(BODY), "sha256": _SHA256, "etag": _ETAG}
                file.write(canonical(row) + b"\n")
        return packed.getvalue()

    def _record(self) -> bytes:
        fields = {
            "format": FORMAT,
            "id": RUN,
            "name": "many",
            "schedule": None,
            "started": "2026-11-22T10:00:00Z",
            "finished": "2026-11-22T11:00:00Z",
            "snapshot": {"tso": "429000000000000000", "time": None},
            "source": {"host": "tidb", "port": 4000, "version": "8.5.0"},
            "dumpling": {"version": "v8.5.0", "options": []},
            "files": len(self._names),
            "bytes": len(self._names) * len(BODY),
            "manifest": {
                "key": "manifest.jsonl.gz",
                "sha256": hashlib.sha256(self.manifest).hexdigest(),
            },
            "tool": {"name": "backup-manager", "version": "0.1.0"},
            "warnings": [],
        }
        return seal(fields)

    def get(self, key: str) -> bytes | None:
        if key in self.gone:
            return None
        return self._own.get(key) or (BODY if key.startswith(f"{_ROOT}/") else None)

    def listing(self, prefix: str, delimiter: str, after: str, most: int) -> bytes:
        """A page of ListObjectsV2; tokens are the keys that came last."""
        if delimiter:
            there = len(self.gone) < len(self._keys)
            common = f"<CommonPrefixes><Prefix>{_ROOT}/</Prefix></CommonPrefixes>" * there
            return _listed(common, "")
        at = self._after(after)
        # What is gone is gone from the front, as a deletion goes through a listing.
        rows: list[str] = []
        last = ""
        while at < len(self._keys) and len(rows) < most:
            key = self._keys[at]
            at += 1
            if key in self.gone or not key.startswith(prefix):
                continue
            body = self._own.get(key, BODY)
            etag = _ETAG if body is BODY else hashlib.md5(body, usedforsecurity=False).hexdigest()
            rows.append(
                f"<Contents><Key>{key}</Key><LastModified>2026-11-22T10:00:00.000Z</LastModified>"
                f"<ETag>&quot;{etag}&quot;</ETag><Size>{len(body)}</Size></Contents>"
            )
            last = key
        return _listed("".join(rows), last if at < len(self._keys) else "")

    def _after(self, key: str) -> int:
        return self._place[key] + 1 if key else 0

    @functools.cached_property
    def _place(self) -> dict[str, int]:
        return {key: number for number, key in enumerate(self._keys)}


def _listed(rows: str, token: str) -> bytes:
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    truncated = str(bool(token)).lower()
    return (
        "<?xml version='1.0'?><ListBucketResult><EncodingType>url</EncodingType>"
        f"<IsTruncated>{truncated}</IsTruncated>{more}{rows}</ListBucketResult>"
    ).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    store: ClassVar[Generated]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if "uploads" in url.query:
            self._answer(b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
                         b"</ListMultipartUploadsResult>")  # fmt: skip
        elif "versioning" in url.query:
            self._answer(b"<VersioningConfiguration/>")
        elif "list-type" in query:
            token, most = query.get("continuation-token", ""), int(query.get("max-keys", _PAGE))
            page = self.store.listing(query["prefix"], query.get("delimiter", ""), token, most)
            self._answer(page)
        else:
            self._object(url.path)

    def _object(self, path: str) -> None:
        body = self.store.get(path.removeprefix(f"/{BUCKET}/").replace("%3A", ":"))
        if body is None:
            self._answer(b"<Error><Code>NoSuchKey</Code></Error>", 404)
            return
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not span:
            self._answer(body)
            return
        first, last = int(span[1]), min(int(span[2]), len(body) - 1)
        headers = {"Content-Range": f"bytes {first}-{last}/{len(body)}"}
        self._answer(body[first : last + 1], 206, headers)

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"", headers={"ETag": f'"{_ETAG}"'})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        keys = re.findall("<Key>([^<]*)</Key>", body)
        self.store.gone.update(keys)
        deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self._answer(f"<DeleteResult>{deleted}</DeleteResult>".encode())

    def do_DELETE(self) -> None:
        self.store.gone.add(urlsplit(self.path).path.removeprefix(f"/{BUCKET}/"))
        self._answer(b"", 204)

    def _answer(
        self, body: bytes, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Last-Modified", "Sun, 22 Nov 2026 11:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    _Handler.store = Generated(int(sys.argv[1]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
