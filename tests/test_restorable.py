"""What was backed up, downloaded and loaded into a second server is as it was."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import hard_schema
from tests.command import CANARY_PASSWORD, DOUBLE, Export, find_dumpling
from tests.comparison import Contents, contents, differences
from tests.hard_schema import BULK, HARD, SCHEMAS
from tests.life.backups import Shelf
from tests.life.commands import Life
from tests.restore import load
from tests.servers import SEED_GRANTS, Ceph, Database, MariaDB, S3Server, second_database
from tests.servers.sql import quoted

ACCOUNT = "restorable"


@pytest.fixture
def source(tidb: Database) -> Database:
    double = find_dumpling() == DOUBLE
    hard_schema.create(tidb.execute, hidden_column=double, lossy=double)
    grants = (*SEED_GRANTS, "SHOW VIEW ON *.*")
    tidb.create_account(ACCOUNT, CANARY_PASSWORD, grants=grants)
    return tidb


@pytest.fixture
def bulk(source: Database) -> Iterator[str]:
    hard_schema.create_bulk(source.execute)
    yield BULK
    source.execute(f"DROP DATABASE {quoted(BULK)}")


def back_up(database: Database, names: Sequence[str], *store: Any, **settings: Any) -> str:
    """Back these schemas up, with their views; the backup's key."""
    export = Export.of(
        database,
        *store,
        user=ACCOUNT,
        provider="ceph",
        table_filter=[f'"{name}".*' for name in names],
        dumpling_option=["--no-views=false"],
        **settings,
    )
    return export.run().expect(0).directory


def download(store: S3Server, bucket: str, backup: str, into: Path, *rules: str) -> Path:
    """The directory that the backup's files have come to, or those of the tables that are meant."""
    options = [f"--tables={rule}" for rule in rules]
    command = Life(Shelf(store, bucket, prefix=""))
    with command.start("download", backup, str(into), *options) as running:
        running.result(60).expect(0)
    return into


def restored(source: Database, names: Sequence[str], files: Path, scratch: Path) -> Contents:
    """All that a second server holds once the files are loaded into it."""
    with second_database(source, names, scratch / "second") as server:
        load(server, files)
        return contents(server) if isinstance(server, MariaDB) else contents(server, names)


def test_all_comes_back(
    source: Database, bulk: str, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path
) -> None:
    names = [*SCHEMAS, bulk]
    before = contents(source, names)
    assert 1_000_000 == before[bulk, "million"].rows

    backup = back_up(source, names, ceph, bucket, volume)
    files = download(ceph, bucket, backup, tmp_path / "fetched")

    assert [] == differences(before, restored(source, names, files, tmp_path))


def test_all_comes_back_from_an_archive(
    source: Database, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path
) -> None:
    before = contents(source, SCHEMAS)

    backup = back_up(source, SCHEMAS, ceph, bucket, volume, format="archive")
    files = download(ceph, bucket, backup, tmp_path / "fetched")

    assert [] == differences(before, restored(source, SCHEMAS, files, tmp_path))


def test_one_schema_comes_back(
    source: Database, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path
) -> None:
    before = contents(source, [HARD])

    backup = back_up(source, SCHEMAS, ceph, bucket, volume)
    files = download(ceph, bucket, backup, tmp_path / "fetched", f"{HARD}.*")

    assert [] == differences(before, restored(source, [HARD], files, tmp_path))


# What may have happened on the way, and what is then named.
_CHANGES = {
    "UPDATE hard.bytes SET c6 = INSERT(c6, 1000, 1, '!') WHERE id = 1": (
        "checksum of `hard`.`bytes`",
    ),
    "UPDATE hard.strings SET v = NULL WHERE v = ''": ("checksum of `hard`.`strings`",),
    "UPDATE hard.text_key SET k = CONCAT(k, ' ') WHERE v = 3": ("checksum of `hard`.`text_key`",),
    "DELETE FROM hard.chunks WHERE id = 999": (
        "rows of `hard`.`chunks`",
        "checksum of `hard`.`chunks`",
        "rows of `hard`.`a_view`",
    ),
    "DROP TABLE hard.empty": ("`hard`.`empty` is missing",),
    "ALTER TABLE hard.columns COMMENT 'é'": ("structure of `hard`.`columns`",),
    "ALTER TABLE hard.hen DROP FOREIGN KEY `laid it's é`": ("structure of `hard`.`hen`",),
    "ALTER TABLE hard.collations MODIFY k VARCHAR(9) COLLATE utf8mb4_bin": (
        "structure of `hard`.`collations`",
    ),
    "CREATE OR REPLACE VIEW hard.c_view AS SELECT id, 1 FROM hard.tree": (
        "structure of `hard`.`c_view`",
        "rows of `hard`.`c_view`",
    ),
    # Views that cannot be read any more.
    "DROP VIEW hard.m_view": (
        "`hard`.`m_view` is missing",
        "rows of `hard`.`b_view`",
        "rows of `odd db.100%``é```.`abroad`",
    ),
    "DROP TABLE `hard`.`Case`": ("`hard`.`Case` is missing",),
    "CREATE TABLE empty_db.other (a INT)": ("`empty_db`.`other` is one too many",),
    "ALTER DATABASE empty_db COLLATE utf8mb4_bin": ("structure of `empty_db`",),
    "DROP DATABASE bulk": ("`bulk` is missing", "`bulk`.`million` is missing"),
    "CREATE DATABASE bulk_2": ("`bulk_2` is one too many",),
}


def test_what_is_not_as_it_was_is_named(tmp_path: Path) -> None:
    with MariaDB(tmp_path / "second", tidb=False) as second:
        hard_schema.create(second.execute)
        second.execute("CREATE DATABASE bulk")
        second.execute("CREATE TABLE bulk.million (id INT)")
        before = contents(second)
        assert [] == differences(before, contents(second))
        for statement in _CHANGES:
            second.execute(statement)

        found = differences(before, contents(second))

    named = [text.partition(":")[0] for text in found]
    assert sorted(each for expected in _CHANGES.values() for each in expected) == sorted(named)
