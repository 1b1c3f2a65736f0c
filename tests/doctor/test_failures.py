"""Each kind of failure has its fix and its exit code, and hides nothing that can be tried."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import CANARY_PASSWORD
from tests.disks import fill, remount, tmpfs
from tests.doctor.conftest import Examine
from tests.servers import GC_COMMENT, Database

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")

OF_DATABASE = ["database", "version", "privileges", "snapshot", "gc", "leases"]
OF_STORE = [
    "bucket", "clock", "versioning", "object lock", "write", "read", "conditions", "delete",
    "multipart",
]  # fmt: skip


def skipped(*checks: str) -> dict[str, str]:
    return dict.fromkeys(checks, "skipped")


# Settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words", "untried"),
    [
        ({"port": "mysql"}, "65535", OF_DATABASE),
        ({"tls_cert": "/no/such/cert"}, "mount", OF_DATABASE),
        ({"user": "a:b"}, "colon", OF_DATABASE),
        ({"connect_timeout": "0s"}, "duration", []),
        ({"bucket": None}, "--bucket", ["credentials", *OF_STORE]),
        ({"provider": "chef"}, "ceph", ["credentials", *OF_STORE]),
        ({"object_lock_mode": "GOVERNANCE"}, "--object-lock-retain", ["credentials", *OF_STORE]),
        ({"gc_life_time": "9m"}, "8760h", ["gc", "leases"]),
        ({"stall_timeout": "0s"}, "above zero", []),
        ({"metrics_file": "/tmp/x"}, "node-exporter", []),
        ({"log_level": "loud"}, "debug", []),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_wrong_setting_hides_only_what_needs_it(
    doctor: Examine, settings: dict[str, Any], words: str, untried: list[str]
) -> None:
    found = doctor(**settings).run().expect(2)

    assert {"settings": "failed"} | skipped(*untried) == found.unwell
    (failure,) = found.of("settings")
    assert words in failure["fix"]


def test_a_pushgateway_that_cannot_be_asked(doctor: Examine, tmp_path: Path) -> None:
    file = tmp_path / "auth"
    file.write_text("no-colon")

    found = doctor(pushgateway="http://127.0.0.1:1", pushgateway_auth_file=file).run().expect(2)

    assert {"settings": "failed"} == found.unwell


def test_a_variable_that_is_misspelt(doctor: Examine) -> None:
    found = doctor(environment={"BACKUP_MANAGER_BUKCET": "x"}).run().expect(0)

    (warning,) = found.of("settings", "warning")
    assert "BACKUP_MANAGER_BUCKET" in warning["seen"]


def test_several_failures_are_all_told_and_the_first_decides(doctor: Examine) -> None:
    found = (
        doctor(
            port=1,
            connect_timeout="0.1s",
            volume="/no/such",
            dumpling="/no/such",
            bucket="nobody-s",
        )
        .run()
        .expect(5, "DumplingUnusable")
    )

    assert ["dumpling", "database", "volume", "bucket"] == found.failed
    assert [5, 3, 9, 7] == [found.one(each, "failed")["exit_code"] for each in found.failed]
    assert (
        "4 checks failed (dumpling, database, volume, bucket), the first: Dumpling is missing"
        in (found.summary["message"])
    )


# Dumpling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["missing", "not executable", "something else"])
def test_a_dumpling_that_cannot_be_used(doctor: Examine, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "tool"
    if kind != "missing":
        file.write_text("#!/bin/sh\necho hello\n")
        file.chmod(0o755 if kind == "something else" else 0o644)

    found = doctor(dumpling=file).run().expect(5, "DumplingUnusable")

    assert {"dumpling": "failed", "options": "skipped"} == found.unwell
    # Whose lock it would be is not known then.
    assert "who holds this backup is not known" in found.one("lock", "ok")["seen"]


@pytest.mark.parametrize("option", ["--no-data", "--rowz=5"])
def test_an_option_that_dumpling_is_not_given(doctor: Examine, option: str) -> None:
    found = doctor(dumpling_option=[option]).run().expect(2)

    assert {"options": "failed"} == found.unwell
    assert option.partition("=")[0] in found.one("options", "failed")["seen"]


# The database ------------------------------------------------------------------------------


def test_a_wrong_password(doctor: Examine) -> None:
    found = doctor(password="a-wrong-canary-password").run().expect(3, "ConnectTidbFailed")

    assert {"database": "failed"} | skipped(*OF_DATABASE[1:]) == found.unwell
    failure = found.one("database", "failed")
    assert "password" in failure["fix"]
    assert "goes on trying" not in failure["seen"]


def test_a_database_that_is_away_is_not_waited_for(doctor: Examine) -> None:
    found = doctor(port=1, connect_timeout="30m").run().expect(3, "ConnectTidbFailed")

    seen = found.one("database", "failed")["seen"]
    assert seen.endswith("(tried for 3s); export goes on trying for 30m0s")
    assert "not known" in found.one("room", "ok")["seen"]


@pytest.mark.parametrize(
    ("grants", "words", "gc"),
    [
        (("SELECT, UPDATE ON mysql.tidb",), "GRANT REPLICATION CLIENT ON *.*", "ok"),
        (("SELECT, REPLICATION CLIENT ON *.*",), "GRANT UPDATE ON `mysql`.`tidb`", "ok"),
        (("REPLICATION CLIENT ON *.*",), "GRANT SELECT ON `mysql`.`tidb`", "skipped"),
    ],
    ids=["replication client", "update", "select"],
)
def test_a_missing_privilege(
    doctor: Examine,
    patient: Database,
    unique: str,
    grants: tuple[str, ...],
    words: str,
    gc: str,
) -> None:
    patient.create_account(unique, CANARY_PASSWORD, grants=grants)

    found = doctor(user=unique).run().expect(4, "PrivilegeMissing")

    (failure,) = found.of("privileges")
    assert words.replace("`", "") in failure["fix"].replace("`", "")
    assert [gc] == [each["verdict"] for each in found.of("gc")]


def test_an_account_that_sees_not_all(doctor: Examine, patient: Database, unique: str) -> None:
    grants = ("REPLICATION CLIENT ON *.*", "SELECT, UPDATE ON mysql.tidb")
    patient.create_account(unique, CANARY_PASSWORD, grants=grants)

    found = doctor(user=unique).run().expect(0)

    (warning,) = found.of("privileges", "warning")
    assert f"GRANT SELECT ON *.* TO '{unique}'@'%'" in warning["fix"]
    assert "To do" not in warning["seen"]


@pytest.mark.usefixtures("gc_put_back")
@pytest.mark.parametrize(
    ("row", "reason", "words"),
    [
        (None, "GetTikvGCLifeTimeFailed", "SET GLOBAL tidb_gc_life_time"),
        (("soon", GC_COMMENT), "ParseOldTikvGCLifeTimeFailed", "SET GLOBAL tidb_gc_life_time"),
        (("10m0s", "x" * 1000), "SetTikvGCLifeTimeFailed", "shorten the comment"),
    ],
    ids=["missing", "no duration", "no room for a lease"],
)
def test_a_row_of_gc_that_is_of_no_use(
    doctor: Examine, patient: Database, row: tuple[str, str] | None, reason: str, words: str
) -> None:
    patient.execute("DELETE FROM mysql.tidb WHERE VARIABLE_NAME = 'tikv_gc_life_time'")
    if row:
        patient.execute("INSERT INTO mysql.tidb VALUES ('tikv_gc_life_time', %s, %s)", row)

    found = doctor().run().expect(4, reason)

    assert ["gc"] == found.failed
    assert words in found.one("gc", "failed")["fix"]


def test_a_snapshot_that_gc_has_passed(doctor: Examine, patient: Database) -> None:
    point = "REPLACE INTO mysql.tidb VALUES ('tikv_gc_safe_point', '20260101-00:00:00 +0000', '')"
    patient.execute(point)
    try:
        given = ["--snapshot=2025-12-31 00:00:00"]
        found = doctor(dumpling_option=given).run().expect(4, "SnapshotLostToGC")
    finally:
        patient.execute("DELETE FROM mysql.tidb WHERE VARIABLE_NAME = 'tikv_gc_safe_point'")

    assert {"snapshot": "failed"} == found.unwell


# The volume --------------------------------------------------------------------------------


def test_a_volume_that_is_a_file(doctor: Examine, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    found = doctor(volume=file).run().expect(9, "VolumeUnusable")

    assert {"volume": "failed"} | skipped("lock", "room", "leftovers") == found.unwell


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "small", "size=4m") as where:
        yield where


@as_root
def test_a_volume_that_is_read_only(doctor: Examine, small: Path) -> None:
    remount(small, "ro")

    found = doctor(volume=small).run().expect(9, "VolumeUnusable")

    assert {"volume": "failed", "lock": "skipped"} == found.unwell
    assert "mount the volume for writing" in found.one("volume", "failed")["fix"]


@as_root
def test_a_volume_that_is_full(doctor: Examine, small: Path) -> None:
    fill(small)

    found = doctor(volume=small).run().expect(9, "VolumeFull")

    assert ["volume"] == found.failed
    assert "give the PVC more storage" in found.one("volume", "failed")["fix"]
    assert (
        found.of("room")[0]["seen"].removeprefix("the volume may be too small: ").startswith("0 B")
    )


@as_root
def test_a_volume_that_is_all_but_full(doctor: Examine, small: Path) -> None:
    fill(small).write_bytes(b"x" * ((4 << 20) - (512 << 10)))

    found = doctor(volume=small).run().expect(9, "VolumeFull")

    assert {"room": "failed"} == found.unwell


def test_a_volume_that_may_be_too_small(doctor: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    # No database of petabytes is at hand.
    monkeypatch.setattr("backup_manager.doctor.local.estimate_bytes", lambda _: 1 << 60)

    found = doctor().run().expect(0)

    assert "--compress" in found.one("room", "warning")["fix"]


# The store ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bucket": "no-such-bucket-here"}, "create the bucket"),
        ({"secret_key": "wrong-canary-secret"}, "AWS_SECRET_ACCESS_KEY"),
        ({"access_key": "AKIAWRONG"}, "AWS_ACCESS_KEY_ID"),
        ({"endpoint": "http://127.0.0.1:1"}, "--endpoint"),
    ],
    ids=["no bucket", "wrong secret", "unknown key", "nobody there"],
)
def test_a_store_that_refuses(doctor: Examine, settings: dict[str, Any], words: str) -> None:
    found = doctor(**settings).run().expect(7, "StoreUnusable")

    assert ["bucket"] == found.failed
    assert words in found.one("bucket", "failed")["fix"]
    assert set(OF_STORE) - {"clock"} <= found.unwell.keys()


@pytest.mark.parametrize(
    ("settings", "exit_code", "words"),
    [
        ({"access_key": None, "secret_key": None}, 7, "AWS_SECRET_ACCESS_KEY"),
        ({"secret_key": None}, 2, "give both"),
        ({"environment": {"AWS_PROFILE": "nobody"}, "access_key": None}, 2, "AWS_PROFILE"),
    ],
    ids=["none", "half a pair", "no such profile"],
)
def test_no_credentials(
    doctor: Examine, settings: dict[str, Any], exit_code: int, words: str
) -> None:
    found = doctor(**settings).run().expect(exit_code)

    assert {"credentials": "failed"} | skipped(*OF_STORE) == found.unwell
    assert words in found.one("credentials", "failed")["fix"]
