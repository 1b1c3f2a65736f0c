"""The servers that many tests share: each starts once a worker, when the first test asks for it.

They are never emptied: a test makes schemas, accounts and buckets under names of its own
(`unique`).
"""

import functools
import os
import re
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.loaders
import botocore.session
import pytest

from tests import hard_schema
from tests.command import CANARY_PASSWORD, DOUBLE, find_dumpling
from tests.servers import Ceph, Database, MariaDB, Rclone, S3Server, SeaweedFS, database, missing
from tests.sharing import CephForAll, ceph_of_all

_SHARED = pytest.StashKey[CephForAll]()

# botocore would read megabytes of JSON anew for each session in this process.
botocore.session.create_loader = functools.cache(botocore.loaders.create_loader)

# Who starts us in the background (a shell's `&`, nohup, some CI) may have had these ignored. That
# is inherited, and the programs under test respect it: their signals' tests would all fail.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)


def _need(*programs: str) -> None:
    absent = missing(*programs)
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)} (scripts/install-packages)")


@pytest.fixture(scope="session")
def tidb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The TiDB of TIDB_ADDR, or a MariaDB dressed as one."""
    if not os.environ.get("TIDB_ADDR"):
        _need("mariadbd", "mariadb-install-db")
    with database(tmp_path_factory.mktemp("tidb")) as server:
        yield server


@pytest.fixture(scope="session")
def plain_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A MariaDB that says what it is; also the place to load a dump into."""
    _need("mariadbd", "mariadb-install-db", "mariadb")
    with MariaDB(tmp_path_factory.mktemp("mariadb"), tidb=False) as server:
        yield server


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist, which is about to start, where the Ceph for all of them is."""
    config: pytest.Config = node.config
    if _SHARED not in config.stash:
        shared = config.stash[_SHARED] = CephForAll()
        config.add_cleanup(shared.stop)
        shared.start()
    node.workerinput["ceph"] = config.stash[_SHARED].where


@pytest.fixture(scope="session")
def ceph(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ceph]:
    """Ceph, which all workers share: who stops it or hurts it needs another one."""
    _need("ceph-mon", "ceph-osd", "radosgw")
    if where := getattr(request.config, "workerinput", {}).get("ceph"):
        yield ceph_of_all(where)
        return
    with Ceph(tmp_path_factory.mktemp("ceph")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    _need("rclone")
    with Rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    _need("weed")
    with SeaweedFS(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def dumpling() -> Path:
    """The Dumpling to test with: see find_dumpling."""
    return find_dumpling()


@pytest.fixture(scope="session")
def quick_double(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The double of Dumpling; only what it says of itself is said by a shell.

    Every backup asks for both first, and Python takes a tenth of a backup's time to start for it.
    """
    directory = tmp_path_factory.mktemp("dumpling")
    for option in ("--help", "--version"):
        done = subprocess.run([DOUBLE, option], check=True, capture_output=True)
        (directory / option).write_bytes(done.stdout + done.stderr)
    script = directory / "dumpling"
    script.write_text(
        "#!/bin/sh\n"
        'case "$DUMPLING_DOUBLE" in\n'
        "*old-version* | *password-by-environment*) ;;\n"
        f'*) [ -f "{directory}/$1" ] && exec cat "{directory}/$1" ;;\n'
        "esac\n"
        f'exec "{DOUBLE}" "$@"\n'
    )
    script.chmod(0o755)
    return script


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> str:
    """A name for this test alone, which suits buckets, schemas and accounts."""
    readable = re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return f"{readable[:16].rstrip('-')}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def bucket(ceph: S3Server, unique: str) -> str:
    """A new, empty bucket in Ceph."""
    ceph.create_bucket(unique)
    return unique


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """An empty volume."""
    path = tmp_path / "volume"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def shop(tidb: Database) -> Database:
    """The database with three schemas: `shop`, `stock`, and the hard ones; and the account."""
    tidb.execute("CREATE DATABASE shop")
    tidb.execute("CREATE TABLE shop.orders (id INT PRIMARY KEY, note VARCHAR(300), raw BLOB)")
    tidb.execute(
        "INSERT INTO shop.orders WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n"
        " WHERE id < 1000) SELECT id, CONCAT('order ', id, REPEAT(' ~', 100)),"
        " REPEAT(CHAR(id % 256), 200) FROM n"
    )
    tidb.execute("CREATE TABLE shop.empty_table (a INT)")
    tidb.execute("CREATE DATABASE stock")
    tidb.execute("CREATE TABLE stock.items (id INT PRIMARY KEY, name VARCHAR(50))")
    tidb.execute("INSERT INTO stock.items VALUES (1, 'ünïcode ✓ 漢字'), (2, NULL)")
    hard_schema.create(tidb.execute, hidden_column=find_dumpling() == DOUBLE)
    tidb.create_account("backup", CANARY_PASSWORD)
    return tidb
