"""What a Backup object says becomes settings, each with its origin."""

from typing import Any

import pytest

from .conftest import Apply, MakeJob
from .jobs import NAME, NAMESPACE

# What nothing but the object says.
BARE: dict[str, Any] = {
    "bucket": None,
    "environment": {"S3_PROVIDER": "", "S3_ENDPOINT": "", "AWS_REGION": ""},
}
# What each field is ------------------------------------------------------------------------


def test_every_field_is_a_setting(put: Apply, job: MakeJob) -> None:
    made = put(
        s3={
            "provider": "minio",
            "region": "eu-1",
            "bucket": "my-bucket",
            "prefix": "/a//b/",
            "storageClass": "COLD",
            "acl": "bucket-owner-full-control",
            "options": ["--s3-chunk-size=64M", "--s3-upload-concurrency=2"],
            "sse": "AES256",
            "forcePathStyle": False,
        },
        from_={"host": "db.example.com", "port": 4001, "user": "saver"},
        schedule="nightly",
        tableFilter=["shop.*", "!shop.tmp_*"],
        dumpling={"options": ["--threads=3", "--filesize=64MiB"]},
        tikvGCLifeTime="100h",
    )

    shown = job(**BARE).shown()

    expected = {
        "host": "db.example.com spec.from.host",
        "port": "4001 spec.from.port",
        "user": "saver spec.from.user",
        "provider": "minio spec.s3.provider",
        "endpoint": "https://rgw.example.com:7443 spec.s3.endpoint",
        "region": "eu-1 spec.s3.region",
        "bucket": "my-bucket spec.s3.bucket",
        "prefix": "/a//b/ spec.s3.prefix",
        "storage-class": "COLD spec.s3.storageClass",
        "acl": "bucket-owner-full-control spec.s3.acl",
        "s3-option": "--s3-chunk-size=64M --s3-upload-concurrency=2 spec.s3.options",
        "sse": "AES256 spec.s3.sse",
        "s3-addressing": "virtual spec.s3.forcePathStyle",
        "table-filter": "'shop.*' '!shop.tmp_*' spec.tableFilter",
        "dumpling-option": "--threads=3 --filesize=64MiB spec.dumpling.options",
        "gc-life-time": "100h spec.tikvGCLifeTime",
        "name": f"{NAME} metadata.name",
        "owner-uid": f"{made['metadata']['uid']} metadata.uid",
        "schedule": "nightly label tidb.pingcap.com/backup-schedule",
        "password": "*** BACKUP_MANAGER_PASSWORD",
        "namespace": f"{NAMESPACE} --namespace",
        "backupName": f"{NAME} --backupName",
        "storageType": "s3 --storageType",
    }
    assert expected == {name: shown.settings[name] for name in expected}
    assert "Backup:   s3://my-bucket/a/b/backup-<start>-<id>" == shown.facts[0]
    assert "Endpoint: https://rgw.example.com:7443 (provider minio)" == shown.facts[1]
    assert {"--host=db.example.com", "--port=4001", "--user=saver"} <= set(shown.argv)
    assert [] == shown.warnings


def test_what_the_object_leaves_open_has_our_defaults(put: Apply, job: MakeJob) -> None:
    """Nothing is dumped less for it: the filter is Dumpling's own."""
    put(s3={"bucket": "my-bucket"}, from_={"port": None, "user": None})

    shown = job(**BARE).shown()

    expected = {
        "port": "4000 default",
        "user": "root default",
        "prefix": "(none) default",
        "table-filter": "(none) default",
        "dumpling-option": "(none) default",
        "gc-life-time": "72h default",
        "schedule": "(none) default",
        "storage-class": "(none) default",
        "acl": "(none) default",
        "sse": "(none) default",
        "s3-addressing": "(none) default",
    }
    assert expected == {name: shown.settings[name] for name in expected}
    assert [] == [word for word in shown.argv if word.startswith(("--filter", "-f"))]
    assert ["--threads=16", "--rows=10000"] == shown.argv[-2:]


