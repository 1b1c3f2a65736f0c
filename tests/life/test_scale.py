"""Memory stays flat as the files of a backup become many.

`python -m bench life` shows the same with a million files.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.cost import measure
from tests.command import ROOT
from tests.life.generated import BODY, BUCKET, PREFIX

FEW, MANY = 2_000, 20_000
# What the same work takes more for ten times the files: allocators' noise, no share of them.
SLACK_MB = 5


@contextmanager
def generated(count: int) -> Iterator[str]:
    """A store with one backup of so many files; its address."""
    argv = [sys.executable, "-m", "tests.life.generated", str(count)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def peak_mb(url: str, log: Path, *words: str) -> float:
    """Run a command to its good end; return the most memory that it had, in MB."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "BACKUP_MANAGER_ENDPOINT": url,
        "BACKUP_MANAGER_BUCKET": BUCKET,
        "BACKUP_MANAGER_PREFIX": PREFIX,
    }
    argv = [sys.executable, "-m", "backup_manager", *words]
    return measure(argv, env=env, log=log, seconds=300).peak_mb


def begin_download(into: Path, count: int) -> None:
    """Put all of a table's files there: a request for each would take most of the test's time."""
    into.mkdir()
    for number in range(count - 3):
        (into / f"shop.t.{number:09}.sql").write_bytes(BODY)


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("verify", "latest"),
        ("prune", "--max-reserved-time=1h"),
        ("clean", "many", "--yes"),
        ("download", "latest", "DIR"),
    ],
    ids=lambda words: words[0],
)
def test_memory_does_not_grow_with_the_files(words: tuple[str, ...], tmp_path: Path) -> None:
    peaks = []
    for count in (FEW, MANY):
        into = tmp_path / str(count)
        if "DIR" in words:
            begin_download(into, count)
        given = [str(into) if word == "DIR" else word for word in words]
        with generated(count) as url:
            peaks.append(peak_mb(url, tmp_path / "log", *given))
    few, many = peaks
    assert many - few < SLACK_MB, f"{few} MB for {FEW} files, {many} MB for {MANY}"
