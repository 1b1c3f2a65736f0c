"""The double of Dumpling held against a real one, where there is one (DUMPLING or PATH)."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import hard_schema
from tests.command import DOUBLE, find_dumpling
from tests.restore import load
from tests.servers import MariaDB

pytestmark = pytest.mark.skipif(
    find_dumpling() == DOUBLE, reason="no real dumpling in DUMPLING or on PATH"
)
SNAPSHOT = "462100000000000001"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("source")) as server:
        # What v5.3 crashes on is left out.
        hard_schema.create(server.execute, hidden_column=False)
        server.execute("CREATE DATABASE shop")
        server.execute("CREATE TABLE shop.orders (id INT PRIMARY KEY, note TEXT, raw BLOB)")
        server.execute(
            "INSERT INTO shop.orders SELECT seq, CONCAT('it''s \\\\ ', seq, '\\n'), UNHEX('00FF27')"
            " FROM shop.seq_1_to_5000"
        )
        server.execute("CREATE TABLE shop.empty_table (a INT)")
        server.execute("CREATE VIEW shop.a_view AS SELECT id FROM shop.orders")
        yield server


@pytest.fixture(scope="module")
def dumps(source: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same database, dumped by both."""
    made = {}
    for name, program in (("real", find_dumpling()), ("double", DOUBLE)):
        made[name] = tmp_path_factory.mktemp(name)
        argv: list[str | Path] = [program, "-h", source.host, "-P", str(source.port), "-u", "root"]
        argv += ["-o", made[name], "--status-addr=", "--no-views=false", "-t", "4"]
        argv += ["--consistency=snapshot", f"--snapshot={SNAPSHOT}"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert 0 == done.returncode, done.stdout[-2000:] + done.stderr[-2000:]
        assert "dump data successfully, dumpling will exit now" in done.stdout
    return made


def _names(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_the_files_have_the_same_names(dumps: dict[str, Path]) -> None:
    assert _names(dumps["real"]) == _names(dumps["double"])


def test_the_schemas_have_the_same_text(dumps: dict[str, Path]) -> None:
    schemas = [name for name in _names(dumps["real"]) if "-schema" in name]
    assert schemas
    for name in schemas:
        real, double = ((dumps[which] / name).read_text() for which in ("real", "double"))
        assert real == double, name


def test_metadata_has_the_same_form(dumps: dict[str, Path]) -> None:
    moments = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
    real, double = (
        moments.sub("<time>", (dumps[which] / "metadata").read_text())
        for which in ("real", "double")
    )
    assert real == double
    assert f"\tPos: {SNAPSHOT}\n" in double


def test_the_rows_that_load_are_the_same(
    source: MariaDB, dumps: dict[str, Path], tmp_path: Path
) -> None:
    loaded = {}
    for which, directory in dumps.items():
        with MariaDB(tmp_path / which) as server:
            load(server, directory)
            loaded[which] = server.checksum_tables("shop")
    expected = source.checksum_tables("shop")
    assert {"real": expected, "double": expected} == loaded
