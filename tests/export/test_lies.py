"""Dumpling says that all is well, and it is not; and what it says when it fails."""

from pathlib import Path
from typing import Any

import pytest

from tests.command import CANARY_PASSWORD
from tests.export.conftest import Make
from tests.export.state import assert_nothing, assert_only, left_on
from tests.servers import Ceph, Database


@pytest.mark.parametrize(
    ("misdeed", "exit_code", "reason", "words"),
    [
        ({"misdeed": "enospc-at-close"}, 6, None, "metadata"),
        ({"misdeed": "metadata-missing"}, 6, None, "metadata"),
        ({"misdeed": "metadata-empty"}, 6, None, "metadata"),
        ({"misdeed": "metadata-cut"}, 6, None, "metadata"),
        ({"misdeed": "metadata-no-finished"}, 6, None, "metadata"),
        ({"misdeed": "metadata-no-pos"}, 6, "GetCommitTsFailed", "Pos"),
        ({"misdeed": "metadata-other-pos"}, 6, "GetCommitTsFailed", "Pos"),
        ({"misdeed": "no-files"}, 6, None, "metadata"),
        ({"misdeed": "only-metadata"}, 6, "DumpInvalid", "empty"),
        ({"misdeed": "exit-1-at-end"}, 5, "DumpTidbClusterFailed", "exit code 1"),
        ({"misdeed": "killed"}, 5, "DumpTidbClusterFailed", "memory"),
        ({"misdeed": "invalid-connection"}, 5, "DumpTidbClusterFailed", "invalid connection"),
        ({"misdeed": "enospc"}, 9, "VolumeFull", "full"),
        ({"misdeed": "odd-names", "non_utf8": True}, 6, "DumpInvalid", "UTF-8"),
    ],
    ids=lambda value: value["misdeed"] if isinstance(value, dict) else None,
)
def test_each_is_found(
    double: Make,
    ceph: Ceph,
    bucket: str,
    misdeed: dict[str, Any],
    exit_code: int,
    reason: str | None,
    words: str,
) -> None:
    result = double(misdeed).run().expect(exit_code, reason)

    assert words in result.message
    assert_nothing(ceph, bucket)


def test_a_filter_that_matches_nothing(make: Make, ceph: Ceph, bucket: str) -> None:
    result = make(table_filter=["no_such_*.*"]).run().expect(6)

    assert "filter" in result.message
    assert_nothing(ceph, bucket)


def test_a_schema_that_is_named_and_is_not_there(make: Make, ceph: Ceph, bucket: str) -> None:
    result = make(table_filter=["shop.*", "shopp.*"]).run().expect(6)

    assert "shopp" in result.message
    assert_nothing(ceph, bucket)


def test_a_schema_that_the_account_may_not_see(
    make: Make, shop: Database, ceph: Ceph, bucket: str, unique: str
) -> None:
    grants = ("SELECT, UPDATE ON mysql.tidb", "REPLICATION CLIENT ON *.*", "SELECT ON shop.*")
    shop.create_account(unique, CANARY_PASSWORD, grants=grants)

    result = make(user=unique).run().expect(6)

    assert "stock" in result.message
    assert_nothing(ceph, bucket)


@pytest.mark.parametrize("status", ["status-foreign", "status-silent", "status-none"])
def test_a_status_port_that_is_not_its_own_tells_nothing(double: Make, status: str) -> None:
    double({"misdeed": status}).run().expect(0)


def test_a_second_pos_of_a_replica_is_not_taken(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    result = double({"misdeed": "metadata-two-pos"}).run().expect(0)

    fetched = assert_only(ceph, bucket, result.directory, tmp_path)
    assert result.summary["snapshot"] == fetched.record["snapshot"]


@pytest.mark.parametrize("length", ["same", "shorter", "longer", "identical"])
def test_a_file_that_is_written_again_after_it_was_sent(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, length: str
) -> None:
    reached, go_on = tmp_path / "reached", tmp_path / "go-on"
    retry = {
        "misdeed": "retry-chunk",
        "length": length,
        "file": "shop.orders.*",
        "reached": str(reached),
        "path": str(go_on),
    }
    with double(retry).start() as running:

        def sent_already() -> bool:
            answer = ceph.client().list_objects_v2(Bucket=bucket)
            names = [item["Key"] for item in answer.get("Contents", [])]
            return reached.exists() and any("shop.orders.0" in name for name in names)

        running.wait_until(sent_already)
        go_on.touch()
        result = running.result(60).expect(0)

    # Every byte that was fetched has the hash of the manifest, and the count of rows is right.
    fetched = assert_only(ceph, bucket, result.directory, tmp_path)
    rows = sum(
        path.read_bytes().count(b"order ") for path in fetched.files.glob("shop.orders.0*.sql")
    )
    assert 1000 == rows


def test_odd_names_and_subdirectories(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    controls = [{"misdeed": "odd-names"}, {"misdeed": "subdirectories"}]

    result = double(*controls).run().expect(0)

    fetched = assert_only(ceph, bucket, result.directory, tmp_path)
    names = {row["name"] for row in fetched.rows}
    assert any("/" in name for name in names)
    assert any("\n" in name for name in names)
    assert any("%" in name for name in names)


def test_a_burst_of_tiny_files(double: Make, ceph: Ceph, bucket: str, tmp_path: Path) -> None:
    result = double({"misdeed": "burst", "count": 500}).run().expect(0)

    fetched = assert_only(ceph, bucket, result.directory, tmp_path)
    assert 500 < len(fetched.rows)


@pytest.mark.parametrize(
    "misdeed", ["long-log-line", "log-flood", "bad-utf8-log", "row-leak"], ids=str
)
def test_whatever_it_logs(double: Make, misdeed: str) -> None:
    result = double({"misdeed": misdeed}).run().expect(0)

    assert "INSERT INTO" not in result.stderr


def test_its_password_in_its_own_words(double: Make, ceph: Ceph, bucket: str) -> None:
    # That the password is nowhere is asserted of every run.
    result = double({"misdeed": "password-leak"}).run().expect(5)

    assert "***" in result.message
    assert_nothing(ceph, bucket)


def test_one_that_hangs_is_stopped_and_named(double: Make, ceph: Ceph, bucket: str) -> None:
    export = double({"misdeed": "hang"}, stall_timeout="3s")

    result = export.run().expect(5, "Stalled")

    assert "3 s" in result.message
    assert_nothing(ceph, bucket)


def test_what_it_wrote_stays_after_a_failure_and_goes_with_the_next_run(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path
) -> None:
    double({"misdeed": "exit-1-at-end"}).run().expect(5)
    assert 1 == len(left_on(volume))

    result = double().run().expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)
