"""`python -m tests.torture.burst`: 100,000 tiny files at once, while the program stands still.

inotify's queue overflows for certain, and nearly all the files are told of by nobody; yet each must
be in the backup with what it holds at the end. About two minutes on two cores.
"""

import argparse
import hashlib
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.command import CANARY_PASSWORD, Export, Running
from tests.restore import MANIFEST, RECORD, listing, read_manifest, read_record
from tests.servers import Ceph, MariaDB

_CONTENT = b"-" * 99 + b"\n"
_RUN_SECONDS = 1200


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture.burst", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    files: int = parser.parse_args().files
    with tempfile.TemporaryDirectory(prefix="burst-") as name:
        directory = Path(name)
        with (
            MariaDB(directory / "database") as server,
            Ceph(directory / "ceph", store_bytes=8 << 30) as store,
        ):
            server.create_account("backup", CANARY_PASSWORD)
            store.create_bucket("burst")
            print(burst(server, store, "burst", directory, files))
    return 0


def burst(server: MariaDB, store: Ceph, bucket: str, directory: Path, files: int) -> str:
    """Raise AssertionError unless all of them are in the backup; return the figures."""
    volume = directory / "volume"
    volume.mkdir()
    gates = {name: directory / name for name in ("stands", "go on", "written", "end")}
    first = {"after_files": 1, "reached": str(gates["stands"]), "path": str(gates["go on"])}
    last = {"at": "metadata", "reached": str(gates["written"]), "path": str(gates["end"])}
    export = Export.of(server, store, bucket, volume, table_filter=[]).with_double(
        {"replay": {"files": 3, "bytes": 1000}},
        {"gate": [first, last]},
        {"misdeed": "burst", "after_files": 2, "count": files, "bytes": len(_CONTENT)},
    )
    began = time.monotonic()
    with export.start() as running:
        running.wait_until(gates["stands"].exists)
        running.signal(signal.SIGSTOP)
        running.wait_until(lambda: state(running) == "T")
        gates["go on"].touch()
        running.wait_until(gates["written"].exists, seconds=_RUN_SECONDS)
        running.signal(signal.SIGCONT)
        gates["end"].touch()
        result = running.result(_RUN_SECONDS).expect(0)
    seconds = time.monotonic() - began
    overflows = len(result.events("inotify's queue overflowed"))
    assert overflows > 0, "the queue did not overflow"
    _check(store, bucket, result.directory, files)
    left = [path.name for path in volume.iterdir()]
    assert [] == left, left
    return f"{files} files, {overflows} overflow(s), {seconds:.0f} s"


def state(running: Running) -> str:
    """One letter for what the process does; T: it stands still."""
    return Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()[0]


def _check(store: Ceph, bucket: str, directory: str, files: int) -> None:
    """Hold record, manifest and listing against what was written.

    None is fetched: what each holds is known, and the ETags of small objects are their MD5s.
    """
    client = store.client()

    def get(name: str) -> bytes:
        return client.get_object(Bucket=bucket, Key=f"{directory}/{name}")["Body"].read()

    record, rows = read_record(get(RECORD)), read_manifest(get(MANIFEST))
    assert record["files"] == len(rows)
    expected = {
        f"burst.t.{number:09d}.sql": (len(_CONTENT), hashlib.sha256(_CONTENT).hexdigest())
        for number in range(files)
    }
    tiny = [row for row in rows if row["name"].startswith("burst.")]
    assert expected == {row["name"]: (row["bytes"], row["sha256"]) for row in tiny}
    there = {item.name: (item.bytes, item.etag) for item in listing(client, bucket, directory)}
    assert {row["name"] for row in rows} | {RECORD, MANIFEST} == there.keys()
    told = (len(_CONTENT), hashlib.md5(_CONTENT, usedforsecurity=False).hexdigest())
    assert {told} == {there[name] for name in expected}


if __name__ == "__main__":
    sys.exit(main())
