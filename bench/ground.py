"""Where it is measured: servers of our own on loopback, a volume, and the product beside them."""

import json
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.cost import BenchError, Cost, measure
from bench.load import DOUBLE, Load
from tests.servers import Ceph, MariaDB

BUCKET = "bench"
# A sparse file. Nothing is deleted between the runs: clearing away would go on beside the next.
_STORE_BYTES = 48 << 30
_MOST_SECONDS = 900.0
_USER, _PASSWORD = "backup", "known to this benchmark only"
_FOREIGN = ("AWS_", "S3_", "BACKUP_MANAGER_", "RCLONE_", "DUMPLING_", "PYTHON")


class Ground:
    """Ceph over HTTP, a MariaDB dressed as TiDB, and an empty volume; all gone at the end."""

    def __init__(self) -> None:
        self._held = ExitStack()
        self._runs = 0

    def __enter__(self) -> Self:
        with ExitStack() as held:
            name = held.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            self.directory = Path(name)
            self.ceph = held.enter_context(Ceph(self.directory / "ceph", store_bytes=_STORE_BYTES))
            self.ceph.create_bucket(BUCKET)
            self._sql = held.enter_context(MariaDB(self.directory / "mariadb"))
            self._sql.create_account(_USER, _PASSWORD)
            self._held = held.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._held.__exit__(kind, error, traceback)

    def environment(self) -> dict[str, str]:
        """Return this process' environment with the store's keys, and without foreign settings."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return clean | {
            # The double finds its packages at once, as the binary needs none.
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "AWS_ACCESS_KEY_ID": self.ceph.access_key,
            "AWS_SECRET_ACCESS_KEY": self.ceph.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }

    def new_name(self) -> str:
        """Return a name that no run before had."""
        self._runs += 1
        return f"run-{self._runs:03d}"

    def run(self, argv: list[str], more: dict[str, str] | None = None) -> Cost:
        """Measure one command."""
        log = self.directory / f"{self.new_name()}.log"
        env = self.environment() | (more or {})
        return measure(argv, env=env, log=log, seconds=_MOST_SECONDS)

    def export(self, load: Load) -> Cost:
        """Make one whole backup of that load, as a user would."""
        volume = self.directory / "volume"
        volume.mkdir(exist_ok=True)
        flags = {
            "host": self._sql.host,
            "port": self._sql.port,
            "user": _USER,
            "provider": "ceph",
            "endpoint": self.ceph.http,
            "bucket": BUCKET,
            "prefix": self.new_name(),
            "volume": volume,
            "dumpling": DOUBLE,
        }
        argv = [sys.executable, "-m", "backup_manager", "export"]
        argv += [f"--{flag}={value}" for flag, value in flags.items()]
        cost = self.run(argv, {"BACKUP_MANAGER_PASSWORD": _PASSWORD} | load.control())
        summary = json.loads(cost.stdout.splitlines()[-1])
        if summary["bytes"] < load.total:
            raise BenchError(f"a backup of {load} holds {summary['bytes']} bytes only")
        return cost

    def dump(self, load: Load) -> tuple[Cost, Path]:
        """Run Dumpling's double alone; return what it cost and the directory that it filled."""
        target = self.directory / self.new_name()
        argv = [str(DOUBLE), f"--output={target}", "--threads=16", "--rows=10000"]
        return self.run(argv, load.control()), target

    def remove(self, directory: Path) -> None:
        shutil.rmtree(directory)
        os.sync()
