"""The double and, where there is one, a real binary: their help, and how they fail."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from backup_manager.database.source import Source
from backup_manager.dumpling.binary import Binary, Flag, find
from backup_manager.dumpling.command import command
from backup_manager.dumpling.options import merge
from backup_manager.dumpling.process import Process
from backup_manager.errors import DumplingError
from tests.dumpling.helpers import report, wait_for

SECRET = "canary-s3cret"
DOUBLE = Path(__file__).parents[1] / "doubles" / "dumpling"
REAL = os.environ.get("REAL_DUMPLING") or shutil.which("dumpling") or "no-real-dumpling"


@pytest.fixture(params=[str(DOUBLE), REAL], ids=["double", "real"], scope="module")
def found(request: pytest.FixtureRequest) -> Binary:
    if not Path(request.param).exists():
        pytest.skip(f"there is no {request.param}")
    return find(request.param)


def test_its_help(found: Binary) -> None:
    expected = [
        Flag("rows", "r", "uint"),
        Flag("threads", "t", "int"),
        Flag("filter", "f", "strings"),
        Flag("no-views", "W"),
        Flag("params", None, "stringToString"),
        Flag("host", "h", "string"),
    ]
    assert expected == [found.flags[flag.name] for flag in expected]
    assert found.version.startswith("v")
    assert len(found.flags) > 40


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("extra", "words", "fix"),
    [
        ([], "create dumper failed: .*connection refused", "could not reach the database"),
        (["--no-such-flag"], "unknown flag: --no-such-flag", "does not know this option"),
        (["stray"], "meet some unparsed arguments", "correct the Dumpling option"),
        (["--filesize=x"], "parse arguments failed: ", "correct the Dumpling option"),
        (["--rows=x"], "invalid argument", "correct the Dumpling option"),
    ],
)
def test_its_last_words(
    found: Binary, tmp_path: Path, extra: list[str], words: str, fix: str
) -> None:
    source = Source("127.0.0.1", closed_port(), "root", SECRET)
    argv = command(found, merge([], ["shop.*"], found), source, tmp_path / "out", "5")
    log, stream = report()
    log.redact.add(SECRET)
    process = Process.start([*argv, *extra], os.environ, log)
    try:
        wait_for(lambda: process.poll() is not None)
        with pytest.raises(DumplingError, match=words) as caught:
            process.outcome()
    finally:
        process.stop(0)
    assert fix in caught.value.fix
    assert SECRET not in caught.value.message + stream.getvalue()