def test_an_empty_field_is_an_unset_one(put: Apply, job: MakeJob) -> None:
    put(
        s3={"bucket": "my-bucket", "prefix": "", "storageClass": "", "sse": "", "options": []},
        from_={"port": 0, "user": ""},
        tableFilter=[],
        dumpling={"options": [], "tableFilter": ["shop.*"]},
        tikvGCLifeTime="",
    )

    shown = job(**BARE).shown()

    empty = ("port", "user", "prefix", "storage-class", "sse", "s3-option", "dumpling-option")
    assert {"default"} == {shown.settings[name].split()[-1] for name in (*empty, "gc-life-time")}
    assert "'shop.*' spec.dumpling.tableFilter" == shown.settings["table-filter"]
    assert [] == shown.warnings


def test_dumplings_options_are_merged_over_the_defaults(put: Apply, job: MakeJob) -> None:
    """One option more does not make the others vanish."""
    put(dumpling={"options": ["--filesize=64MiB", "-t", "3"]})

    argv = job().shown().argv

    assert "--rows=10000" in argv
    assert {"--threads=3", "--filesize=64MiB"} <= set(argv)
    assert "--threads=16" not in argv


@pytest.mark.parametrize(
    ("spec", "rules", "warned"),
    [
        ({"tableFilter": ["a.*"]}, ["a.*"], False),
        ({"dumpling": {"tableFilter": ["b.*", "c.*"]}}, ["b.*", "c.*"], False),
        ({"tableFilter": ["a.*"], "dumpling": {"tableFilter": ["b.*"]}}, ["a.*"], True),
    ],
)
def test_the_spec_s_filter_goes_before_dumplings(
    put: Apply, job: MakeJob, spec: dict[str, Any], rules: list[str], warned: bool
) -> None:
    put(**spec)

    shown = job().shown()

    assert [f"--filter={rule}" for rule in rules] == [
        word for word in shown.argv if word.startswith("--filter")
    ]
    warning = (
        f"spec.dumpling.tableFilter of Backup {NAMESPACE}/{NAME} counts for nothing, "
        "as spec.tableFilter is given too"
    )
    assert ([warning] if warned else []) == shown.warnings


def test_a_type_of_br_s_is_warned_of(put: Apply, job: MakeJob) -> None:
    """With Dumpling the table filter says what is backed up, so it is all of it."""
    put(backupType="db")

    (warning,) = job().shown().warnings

    assert warning.startswith(f"spec.backupType db of Backup {NAMESPACE}/{NAME}")


@pytest.mark.parametrize(
    ("provider", "endpoint", "expected"),
    [
        ("ceph", "rgw:7480", "http://rgw:7480"),
        ("ceph", "https://rgw:7443", "https://rgw:7443"),
        ("minio", "minio.example.com", "https://minio.example.com"),
    ],
)
def test_an_endpoint_without_a_scheme(
    put: Apply, job: MakeJob, provider: str, endpoint: str, expected: str
) -> None:
    put(s3={"provider": provider, "endpoint": endpoint})

    by_field = job(environment=BARE["environment"]).shown()
    by_variable = job(environment={"S3_PROVIDER": provider, "S3_ENDPOINT": endpoint}).shown()

    fact = f"Endpoint: {expected} (provider {provider})"
    assert [fact, fact] == [by_field.facts[1], by_variable.facts[1]]


# Beside the object --------------------------------------------------------------------------


def test_options_after_dashes_are_told_as_such(put: Apply, job: MakeJob) -> None:
    put(dumpling={"options": ["--filesize=64MiB"]})

    shown = job(after=["--threads=3"]).shown()

    told = "--filesize=64MiB --threads=3 spec.dumpling.options, and after --"
    assert told == shown.settings["dumpling-option"]


def test_a_password_file_goes_before_the_object_s_secret(put: Apply, job: MakeJob) -> None:
    """As everywhere: who gives the file needs no variable of the Secret."""
    put()

    shown = job(password_by="file").shown()

    assert "*** BACKUP_MANAGER_PASSWORD_FILE" == shown.settings["password"]


def test_a_password_that_kms_has_encrypted(put: Apply, job: MakeJob) -> None:
    """It is decrypted when the backup begins, not to show it."""
    put(useKMS=True)

    shown = job(
        password=None, environment={"KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD": "Y2FuYXJ5"}
    ).shown()

    assert "*** KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD" == shown.settings["password"]
    assert [] == [word for word in shown.argv if word.startswith("--password")]
