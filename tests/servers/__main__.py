"""`python -m tests.servers`: a database and Ceph to try things with, until SIGINT or SIGTERM."""

import shlex
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import NoReturn

from .ceph import Ceph
from .tidb import database


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise SystemExit(0)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    with (
        tempfile.TemporaryDirectory(prefix="servers-") as name,
        database(Path(name) / "database") as sql,
        Ceph(Path(name) / "ceph") as store,
    ):
        store.create_bucket("backups")
        facts = {
            "DATABASE_HOST": sql.host,
            "DATABASE_PORT": sql.port,
            "DATABASE_CLIENT": shlex.join(sql.client_argv()),
            "S3_HTTP": store.http,
            "S3_HTTPS": store.https,
            "S3_CA": store.ca_file,
            "S3_BUCKET": "backups",
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
        }
        for variable, value in facts.items():
            print(f"export {variable}={shlex.quote(str(value))}", flush=True)
        print("ready: now source what was written, in another terminal", file=sys.stderr)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
