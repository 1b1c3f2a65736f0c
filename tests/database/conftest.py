"""A MariaDB dressed as TiDB for these tests, and an account with exactly the seed's grants."""

import io
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from backup_manager.database.connection import Database, Source
from backup_manager.database.lease import Lease
from backup_manager.report import Report
from backup_manager.signals import Stop
from tests.database.proxy import Proxy
from tests.database.rows import NEED, A
from tests.servers import GC_COMMENT, GC_NAME, GC_VALUE, MariaDB

USER, PASSWORD = "backup", "canary-pa$$wörd €"
_NEVER = 3600.0  # seconds

Make = Callable[..., Lease]


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("mariadb")) as server:
        server.create_account(USER, PASSWORD)
        server.execute("CREATE DATABASE shop")
        server.execute("CREATE TABLE shop.item (id INT PRIMARY KEY, name VARCHAR(20))")
        server.execute("INSERT INTO shop.item VALUES (1, 'pen'), (2, 'ink')")
        yield server


@pytest.fixture
def server(mariadb: MariaDB) -> MariaDB:
    """The server, with the GC row as it is at first."""
    mariadb.execute("DELETE FROM mysql.tidb")
    mariadb.execute("INSERT INTO mysql.tidb VALUES (%s, %s, %s)", (GC_NAME, GC_VALUE, GC_COMMENT))
    return mariadb


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def report(log: io.StringIO) -> Iterator[Report]:
    yield Report(stream=log, level="debug")
    assert "canary" not in log.getvalue()


@pytest.fixture
def source(server: MariaDB) -> Source:
    return Source(server.host, server.port, USER, PASSWORD)


@pytest.fixture
def database(source: Source, stop: Stop) -> Iterator[Database]:
    with Database(source, stop=stop) as made:
        yield made


@pytest.fixture
def proxy(server: MariaDB) -> Iterator[Proxy]:
    with Proxy(server.host, server.port) as made:
        yield made


@pytest.fixture
def through_proxy(proxy: Proxy, stop: Stop) -> Iterator[Database]:
    source = Source(proxy.host, proxy.port, USER, PASSWORD)
    with Database(source, stop=stop) as made:
        yield made


@pytest.fixture
def make(stop: Stop, report: Report) -> Iterator[Make]:
    made: list[Lease] = []

    def new(database: Database, lease_id: str = A, **options: object) -> Lease:
        settings: dict[str, object] = {
            "need": NEED,
            "stop": stop,
            "report": report,
            "remember": lambda _: None,
            "heartbeat_seconds": _NEVER,
        }
        made.append(Lease(database, lease_id, **(settings | options)))  # type: ignore[arg-type]  # as the test has it
        return made[-1]

    yield new
    for lease in made:
        lease.release()


def eventually(holds: Callable[[], bool], *, seconds: float = 30) -> None:
    """Poll until it holds; the bound only ends a test that would fail anyway."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "did not come to hold"
        time.sleep(0.005)


def when(holds: Callable[[], bool], act: Callable[[], object]) -> threading.Thread:
    """Do something in another thread as soon as something holds; join the thread."""

    def run() -> None:
        eventually(holds)
        act()

    thread = threading.Thread(target=run)
    thread.start()
    return thread
