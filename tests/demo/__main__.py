"""`make demo`: a database is backed up to Ceph, downloaded, loaded elsewhere and compared.

Everything runs on loopback and under one scratch directory; nothing is left but a few small files
in .cache/demo.
"""

import gzip
import json
import secrets
import shutil
import signal
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests import hard_schema
from tests.command import DOUBLE, ROOT, find_dumpling
from tests.comparison import Contents, contents, differences, schemas
from tests.restore import (
    MANIFEST,
    RECORD,
    BackupBrokenError,
    LoadError,
    listing,
    load,
    read_record,
)
from tests.servers import (
    SEED_GRANTS,
    Ceph,
    Database,
    ExternalTiDB,
    ServerError,
    database,
    second_database,
)
from tests.servers.sql import quoted

from . import data
from .command import BUCKET, PREFIX, NotShownError, finish, start
from .compare import biggest, by_schema
from .screen import Screen, mib
from .watch import Moment, Watch, as_rows

ACCOUNT = "demo_backup"
KEPT = ROOT / ".cache" / "demo"
OPTIONS = ("--threads=4", "--rows=50000", "--filesize=8MiB", "--no-views=false")
_SHOWN_OBJECTS = 12
_SHOWN_MOMENTS = 8


class Demo:
    """One demonstration; `run` tells whether all matched."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self.screen = Screen()
        self.scratch = scratch
        self.volume = scratch / "volume"
        self.source: Database = database(scratch / "source")
        # A TiDB that is there already is emptied of the demo's schemas when it starts as this one.
        self.target = second_database(self.source, data.SCHEMAS, scratch / "target")
        self.store = Ceph(scratch / "ceph")
        self.external = isinstance(self.source, ExternalTiDB)
        self.dumpling = find_dumpling()
        self._stack = stack

    def run(self) -> bool:
        self.prepare()
        before = self.source.gc_row()
        held = contents(self.source, data.SCHEMAS)
        directory = self.export()
        self.show(directory)
        same = self.restore(self.download(directory), held)
        tidy = self.after(before)
        self.keep(directory)
        return same and tidy

    def prepare(self) -> None:
        kind = "the TiDB of TIDB_ADDR" if self.external else "a MariaDB dressed as TiDB"
        self.screen.step(f"Starting {kind} and Ceph; making some 300 MB of data")
        self.volume.mkdir()
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(self._begin, self.store)
            self._begin(self.source)
            self._refuse_foreign()
            self._stack.callback(self._forget)
            data.create(self.source)
            other.result()
        self.password = secrets.token_urlsafe(24)
        # The privileges of the operator's guide, and one for the views.
        grants = (*SEED_GRANTS, "SHOW VIEW ON *.*")
        self.source.create_account(ACCOUNT, self.password, grants=grants)
        self.store.create_bucket(BUCKET)
        for schema in (data.SHOP, data.MEDIA, hard_schema.BULK):
            self.screen.say(f"   {schema}: {', '.join(self.source.tables(schema))}")
        hard = ", ".join(hard_schema.SCHEMAS)
        self.screen.say(
            f"   {hard}: every type of column\n   and its ends, generated columns, partitions,"
            " views on views, foreign keys in circles, names,\n   character sets and collations"
        )

    def _refuse_foreign(self) -> None:
        there = sorted({*schemas(self.source)} & {*data.SCHEMAS})
        if there:
            raise NotShownError(f"these schemas are there already: {', '.join(there)}")

    def _begin(self, server: Database | Ceph) -> None:
        server.start()
        self._stack.callback(server.stop)

    def _forget(self) -> None:
        if self.external:
            for schema in data.SCHEMAS:
                self.source.execute(f"DROP DATABASE IF EXISTS {quoted(schema)}")
            self.source.execute(f"DROP USER IF EXISTS {ACCOUNT}@'%'")

    def export(self) -> str:
        """The key of the backup's directory."""
        self.screen.step("backup-manager export")
        double = self.dumpling == DOUBLE
        which = "the test double: no dumpling on PATH" if double else str(self.dumpling)
        self.screen.say(f"   Dumpling is {which}.\n")
        process = start(self.screen, self._stack, self.store, *self._export_words())
        watch = Watch(self.store, BUCKET, PREFIX, self.volume, process)
        watch.start()
        summary = finish(self.screen, process)
        watch.join()
        self._show_moments(watch.moments)
        return str(summary["backup"]).removeprefix(f"s3://{BUCKET}/")

    def _export_words(self) -> list[str]:
        file = self.scratch / "password"
        file.touch(mode=0o600)
        file.write_text(self.password + "\n")
        words = [
            "export",
            f"--host={self.source.host}",
            f"--port={self.source.port}",
            f"--user={ACCOUNT}",
            f"--password-file={file}",
            f"--volume={self.volume}",
            f"--dumpling={self.dumpling}",
            *(f"--dumpling-option={option}" for option in OPTIONS),
        ]
        if self.external:  # the rest of that cluster is not ours
            words += [f'--table-filter="{schema}".*' for schema in data.SCHEMAS]
        return words

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
        some = objects[:: -(-len(objects) // _SHOWN_OBJECTS)]
        rows += [(f"{each.bytes:,}", each.name) for each in some]
        self.screen.table(rows, right=(0,))
        rest = len(objects) - len(some)
        total = sum(each.bytes for each in objects)
        more = f"and {rest} more; " if rest > 0 else ""
        self.screen.say(f"   {more}{len(objects)} objects, {mib(total)} in all\n\n   {RECORD}:")
        self.screen.say(textwrap.indent(self._record(directory), "   "))

    def _record(self, directory: str) -> str:
        record = read_record(self._get(f"{directory}/{RECORD}"))
        return json.dumps(record, indent=2, ensure_ascii=False)

    def _get(self, key: str) -> bytes:
        return self.store.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def download(self, directory: str) -> Path:
        self.screen.step("backup-manager download")
        into = self.scratch / "downloaded"
        words = ("download", f"s3://{BUCKET}/{directory}", str(into))
        finish(self.screen, start(self.screen, self._stack, self.store, *words))
        return into

    def restore(self, files: Path, before: Contents) -> bool:
        kind = "that TiDB, emptied," if self.external else "a second, empty MariaDB"
        self.screen.step(f"Loading it into {kind} with the mariadb client")
        self._begin(self.target)
        load(self.target, files)
        shutil.rmtree(files)
        self.screen.step("Comparing each CREATE statement, count of rows and checksum")
        names = data.SCHEMAS if self.external else None  # a MariaDB has nothing else
        after = contents(self.target, names)
        self.screen.table(by_schema(before, after), right=(1, 2, 3))
        self.screen.say()
        self.screen.table(biggest(before, after), right=(1, 2, 3))
        found = differences(before, after)
        for each in found:
            self.screen.say(f"   {each}")
        return not found

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

    def keep(self, directory: str) -> None:
        """Leave what is small: the record, the manifest, the listing."""
        shutil.rmtree(KEPT, ignore_errors=True)
        KEPT.mkdir(parents=True)
        (KEPT / RECORD).write_text(self._record(directory) + "\n", encoding="utf-8")
        manifest = gzip.decompress(self._get(f"{directory}/{MANIFEST}"))
        (KEPT / MANIFEST.removesuffix(".gz")).write_bytes(manifest)
        objects = listing(self.store.client(), BUCKET, directory)
        lines = [f"{each.bytes:>12} {each.name}\n" for each in objects]
        (KEPT / "listing.txt").write_text("".join(lines), encoding="utf-8")


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
