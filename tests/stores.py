"""What the tests of store/ and catalog/ share: a Store on Ceph, and an upload engine at work."""

import hashlib
import io
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backup_manager.export.conclude import _reconcile
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.client import Store
from backup_manager.store.retries import Patience
from backup_manager.store.settings import Pace, StoreOptions, StoreSettings
from backup_manager.store.upload import Uploader
from backup_manager.volume.journal import Journal
from tests.servers import S3Server

# Files above 6 MiB go up in parts of 5 MiB, the least that a store takes.
SMALL_PARTS = Pace(part_bytes=5 << 20, multipart_from_bytes=6 << 20)
DIRECTORY = "nightly/backup-2026-11-22T10:00:00Z-1a2b3c4d"


class Impatient(Stop):
    """Waits between attempts take no time."""

    def wait(self, seconds: float) -> None:
        super().wait(min(seconds, 0.001))


def new_report() -> Report:
    return Report(stream=io.StringIO(), level="debug")


def use_keys(patch: pytest.MonkeyPatch, access_key: str, secret_key: str) -> None:
    """Let botocore find these keys and nothing else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_ACCESS_KEY_ID", access_key)
    patch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
    patch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")


def new_store(
    endpoint: str | None,
    bucket: str,
    *,
    stop: Stop | None = None,
    options: dict[str, Any] | None = None,
    **more: Any,
) -> Store:
    settings = {"provider": "ceph", "region": "us-east-1", "prefix": "nightly"} | more
    store = Store(
        StoreSettings(endpoint=endpoint, bucket=bucket, **settings),
        StoreOptions(**(options or {})),
        report=new_report(),
        stop=stop or Impatient(),
    )
    store.patience = Patience(0)
    return store


def eventually(holds: Callable[[], bool]) -> None:
    """Poll until it holds; the bound only ends a test that would fail anyway."""
    until = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < until, "did not come to hold"
        time.sleep(0.005)


class Engine:
    """An uploader over `root`, with a journal of its own, sending to `bucket`."""

    def __init__(
        self,
        server: S3Server,
        bucket: str,
        root: Path,
        *,
        endpoint: str | None = None,
        pace: Pace = SMALL_PARTS,
    ) -> None:
        self.server = server
        self.bucket = bucket
        self.root = root
        self.stop = Impatient()
        address = endpoint or server.http
        self.store = new_store(address, bucket, stop=self.stop, options={"pace": pace})
        self.store.patience = Patience(60)
        self.journal_path = root.parent / "journal.sqlite"
        self.journal = Journal(self.journal_path, create=not self.journal_path.exists())
        self.uploader = Uploader(
            self.store,
            self.journal,
            root=root,
            directory=DIRECTORY,
            stop=self.stop,
            report=new_report(),
        )

    def start(self) -> "Engine":
        self.uploader.start()
        return self

    def close(self) -> None:
        self.uploader.halt()
        for thread in self.uploader._threads:
            if thread.ident:
                thread.join(60)
                assert not thread.is_alive()
        self.journal.close()

    # Files ---------------------------------------------------------------------------------

    def write(self, name: str, data: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def offer(self, name: str, data: bytes) -> None:
        """Write a file as Dumpling does, and tell of its close."""
        self.write(name, data)
        self.uploader.offer([name])

    def conclude(self) -> None:
        """Reconcile as at the end of a dump, and settle."""
        run = SimpleNamespace(place=SimpleNamespace(dump=self.root), journal=self.journal)
        content = SimpleNamespace(add=lambda *_: None)
        _reconcile(cast(Any, run), cast(Any, content), exact=True)
        self.journal.remember(dumped="now")
        self.uploader.settle()

    # Waiting -------------------------------------------------------------------------------

    def drain(self) -> None:
        """Wait until everything was sent; raise what went wrong."""

        def ended() -> bool:
            self.uploader.check()
            return self.uploader.idle

        eventually(ended)

    def failure(self) -> Exception:
        """Wait until a worker gives up; return its error."""
        eventually(lambda: self.uploader._failure is not None)
        assert self.uploader._failure
        return self.uploader._failure

    def parked(self, *names: str) -> None:
        """Wait until these files, and no others, wait to be closed again."""

        def holds() -> bool:
            self.uploader.check()
            with self.uploader._work:
                return not self.uploader._busy and self.uploader._parked == set(names)

        eventually(holds)

    # What the store has --------------------------------------------------------------------

    def content(self, name: str) -> bytes:
        key = f"{DIRECTORY}/{name}"
        data: bytes = self.store.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return data

    def listed(self) -> dict[str, tuple[int, str]]:
        return {
            item.key.removeprefix(f"{DIRECTORY}/"): (item.bytes, item.etag)
            for item in self.store.objects(f"{DIRECTORY}/")
        }

    def confirmed(self) -> dict[str, tuple[int, str | None]]:
        return {
            row.name: (row.state.bytes, row.etag)
            for row in self.journal.files()
            if row.confirmed and row.state
        }

    def prove(self) -> None:
        """The journal, the store and the files on disk are one."""
        self.drain()
        assert self.confirmed() == self.listed()
        for row in self.journal.files():
            data = (self.root / row.name).read_bytes()
            assert hashlib.sha256(data).hexdigest() == row.sha256, row.name
            sent = self.content(row.name)
            assert len(data) == len(sent), row.name
            assert row.sha256 == hashlib.sha256(sent).hexdigest(), row.name

    def uploads(self) -> int:
        """How many multipart uploads are open."""
        answer = self.store.client.list_multipart_uploads(Bucket=self.bucket)
        return len(answer.get("Uploads", ()))


class Hook:
    """Stands in for a method of Wire: counts its calls, and does things around them."""

    def __init__(self, call: Callable[..., str]) -> None:
        self._call = call
        self._lock = threading.Lock()
        self.calls: list[tuple[Any, ...]] = []
        self.before: Callable[..., None] = lambda *_: None
        self.after: Callable[..., None] = lambda *_: None

    @classmethod
    def on(cls, engine: Engine, method: str) -> "Hook":
        """Put one in the place of a method of the engine's Wire."""
        hook = cls(getattr(engine.uploader.sender.wire, method))
        setattr(engine.uploader.sender.wire, method, hook)
        return hook

    def __call__(self, *arguments: Any) -> str:
        with self._lock:
            self.calls.append(arguments)
        self.before(*arguments)
        etag = self._call(*arguments)
        self.after(*arguments)
        return etag
