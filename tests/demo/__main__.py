"""`make demo`: a database is backed up to Ceph, read back, loaded elsewhere and compared.

Everything runs on loopback and under one scratch directory; nothing is left but a few small files
in .cache/demo.
"""

import gzip
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.command import DOUBLE, ROOT, find_dumpling
from tests.restore import (
    MANIFEST,
    RECORD,
    BackupBrokenError,
    Fetched,
    LoadError,
    fetch_backup,
    listing,
    load,
)
from tests.servers import Ceph, Database, ExternalTiDB, MariaDB, ServerError, database

from . import data
from .compare import compare
from .screen import Screen, mib
from .watch import Moment, Watch, as_rows

BUCKET, PREFIX, ACCOUNT = "demo-backups", "nightly/demo", "demo_backup"
KEPT = ROOT / ".cache" / "demo"
OPTIONS = ("--threads=4", "--rows=50000", "--filesize=8MiB")
_EXPORT_SECONDS = 300
_SHOWN_OBJECTS = 8
_SHOWN_MOMENTS = 8


class Demo:
    """One demonstration; `run` tells whether all matched."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self.screen = Screen()
        self.scratch = scratch
        self.volume = scratch / "volume"
        self.source: Database = database(scratch / "source")
        self.target = MariaDB(scratch / "target", tidb=False)
        self.store = Ceph(scratch / "ceph")
        self.external = isinstance(self.source, ExternalTiDB)
        self.dumpling = find_dumpling()
        self._stack = stack

    def run(self) -> bool:
        self.prepare()
        before = self.source.gc_row()
        summary = self.export()
        directory = str(summary["backup"]).removeprefix(f"s3://{BUCKET}/")
        self.show(directory)
        fetched = self.fetch(directory)
        same = self.restore(fetched)
        tidy = self.after(before)
        self.keep(directory, fetched)
        return same and tidy

    def prepare(self) -> None:
        kind = "the TiDB of TIDB_ADDR" if self.external else "a MariaDB dressed as TiDB"
        self.screen.step(f"Starting {kind}, an empty MariaDB and Ceph; making some 300 MB of data")
        self.volume.mkdir()
        with ThreadPoolExecutor(2) as pool:
            others = [pool.submit(self._begin, self.store), pool.submit(self._begin, self.target)]
            self._begin(self.source)
            self._stack.callback(self._forget)
            data.create(self.source)
            for other in others:
                other.result()
        self.password = secrets.token_urlsafe(24)
        # Exactly the privileges of the operator's guide.
        self.source.create_account(ACCOUNT, self.password)
        self.store.create_bucket(BUCKET)
        for schema in data.SCHEMAS:
            self.screen.say(f"   {schema}: {', '.join(self.source.tables(schema))}")

    def _begin(self, server: Database | Ceph) -> None:
        server.start()
        self._stack.callback(server.stop)

    def _forget(self) -> None:
        if self.external:
            data.drop(self.source)
            self.source.execute(f"DROP USER IF EXISTS {ACCOUNT}@'%'")

    def export(self) -> dict[str, object]:
        self.screen.step("backup-manager export")
        double = self.dumpling == DOUBLE
        which = "the test double: no dumpling on PATH" if double else str(self.dumpling)
        self.screen.say(f"   Dumpling is {which}.\n")
        argv, environment = self._command()
        words = [shlex.quote(word.replace(f"{ROOT}/", "")) for word in argv]
        shown = " \\\n       ".join([" ".join(words[:2]), *words[2:]])
        self.screen.say(f"   {shown}\n   with the store's two keys in its environment\n")
        process = subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, encoding="utf-8"
        )
        self._stack.callback(_end, process)
        watch = Watch(self.store, BUCKET, PREFIX, self.volume, process)
        watch.start()
        try:
            output, _ = process.communicate(timeout=_EXPORT_SECONDS)
        except subprocess.TimeoutExpired:
            raise NotShownError(f"the export takes more than {_EXPORT_SECONDS} s") from None
        watch.join()
        line = output.splitlines()[-1] if output else "{}"
        self.screen.say(
            f"\n   exit code {process.returncode}; the last line of its stdout:\n   {line}"
        )
        if process.returncode != 0:
            raise NotShownError("the export failed")
        self._show_moments(watch.moments)
        summary: dict[str, object] = json.loads(line)
        return summary

    def _command(self) -> tuple[list[str], dict[str, str]]:
        file = self.scratch / "password"
        file.touch(mode=0o600)
        file.write_text(self.password + "\n")
        argv = [
            str(Path(sys.executable).with_name("backup-manager")),
            "export",
            f"--host={self.source.host}",
            f"--port={self.source.port}",
            f"--user={ACCOUNT}",
            f"--password-file={file}",
            "--provider=ceph",
            f"--endpoint={self.store.http}",
            f"--bucket={BUCKET}",
            f"--prefix={PREFIX}",
            f"--volume={self.volume}",
            f"--dumpling={self.dumpling}",
            *(f"--dumpling-option={option}" for option in OPTIONS),
        ]
        if self.external:
            argv.append("--table-filter=demo*.*")  # the rest of that cluster is not ours
        # Of the user's settings for other backups and stores, none.
        foreign = ("AWS_", "BACKUP_MANAGER_", "S3_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        keys = {
            "AWS_ACCESS_KEY_ID": self.store.access_key,
            "AWS_SECRET_ACCESS_KEY": self.store.secret_key,
        }
        return argv, kept | keys

    def _show_moments(self, moments: list[Moment]) -> None:
        if not moments or not moments[-1].objects:
            raise NotShownError("nothing was seen in the bucket while Dumpling was running")
        self.screen.say()
        self.screen.table(as_rows(moments, _SHOWN_MOMENTS), right=(1, 2, 3, 4))
        last = moments[-1]
        self.screen.say(
            f"\n   {last.objects} objects, {mib(last.sent)}, were already in the bucket while"
            " Dumpling was still running."
        )

    def show(self, directory: str) -> None:
        self.screen.step(f"What the bucket holds: s3://{BUCKET}/{directory}/")
        objects = listing(self.store.client(), BUCKET, directory)
        rows = [("bytes", "name")]
        rows += [(f"{each.bytes:,}", each.name) for each in objects[:_SHOWN_OBJECTS]]
        self.screen.table(rows, right=(0,))
        rest = len(objects) - _SHOWN_OBJECTS
        total = sum(each.bytes for each in objects)
        more = f"and {rest} more; " if rest > 0 else ""
        self.screen.say(f"   {more}{len(objects)} objects, {mib(total)} in all")

    def fetch(self, directory: str) -> Fetched:
        self.screen.step("Reading it back with boto3, each file against the manifest")
        fetched = fetch_backup(self.store.client(), BUCKET, directory, self.scratch / "fetched")
        pretty = json.dumps(fetched.record, indent=2, ensure_ascii=False)
        self.screen.say(f"   {RECORD}:")
        self.screen.say("\n".join(f"   {line}" for line in pretty.splitlines()))
        self.screen.say(
            f"\n   {len(fetched.rows)} files have the size, ETag and SHA-256 of {MANIFEST}"
        )
        return fetched

    def restore(self, fetched: Fetched) -> bool:
        self.screen.step("Loading it into the empty database with the mariadb client")
        load(self.target, fetched.files)
        shutil.rmtree(fetched.files)
        self.screen.step("Comparing every table's checksum")
        rows, good = compare(self.source, self.target, data.SCHEMAS)
        self.screen.table(rows, right=(2, 3, 4))
        self.screen.say(
            f"   The view {data.VIEW} stayed behind: Dumpling dumps views only with"
            " --no-views=false,\n   which needs SHOW VIEW beyond the README's grants."
        )
        return good

    def after(self, before: tuple[str, str]) -> bool:
        self.screen.step("What is left behind")
        now, left = self.source.gc_row(), sorted(path.name for path in self.volume.iterdir())
        uploads = self.store.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        comment = "as before" if before[1] == now[1] else now[1]
        facts = [
            ("GC life time", f"{before[0]} before, {now[0]} now", before[0] == now[0]),
            ("its comment", comment, before[1] == now[1]),
            ("the volume", ", ".join(left) or "empty", not left),
            ("open uploads", str(len(uploads)), not uploads),
        ]
        rows = [(what, found, "ok" if good else "WRONG") for what, found, good in facts]
        self.screen.table([("what", "found", ""), *rows])
        return all(good for _, _, good in facts)

    def keep(self, directory: str, fetched: Fetched) -> None:
        """Leave what is small: the record, the manifest, the listing."""
        shutil.rmtree(KEPT, ignore_errors=True)
        KEPT.mkdir(parents=True)
        pretty = json.dumps(fetched.record, indent=2, ensure_ascii=False)
        (KEPT / RECORD).write_text(pretty + "\n", encoding="utf-8")
        client = self.store.client()
        manifest = client.get_object(Bucket=BUCKET, Key=f"{directory}/{MANIFEST}")["Body"].read()
        (KEPT / MANIFEST.removesuffix(".gz")).write_bytes(gzip.decompress(manifest))
        lines = [f"{each.bytes:>12} {each.name}\n" for each in listing(client, BUCKET, directory)]
        (KEPT / "listing.txt").write_text("".join(lines), encoding="utf-8")


class NotShownError(Exception):
    """Something that the demo promises to show was not so."""


def _end(process: "subprocess.Popen[str]") -> None:
    """The export ends by itself; this is for a demo that was interrupted."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(25)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise SystemExit(128 + number)


def main() -> int:
    signal.signal(signal.SIGTERM, _stop)
    with (
        tempfile.TemporaryDirectory(prefix="backup-manager-demo-") as name,
        ExitStack() as stack,
    ):
        demo = Demo(Path(name), stack)
        good = demo.run()
        demo.screen.step("All matched." if good else "NOT all matched: see above.")
        kept = KEPT.relative_to(ROOT)
        demo.screen.say(
            f"   Kept in {kept}/: {RECORD}, {MANIFEST.removesuffix('.gz')}, listing.txt.\n"
            "   What to look at next:\n"
            "     README.md                             settings, exit codes, failures\n"
            "     .venv/bin/backup-manager export -h    every flag\n"
            "     .venv/bin/python -m tests.servers     the same servers, to try things with\n"
            "     make test"
        )
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (NotShownError, BackupBrokenError, LoadError, ServerError, FileNotFoundError) as error:
        sys.exit(f"\ndemo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
