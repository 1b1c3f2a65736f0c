"""A backup from end to end."""

import re
from pathlib import Path

import pytest

from tests import hard_schema
from tests.command import CANARY_PASSWORD, Export
from tests.export.conftest import ACCOUNT, Make
from tests.export.state import assert_nothing, assert_only, left_on, open_uploads
from tests.restore import fetch_backup
from tests.s3_proxy import S3Proxy
from tests.servers import Ceph, Database, MariaDB, Rclone, SeaweedFS

DIRECTORY = re.compile(r"nightly/backup-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ-[0-9a-f]{8}")


def test_a_backup_is_whole(
    make: Make,
    shop: Database,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
) -> None:
    tables = ["shop.*", "stock.*", *(f'"{name}".*' for name in hard_schema.SCHEMAS)]
    export = make(table_filter=tables, name="nightly-1", schedule="nightly")

    result = export.run().expect(0, "Complete")

    assert DIRECTORY.fullmatch(result.directory)
    fetched = assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)
    record = fetched.record
    assert (1, "nightly-1", "nightly") == (record["format"], record["name"], record["schedule"])
    assert result.directory.endswith(record["id"][:8])
    assert record["snapshot"] == result.summary["snapshot"]
    assert (record["files"], record["bytes"]) == (result.summary["files"], result.summary["bytes"])
    assert shop.port == record["source"]["port"]
    assert {"--threads=16", "--rows=10000"} <= set(record["dumpling"]["options"])
    text = (fetched.files / "metadata").read_text()
    assert f"\tPos: {record['snapshot']['tso']}\n" in text
    assert "resumed" in result.summary
    assert result.summary["resumed"] is False
    result.assert_clean_bucket(ceph.client(), bucket)


def test_over_https_with_a_private_ca(
    make: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path
) -> None:
    export = make(endpoint=ceph.https, environment={"AWS_CA_BUNDLE": str(ceph.ca_file)})

    result = export.run().expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_a_certificate_that_is_not_trusted(make: Make, ceph: Ceph, bucket: str) -> None:
    result = make(endpoint=ceph.https).run().expect(7)

    assert "certificate" in result.message
    assert "--s3-ca" in result.message
    assert_nothing(ceph, bucket)


def test_big_files_go_up_in_parts(
    double: Make, ceph: Ceph, bucket: str, proxy: S3Proxy, tmp_path: Path
) -> None:
    replay = {"replay": {"files": 3, "bytes": 1000, "big": {"files": 2, "bytes": 70_000_000}}}

    result = double(replay, endpoint=proxy.url, table_filter=[]).run().expect(0)

    fetched = assert_only(ceph, bucket, result.directory, tmp_path)
    assert 2 == proxy.count("CompleteMultipartUpload")
    assert 10 == proxy.count("UploadPart")  # 70,000,000 bytes are five parts of 16 MiB at most
    # Every part and file was sent once, the probe, the manifest and the record beside them.
    sent = fetched.record["bytes"]
    assert sent <= proxy.bytes_accepted < sent + 10_000
    assert 0 == proxy.count("CreateBucket", "HeadObject", "ListBuckets")


def test_files_go_up_while_dumpling_runs(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    controls = {"gate": {"at": "metadata", "path": str(gate)}}
    with double(controls).start() as running:

        def there() -> bool:
            return any(
                item["Key"].endswith(".sql")
                for item in ceph.client().list_objects_v2(Bucket=bucket).get("Contents", [])
                if "orders.0" in item["Key"]
            )

        running.wait_until(there)
        gate.touch()
        running.result(60).expect(0)


def test_schemas_that_the_filter_leaves_out_are_named(make: Make) -> None:
    result = make(table_filter=["shop.*"]).run().expect(0)

    warning = next(text for text in result.warnings if "not in this backup" in text)
    assert "stock" in warning
    assert hard_schema.EMPTY in warning
    assert "shop" not in warning
    assert "mysql" not in warning


def test_an_account_that_sees_less_than_everything_is_named(
    make: Make, shop: Database, unique: str
) -> None:
    grants = ("SELECT, UPDATE ON mysql.tidb", "REPLICATION CLIENT ON *.*", "SELECT ON shop.*")
    shop.create_account(unique, CANARY_PASSWORD, grants=grants)

    result = make(user=unique, table_filter=["shop.*"]).run().expect(0)

    assert any(unique in text and "GRANT SELECT ON *.*" in text for text in result.warnings)


def test_a_server_that_is_no_tidb(
    plain_mariadb: MariaDB, ceph: Ceph, bucket: str, volume: Path, unique: str, tmp_path: Path
) -> None:
    schema = unique.replace("-", "_")
    plain_mariadb.execute(f"CREATE DATABASE {schema}")
    plain_mariadb.execute(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY)")
    plain_mariadb.execute(f"INSERT INTO {schema}.t VALUES (1), (2)")
    plain_mariadb.create_account(ACCOUNT, CANARY_PASSWORD)
    export = Export.of(plain_mariadb, ceph, bucket, volume, table_filter=[f"{schema}.*"])

    result = export.run().expect(0)

    assert 1 == len(result.events("no TiDB"))
    fetched = assert_only(ceph, bucket, result.directory, tmp_path)
    assert fetched.record["snapshot"]["time"] is None


@pytest.mark.parametrize("provider", ["other"])
def test_rclone_as_the_store(
    shop: Database, rclone: Rclone, volume: Path, unique: str, tmp_path: Path, provider: str
) -> None:
    rclone.create_bucket(unique)
    export = Export.of(shop, rclone, unique, volume, provider=provider, prefix="a/b")

    result = export.run().expect(0)

    fetch_backup(rclone.client(), unique, result.directory, tmp_path / "fetched")
    assert [] == left_on(volume)


def test_seaweedfs_as_the_store(
    shop: Database, seaweedfs: SeaweedFS, volume: Path, unique: str, tmp_path: Path
) -> None:
    seaweedfs.create_bucket(unique)
    export = Export.of(shop, seaweedfs, unique, volume, provider="seaweedfs")

    result = export.run().expect(0)

    fetch_backup(seaweedfs.client(), unique, result.directory, tmp_path / "fetched")
    assert [] == open_uploads(seaweedfs, unique)
    assert [] == left_on(volume)


def test_a_dry_run_touches_nothing(make: Make, ceph: Ceph, bucket: str, volume: Path) -> None:
    export = make(port=1, dumpling_option=["--rows=0"], after=["--filesize=1MiB"])
    result = export.run("--dry-run").expect(0, "DryRun")

    assert result.summary["backup"] is None
    assert "--rows=0" in result.stdout
    assert "--threads=16" in result.stdout
    assert re.search(r"--bucket +\S+ +--bucket", result.stdout)
    assert re.search(r"--dumpling-option +--rows=0 --filesize=1MiB +.*after --", result.stdout)
    assert [] == left_on(volume)
    assert_nothing(ceph, bucket)
