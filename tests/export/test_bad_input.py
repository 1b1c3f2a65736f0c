"""Wrong from the start: its own clear error, and nothing changed anywhere."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.command import CANARY_PASSWORD
from tests.export.conftest import Make
from tests.export.state import assert_nothing, assert_only, left_on
from tests.servers import GC_COMMENT, GC_VALUE, Ceph, Database

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")


@pytest.mark.parametrize(
    ("settings", "exit_code", "words"),
    [
        ({"bucket": None}, 2, ["--bucket"]),
        ({"port": "70000"}, 2, ["--port", "70000", "65535"]),
        ({"port": "mysql"}, 2, ["--port", "mysql"]),
        ({"provider": "chef"}, 2, ["--provider", "chef", "ceph"]),
        ({"provider": "ceph", "endpoint": None}, 2, ["ceph", "--endpoint"]),
        ({"endpoint": "http://127.0.0.1:1/bucket"}, 2, ["--endpoint", "path", "--prefix"]),
        ({"endpoint": "http://key:secret@127.0.0.1:1"}, 2, ["--endpoint", "credentials"]),
        ({"prefix": "a/../b"}, 2, ["--prefix", ".."]),
        ({"gc_life_time": "10min"}, 2, ["10min", "10m"]),
        ({"gc_life_time": "9m"}, 2, ["9m", "10m", "8760h"]),
        ({"gc_life_time": "9000h"}, 2, ["9000h", "8760h"]),
        ({"stall_timeout": "0s"}, 2, ["--stall-timeout"]),
        ({"dumpling_option": ["--rowz=5"]}, 2, ["--rowz", "--rows"]),
        ({"dumpling_option": ["--no-data"]}, 2, ["--no-data"]),
        ({"dumpling_option": ["--password=x"]}, 2, ["--password"]),
        ({"dumpling_option": ["--output-filename-template={{.DB}}.{{.Table}}"]}, 2, [".Index"]),
        ({"dumpling": "/no/such/dumpling"}, 5, ["/no/such/dumpling"]),
        ({"log_level": "loud"}, 2, ["--log-level", "loud"]),
        ({"tls_ca": "/no/such/ca"}, 2, ["--tls-ca", "/no/such/ca"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_wrong_setting(
    make: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    settings: dict[str, Any],
    exit_code: int,
    words: list[str],
) -> None:
    result = make(**settings).refused().expect(exit_code)

    for word in words:
        assert word in result.message
    assert "To do: " in result.message
    assert "Traceback" not in result.stderr
    assert [] == left_on(volume)
    assert_nothing(ceph, bucket)


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--rows=1", ["Dumpling", "--dumpling-option=--rows"]),
        ("--password=x", ["--password-file", "BACKUP_MANAGER_PASSWORD"]),
        ("--hots=x", ["--host"]),
    ],
)
def test_a_flag_that_is_not_ours(make: Make, flag: str, words: list[str]) -> None:
    result = make().refused(flag).expect(2)

    for word in words:
        assert word in result.message


def test_a_variable_that_is_misspelt_is_named(make: Make) -> None:
    misspelt = {"BACKUP_MANAGER_BUKCET": "x", "BACKUP_MANAGER_SERVICE_HOST": "10.0.0.1"}

    result = make(environment=misspelt).run("--dry-run").expect(0)

    (event,) = result.events("is no setting")
    assert "BACKUP_MANAGER_BUKCET" in event["event"]
    assert "BACKUP_MANAGER_BUCKET" in event["event"]


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_password_file(make: Make, tmp_path: Path, text: str) -> None:
    file = tmp_path / "empty"
    file.write_text(text)

    result = make(password=None, password_file=file).refused().expect(2)

    assert "empty" in result.message


def test_a_password_file_that_is_not_there(make: Make) -> None:
    result = make(password=None, password_file="/no/such/file").refused().expect(2)

    assert "--password-file" in result.message


def test_a_prefix_is_normalised(make: Make, ceph: Ceph, bucket: str, tmp_path: Path) -> None:
    result = make(prefix="/a//b/").run().expect(0)

    assert result.directory.startswith("a/b/backup-")
    assert_only(ceph, bucket, result.directory, tmp_path)


def test_no_prefix(make: Make, ceph: Ceph, bucket: str, tmp_path: Path) -> None:
    result = make(prefix="").run().expect(0)

    assert result.directory.startswith("backup-")
    assert_only(ceph, bucket, result.directory, tmp_path)


# The volume --------------------------------------------------------------------------------


def test_a_volume_that_is_missing(make: Make, ceph: Ceph, bucket: str) -> None:
    result = make(volume="/no/such/volume").run().expect(9)

    assert "/no/such/volume" in result.message
    assert_nothing(ceph, bucket)


def test_a_volume_that_is_a_file(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    result = make(volume=file).run().expect(9)

    assert "not a directory" in result.message


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    where = tmp_path / "small"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", where], check=True)
    yield where
    subprocess.run(["umount", "--lazy", where], check=True)


@as_root
def test_a_volume_that_is_read_only(make: Make, small: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)

    result = make(volume=small).run().expect(9)

    assert "read-only" in result.message.lower()


@as_root
def test_a_volume_that_is_full(make: Make, small: Path) -> None:
    with (small / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass  # until it is full

    result = make(volume=small).run().expect(9, "VolumeFull")

    assert "full" in result.message


@as_root
def test_a_volume_that_runs_full(make: Make, ceph: Ceph, bucket: str, small: Path) -> None:
    # The dump has more than 4 MiB: whichever Dumpling there is, it fails in its own way.
    result = make(volume=small, table_filter=["shop.*", "hard.*"])
    with (small / "filler").open("wb") as file:
        file.write(b"x" * 3_700_000)

    result.run().expect(9, "VolumeFull")

    assert_nothing(ceph, bucket)


# Dumpling ----------------------------------------------------------------------------------


def test_a_dumpling_that_is_not_executable(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "dumpling"
    file.write_bytes(b"\x7fELF")

    result = make(dumpling=file).run().expect(5)

    assert str(file) in result.message


def test_a_dumpling_of_another_architecture(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "dumpling"
    file.write_bytes(b"\x7fELF\x02\x01\x01" + b"\0" * 57)
    file.chmod(0o755)

    result = make(dumpling=file).run().expect(5)

    assert "architecture" in result.message


# The store ---------------------------------------------------------------------------------


def test_a_bucket_that_does_not_exist(make: Make) -> None:
    result = make(bucket="no-such-bucket-here").run().expect(7)

    assert "no-such-bucket-here" in result.message
    assert "create the bucket" in result.message


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"secret_key": "wrong-canary-secret"}, "AWS_SECRET_ACCESS_KEY"),
        ({"access_key": "AKIAWRONG"}, "AWS_ACCESS_KEY_ID"),
        ({"access_key": None, "secret_key": None}, "no credentials"),
        ({"access_key": "", "secret_key": ""}, "no credentials"),
    ],
    ids=["wrong secret", "unknown key", "none", "empty"],
)
def test_keys_that_do_not_fit(
    make: Make, ceph: Ceph, bucket: str, keys: dict[str, str | None], words: str
) -> None:
    result = make(**keys).run().expect(7)

    assert words in result.message
    assert_nothing(ceph, bucket)


@pytest.mark.parametrize("denied", ["s3:PutObject", "s3:ListBucket"])
def test_a_key_that_may_not_do_everything(
    make: Make, ceph: Ceph, bucket: str, unique: str, denied: str
) -> None:
    access_key, secret_key = ceph.create_user(unique)
    _allow(ceph, bucket, unique, denied)

    result = make(access_key=access_key, secret_key=secret_key).run().expect(7)

    assert denied in result.message
    assert_nothing(ceph, bucket)


def test_a_key_that_may_not_delete_is_enough_and_what_stays_is_named(
    make: Make, ceph: Ceph, bucket: str, unique: str
) -> None:
    access_key, secret_key = ceph.create_user(unique)
    _allow(ceph, bucket, unique, "s3:DeleteObject")

    result = make(access_key=access_key, secret_key=secret_key).run().expect(0)

    assert any("refuses to delete" in text for text in result.warnings)


def _allow(ceph: Ceph, bucket: str, user: str, denied: str) -> None:
    """Allow a user everything in a bucket but one thing."""
    arn = f"arn:aws:s3:::{bucket}"
    principal = {"AWS": [f"arn:aws:iam:::user/{user}"]}
    everything = {"Principal": principal, "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
    ceph.set_policy(
        bucket,
        {
            "Version": "2012-10-17",
            "Statement": [
                everything | {"Effect": "Allow"},
                everything | {"Effect": "Deny", "Action": denied},
            ],
        },
    )


def test_a_store_that_is_not_there(make: Make, volume: Path, shop: Database) -> None:
    export = make(endpoint="http://127.0.0.1:1", stall_timeout="5s")
    with export.start() as running:
        result = running.result(80).expect(7)

    assert "--endpoint" in result.message
    assert "refused" in result.message
    assert 1 == len(result.events("waiting for the store"))
    assert [] == left_on(volume)
    assert (GC_VALUE, GC_COMMENT) == shop.gc_row()


# The environment ---------------------------------------------------------------------------


def test_empty_variables_are_unset(make: Make, ceph: Ceph, bucket: str, tmp_path: Path) -> None:
    empty = dict.fromkeys(
        ["AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ACL", "AWS_STORAGE_CLASS", "AWS_PROFILE"], ""
    )
    result = make(region=None, environment=empty).run().expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)


def test_a_service_link_is_no_port(make: Make, shop: Database, ceph: Ceph, bucket: str) -> None:
    link = {"BACKUP_MANAGER_PORT": "tcp://10.0.0.1:80", "BACKUP_MANAGER_HOST": shop.host}

    make(environment=link).run().expect(0)

    result = make(port=None, host=None, connect_timeout="1s", environment=link).run()
    # Not 80, not an error about the variable: the default port, where nobody listens here.
    result.expect(3)
    assert ":4000" in result.message


def test_the_operators_variables(make: Make, ceph: Ceph, bucket: str, tmp_path: Path) -> None:
    variables = {"S3_PROVIDER": "ceph", "S3_ENDPOINT": ceph.http, "AWS_REGION": "us-east-1"}

    result = make(
        provider=None, endpoint=None, region=None, environment=variables, password_by="environment"
    )
    done = result.run().expect(0)

    assert_only(ceph, bucket, done.directory, tmp_path)


# The database ------------------------------------------------------------------------------


def test_a_wrong_password_ends_at_once(make: Make, ceph: Ceph, bucket: str, volume: Path) -> None:
    export = make(password="a-wrong-canary-password", connect_timeout="30m")

    result = export.run(timeout=20).expect(3, "ConnectTidbFailed")

    assert "password" in result.message
    assert_nothing(ceph, bucket)
    assert [] == left_on(volume)


@pytest.mark.parametrize(
    ("grants", "missing"),
    [
        (
            ("SELECT, RELOAD, LOCK TABLES, REPLICATION CLIENT ON *.*",),
            ["GRANT UPDATE ON `mysql`.`tidb`", "--no-gc"],
        ),
        (("SELECT ON *.*", "SELECT, UPDATE ON mysql.tidb"), ["GRANT REPLICATION CLIENT ON *.*"]),
    ],
    ids=["mysql.tidb", "replication client"],
)
def test_a_missing_privilege_is_named_with_its_grant(
    make: Make,
    shop: Database,
    ceph: Ceph,
    bucket: str,
    unique: str,
    grants: tuple[str, ...],
    missing: list[str],
) -> None:
    shop.create_account(unique, CANARY_PASSWORD, grants=grants)

    result = make(user=unique).run().expect(4, "PrivilegeMissing")

    for text in missing:
        assert text.replace("`", "") in result.message.replace("`", "")
    assert_nothing(ceph, bucket)


def test_views_need_show_view(make: Make, ceph: Ceph, bucket: str) -> None:
    export = make(table_filter=["hard.*"], dumpling_option=["--no-views=false"])

    result = export.run().expect(4, "PrivilegeMissing")

    assert "GRANT SHOW VIEW ON *.*" in result.message
    assert_nothing(ceph, bucket)


def test_without_gc_mysql_tidb_is_left_alone(make: Make, shop: Database, unique: str) -> None:
    grants = ("SELECT, REPLICATION CLIENT ON *.*",)
    shop.create_account(unique, CANARY_PASSWORD, grants=grants)

    result = make(user=unique, no_gc=True).run().expect(0)

    assert 0 == len(result.events("GC is held off"))
