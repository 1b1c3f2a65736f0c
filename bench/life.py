"""What the commands on backups that are there cost: a million files, and ten thousand backups."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.cost import Cost
from bench.ground import BUCKET, Ground
from bench.table import Bound, Result, table
from tests.life import generated
from tests.life.backups import Shelf, make_backup

MOST_MB = 150
_FILES, _BACKUPS = 1_000_000, 10_000
_QUICK_FILES, _QUICK_BACKUPS = 5_000, 100
_COMMANDS = {
    "verify": ["verify", "latest"],
    "prune": ["prune", "--max-reserved-time=1h"],
    "download of two files": [
        *("download", "latest", "DIR", "--tables=shop.*", "--tables=!shop.t"),
    ],
    "clean": ["clean", "many", "--yes"],
}


def run(*, quick: bool) -> Result:
    files, backups = (_QUICK_FILES, _QUICK_BACKUPS) if quick else (_FILES, _BACKUPS)
    rows, bounds = [], []

    def took(name: str, cost: Cost) -> None:
        rows.append([name, f"{cost.peak_mb:.0f}", f"{cost.cpu:.1f}", f"{cost.wall:.1f}"])
        bounds.append(Bound(f"peak of {name}, MB", cost.peak_mb, MOST_MB))

    with Ground() as ground:
        with _generated(files) as url:
            for name, words in _COMMANDS.items():
                took(f"{name}: {files:,} files", _cost(ground, words, url, generated.PREFIX))
        shelf = Shelf(ground.ceph, BUCKET, "many")
        _fill(shelf, backups)
        for words in (["list"], ["list", "--json"]):
            cost = _cost(ground, words, ground.ceph.http, shelf.prefix, BUCKET)
            took(f"{' '.join(words)}: {backups:,} backups, of Ceph", cost)
    head = ["", "peak RSS, MB", "CPU s", "wall s"]
    title = "life: of our process alone; the files are made up by a store that keeps none"
    return Result(title, table(head, rows), bounds)


def _cost(
    ground: Ground, words: list[str], url: str, prefix: str, bucket: str = generated.BUCKET
) -> Cost:
    with tempfile.TemporaryDirectory(dir=ground.directory) as directory:
        given = [directory if word == "DIR" else word for word in words]
        argv = [sys.executable, "-m", "backup_manager", *given]
        argv += [f"--endpoint={url}", f"--bucket={bucket}", f"--prefix={prefix}"]
        return ground.run(argv)


@contextmanager
def _generated(files: int) -> Iterator[str]:
    argv = [sys.executable, "-m", "tests.life.generated", str(files)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(argv, cwd=root, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def _fill(shelf: Shelf, count: int) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)

    def one(number: int) -> None:
        make_backup(shelf, started=began + timedelta(minutes=7 * number), files={"metadata": b""})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(count)))
