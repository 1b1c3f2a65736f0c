"""Each privilege that is missing is named with its GRANT, and nothing more is asked for."""

from collections.abc import Iterator

import pytest

from backup_manager.database.connection import Database, Source
from backup_manager.database.privileges import (
    check,
    estimate_bytes,
    visible_schemas,
    warn_of_partial_select,
)
from backup_manager.errors import ExitCode, ProtectionError, Reason
from backup_manager.report import Report
from backup_manager.signals import Stop
from tests.servers import SEED_GRANTS, MariaDB

GC = ("SELECT, UPDATE ON mysql.tidb",)


class Accounts:
    """Accounts with just these grants, each logged in."""

    def __init__(self, server: MariaDB, stop: Stop) -> None:
        self._server = server
        self._stop = stop
        self._open: list[Database] = []

    def login(self, *grants: str) -> Database:
        self._server.create_account("some", "x", grants=grants)
        return self.again()

    def again(self) -> Database:
        source = Source(self._server.host, self._server.port, "some", "x")
        self._open.append(Database(source, stop=self._stop))
        return self._open[-1]

    def close(self) -> None:
        for each in self._open:
            each.close()
        self._server.execute("DROP USER IF EXISTS some")


@pytest.fixture
def accounts(server: MariaDB, stop: Stop) -> Iterator[Accounts]:
    made = Accounts(server, stop)
    yield made
    made.close()


def refused(
    database: Database,
    report: Report,
    *,
    gc: bool = False,
    snapshot: bool = False,
    consistency: str = "snapshot",
) -> str:
    with pytest.raises(ProtectionError) as caught:
        check(database, gc=gc, snapshot=snapshot, consistency=consistency, report=report)
    assert ExitCode.PRIVILEGE == caught.value.exit_code
    assert Reason.PRIVILEGE == caught.value.reason
    return caught.value.message


@pytest.mark.parametrize("consistency", ["auto", "snapshot", "none", "flush", "lock"])
def test_the_seeds_grants_are_enough_and_nothing_is_changed(
    database: Database, server: MariaDB, report: Report, consistency: str
) -> None:
    before = server.execute("SELECT * FROM mysql.tidb")
    ((_, position, _, _),) = server.execute("SHOW MASTER STATUS")
    check(database, gc=True, snapshot=True, consistency=consistency, report=report)
    assert before == server.execute("SELECT * FROM mysql.tidb")
    # Not even the binary log has heard of it.
    assert position == server.execute("SHOW MASTER STATUS")[0][1]


def test_all_that_is_missing_is_named_at_once(accounts: Accounts, report: Report) -> None:
    message = refused(accounts.login(), report, gc=True, snapshot=True, consistency="flush")
    for grant in (
        "GRANT SELECT ON mysql.tidb TO 'some'@'%';",
        "GRANT UPDATE ON mysql.tidb TO 'some'@'%';",
        "GRANT REPLICATION CLIENT ON *.* TO 'some'@'%';",
        "GRANT RELOAD ON *.* TO 'some'@'%';",
    ):
        assert grant in message
    assert "--no-gc" in message
    assert "LOCK TABLES" not in message


def test_what_is_granted_as_told_is_enough(
    accounts: Accounts, server: MariaDB, report: Report
) -> None:
    message = refused(accounts.login(), report, gc=True, snapshot=True, consistency="lock")
    for statement in message.partition("To do: ")[2].split(";")[:-1]:
        server.execute(statement)
    again = accounts.again()
    check(again, gc=True, snapshot=True, consistency="lock", report=report)


@pytest.mark.parametrize(
    ("grants", "named"),
    [
        (["SELECT ON mysql.tidb"], "UPDATE"),
        (["UPDATE ON mysql.tidb"], "SELECT"),
        (["SELECT ON *.*"], "UPDATE"),
        (["SELECT (VARIABLE_NAME), UPDATE ON mysql.tidb"], "SELECT"),
        (["SELECT, UPDATE (VARIABLE_VALUE) ON mysql.tidb"], "UPDATE"),
    ],
)
def test_each_privilege_on_the_gc_row(
    accounts: Accounts, report: Report, grants: list[str], named: str
) -> None:
    message = refused(accounts.login(*grants), report, gc=True)
    assert f"lacks {named} on mysql.tidb:" in message
    assert f"GRANT {named} ON mysql.tidb TO 'some'@'%';" in message
    assert 1 == message.count("GRANT")


def test_replication_client(accounts: Accounts, report: Report) -> None:
    message = refused(accounts.login(*GC), report, gc=True, snapshot=True)
    assert "lacks REPLICATION CLIENT:" in message
    assert "--no-gc" not in message


def test_nothing_is_asked_for_that_is_not_needed(accounts: Accounts, report: Report) -> None:
    check(accounts.login(), gc=False, snapshot=False, consistency="none", report=report)
    check(accounts.login(*GC), gc=True, snapshot=False, consistency="auto", report=report)
    check(accounts.login("RELOAD ON *.*"), gc=False, snapshot=False, consistency="flush",
          report=report)  # fmt: skip


def test_a_schema_with_an_odd_name_can_be_the_one_that_may_be_locked(
    accounts: Accounts, server: MariaDB, report: Report
) -> None:
    server.execute("CREATE DATABASE `a``b`")
    try:
        database = accounts.login("SELECT ON shop.*", "SELECT, LOCK TABLES ON `a``b`.*")
        check(database, gc=False, snapshot=False, consistency="lock", report=report)
    finally:
        server.execute("DROP DATABASE `a``b`")


