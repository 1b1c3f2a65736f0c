"""What is asked again while the database is away, and what is not."""

import pytest

from backup_manager.database.connection import Database, Source
from backup_manager.database.failures import ConnectError, StatementError
from backup_manager.database.patience import patiently
from backup_manager.errors import InterruptedBySignalError
from backup_manager.signals import Stop
from tests.database.conftest import PASSWORD, USER, when
from tests.database.proxy import Proxy
from tests.servers import MariaDB, free_port


def test_it_comes_back(through_proxy: Database, proxy: Proxy) -> None:
    through_proxy.identify()
    proxy.refuse.set()
    proxy.cut_all()
    back = when(lambda: proxy.refused > 2, proxy.refuse.clear)
    assert [(1,)] == patiently(through_proxy, lambda: through_proxy.query("SELECT 1"))
    back.join()


@pytest.mark.parametrize(("seconds", "patience"), [(0.3, 60.0), (60.0, 0.3), (0.0, 60.0)])
def test_it_does_not(stop: Stop, seconds: float, patience: float) -> None:
    asked: list[None] = []
    source = Source("127.0.0.1", free_port(), USER, PASSWORD)
    with Database(source, stop=stop, patience=patience) as away:

        def ask() -> None:
            asked.append(None)
            away.query("SELECT 1")

        with pytest.raises(ConnectError, match="refused"):
            patiently(away, ask, seconds=seconds)
    assert (len(asked) > 1) == (seconds > 0)


def test_what_will_not_pass_is_not_asked_again(database: Database, server: MariaDB) -> None:
    asked: list[None] = []

    def ask() -> None:
        asked.append(None)
        database.query("SELECT * FROM shop.nothing")

    with pytest.raises(StatementError):
        patiently(database, ask)
    assert 1 == len(asked)


def test_a_signal_ends_it(through_proxy: Database, proxy: Proxy, stop: Stop) -> None:
    proxy.refuse.set()
    signalled = when(lambda: proxy.refused > 2, lambda: stop.request(15))
    with pytest.raises(InterruptedBySignalError):
        patiently(through_proxy, through_proxy.identify)
    signalled.join()