def test_lock_needs_lock_tables_somewhere(accounts: Accounts, report: Report) -> None:
    database = accounts.login("SELECT ON shop.*")
    message = refused(database, report, consistency="lock")
    assert "GRANT LOCK TABLES ON *.* TO 'some'@'%';" in message
    database = accounts.login("SELECT, LOCK TABLES ON shop.*")
    check(database, gc=False, snapshot=False, consistency="lock", report=report)


def test_roles_count(accounts: Accounts, server: MariaDB, report: Report) -> None:
    accounts.login().close()
    server.execute("CREATE OR REPLACE ROLE saver")
    for grant in SEED_GRANTS:
        server.execute(f"GRANT {grant} TO saver")
    server.execute("GRANT saver TO some")
    refused(accounts.again(), report, gc=True)
    server.execute("SET DEFAULT ROLE saver FOR some")
    check(accounts.again(), gc=True, snapshot=True, consistency="flush", report=report)
    server.execute("DROP ROLE saver")


def test_a_server_that_is_read_only(database: Database, server: MariaDB, report: Report) -> None:
    server.execute("SET GLOBAL read_only = 1")
    try:
        with pytest.raises(ProtectionError, match="read-only") as caught:
            check(database, gc=True, snapshot=True, consistency="snapshot", report=report)
    finally:
        server.execute("SET GLOBAL read_only = 0")
    assert "give the --host of a server that is not read-only" in caught.value.fix


def test_a_tidb_without_the_row(database: Database, server: MariaDB, report: Report) -> None:
    server.execute("DELETE FROM mysql.tidb")
    with pytest.raises(ProtectionError, match="SET GLOBAL tidb_gc_life_time") as caught:
        check(database, gc=True, snapshot=True, consistency="snapshot", report=report)
    assert Reason.GC_READ == caught.value.reason


def test_a_tidb_without_the_table(database: Database, server: MariaDB, report: Report) -> None:
    server.execute("RENAME TABLE mysql.tidb TO mysql.hidden")
    try:
        with pytest.raises(ProtectionError, match="--no-gc") as caught:
            check(database, gc=True, snapshot=True, consistency="snapshot", report=report)
    finally:
        server.execute("RENAME TABLE mysql.hidden TO mysql.tidb")
    assert Reason.GC_READ == caught.value.reason


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("plain"), tidb=False) as made:
        made.execute("CREATE DATABASE shop")
        yield made


@pytest.mark.parametrize(
    ("grants", "lacking"),
    [
        (["RELOAD ON *.*"], []),
        (["LOCK TABLES ON *.*"], []),
        (["LOCK TABLES, SELECT ON shop.*"], []),
        (["SELECT ON *.*"], ["RELOAD", "LOCK TABLES"]),
    ],
)
def test_auto_wants_one_of_two_where_the_server_is_no_tidb(
    plain: MariaDB, stop: Stop, report: Report, grants: list[str], lacking: list[str]
) -> None:
    plain.create_account("some", "x", grants=grants)
    with Database(Source(plain.host, plain.port, "some", "x"), stop=stop) as database:
        if not lacking:
            check(database, gc=False, snapshot=False, consistency="auto", report=report)
            return
        message = refused(database, report, consistency="auto")
        assert [] == [each for each in lacking if f"GRANT {each} ON *.*" not in message]


def test_somebody_elses_global_lock_does_not_hold_the_proofs_up(
    database: Database, server: MariaDB, report: Report
) -> None:
    with server.connect() as holder, holder.cursor() as cursor:
        cursor.execute("FLUSH TABLES WITH READ LOCK")
        check(database, gc=False, snapshot=True, consistency="flush", report=report)
        check(database, gc=False, snapshot=True, consistency="lock", report=report)


@pytest.mark.parametrize(
    ("grants", "warned"),
    [
        (["SELECT ON *.*"], False),
        (SEED_GRANTS, False),
        (["SELECT ON shop.*"], True),
        (["SELECT ON mysql.*"], True),
        (["REPLICATION CLIENT ON *.*"], True),
    ],
)
def test_partial_select_is_warned_of(
    accounts: Accounts, report: Report, grants: list[str], warned: bool
) -> None:
    warn_of_partial_select(accounts.login(*grants), report)
    assert warned == bool(report.summary.warnings)
    if warned:
        assert "GRANT SELECT ON *.* TO 'some'@'%'" in report.summary.warnings[0]


def test_visible_schemas(accounts: Accounts, server: MariaDB) -> None:
    for name in ("`Жетон`", "`a``b`"):
        server.execute(f"CREATE DATABASE {name}")
    try:
        assert ["a`b", "shop", "Жетон"] == visible_schemas(accounts.login("SELECT ON *.*"))
        assert ["shop"] == visible_schemas(accounts.login("SELECT ON shop.*"))
    finally:
        for name in ("`Жетон`", "`a``b`"):
            server.execute(f"DROP DATABASE {name}")


def test_the_estimate(database: Database, accounts: Accounts) -> None:
    ((expected,),) = database.query(
        "SELECT SUM(DATA_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop'"
    )
    assert int(expected) == estimate_bytes(database)
    assert estimate_bytes(accounts.login()) is None
