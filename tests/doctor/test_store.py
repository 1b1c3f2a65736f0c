"""What kind of store it is: what it cannot or may not, its clock, its versions, and our keys."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import botocore.session
import pytest

from backup_manager.doctor.remote import _origin, _shortened
from backup_manager.signals import Stop
from backup_manager.store import probe
from backup_manager.store.identity import Identity
from tests.doctor.conftest import Examine
from tests.doctor.examination import Doctor
from tests.export.state import keys, open_uploads
from tests.quirks import MD5_FOR_OBJECT_LOCK, NO_CONDITIONS, refusing
from tests.s3_proxy import Answer, S3Proxy, operation
from tests.servers import Ceph, Quirk, Rclone, Received
from tests.stores import new_report, new_store, use_keys

Through = Callable[..., Doctor]
WHAT_MAY_BE_DENIED = {
    "PutObject": ("write", "s3:PutObject"),
    "GetObject": ("read", "s3:GetObject"),
    "CreateMultipartUpload": ("multipart", "s3:PutObject"),
    "UploadPart": ("multipart", "s3:PutObject"),
    "CompleteMultipartUpload": ("multipart", "s3:PutObject"),
}


def denied(*operations: str) -> Quirk:
    def chosen(request: Received) -> bool:
        settings = {"versioning", "object-lock"} & request.query.keys()
        return request.operation in operations and not settings

    return refusing(chosen, "AccessDenied", 403)


# What the key may not do -------------------------------------------------------------------


@pytest.mark.parametrize("name", WHAT_MAY_BE_DENIED)
def test_what_a_backup_cannot_do_without(through: Through, name: str) -> None:
    sick = through(denied(name))

    found = sick.run().expect(7)

    check, right = WHAT_MAY_BE_DENIED[name]
    assert [check] == found.failed
    assert right in found.one(check, "failed")["fix"]
    sick.assert_nothing_left()


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("ListParts", "s3:ListMultipartUploadParts"),
        ("ListMultipartUploads", "s3:ListBucketMultipartUploads"),
    ],
)
def test_what_a_backup_does_without(through: Through, name: str, right: str) -> None:
    sick = through(denied(name))

    found = sick.run().expect(0)

    assert {"multipart"} == {each["check"] for each in found.findings if each["fix"]}
    (warning,) = found.of("multipart", "warning")
    assert right in warning["fix"]
    sick.assert_nothing_left()


def test_a_key_that_may_not_delete_is_a_warning_that_names_what_stays(
    through: Through, ceph: Ceph, bucket: str
) -> None:
    found = through(denied("DeleteObject", "DeleteObjects")).run().expect(0)

    warning = found.one("delete", "warning")
    (stays,) = keys(ceph, bucket)
    assert warning["seen"].startswith(f"s3://{bucket}/{stays} stays: ")
    assert "s3:DeleteObject" in warning["fix"]
    # Not one more of them.
    assert "none was completed" in found.one("multipart", "ok")["seen"]
    assert [] == open_uploads(ceph, bucket)


def test_a_key_that_may_not_abort_is_a_warning_that_names_what_stays(
    through: Through, ceph: Ceph, bucket: str
) -> None:
    found = through(denied("AbortMultipartUpload")).run().expect(0)

    (warning,) = found.of("multipart", "warning")
    (stays,) = open_uploads(ceph, bucket)
    assert f"the multipart upload of {stays} stays" in warning["seen"]
    assert "s3:AbortMultipartUpload" in warning["fix"]
    assert [] == keys(ceph, bucket)


# What the store cannot ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quirk", "words"),
    [
        (NO_CONDITIONS, "the store knows none: the record is looked for"),
        (
            Quirk(
                before=lambda request: replace(
                    request,
                    headers={k: v for k, v in request.headers.items() if k != "if-none-match"},
                )
            ),
            "not honoured by the store",
        ),
    ],
    ids=["unknown", "ignored"],
)
def test_conditional_writes_that_are_not_to_be_had(
    through: Through, quirk: Quirk, words: str
) -> None:
    sick = through(quirk)

    assert words in sick.run().expect(0).one("conditions", "ok")["seen"]
    sick.assert_nothing_left()


def test_a_provider_of_which_it_is_known(doctor: Examine) -> None:
    seen = doctor(provider="google").run().expect(0).one("conditions", "ok")["seen"]

    assert "none with the provider google" in seen


def test_rclones_server(doctor: Examine, rclone: Rclone, unique: str) -> None:
    rclone.create_bucket(unique)
    sick = doctor(
        provider="other",
        endpoint=rclone.http,
        bucket=unique,
        access_key=rclone.access_key,
        secret_key=rclone.secret_key,
    )

    found = sick.run().expect(0)

    assert [] == found.failed
    assert "not honoured" in found.one("conditions", "ok")["seen"]
    assert [] == [path for path in (rclone.data / unique).rglob("*") if path.is_file()]


def test_a_store_that_wants_a_content_md5(through: Through) -> None:
    through(MD5_FOR_OBJECT_LOCK).run().expect(0)


def test_a_store_that_gives_back_something_else(through: Through) -> None:
    def other(request: Received, answer: Answer) -> Answer:
        reads = request.operation == "GetObject" and request.key
        return replace(answer, body=b"other") if reads else answer

    sick = through(Quirk(after=other))

    found = sick.run().expect(8, "VerificationFailed")

    assert ["read"] == found.failed
    sick.assert_nothing_left()


def test_a_probe_that_another_run_clears_away_is_written_again(
    doctor: Examine, ceph: Ceph, bucket: str, proxy: S3Proxy
) -> None:
    def clear(_: object) -> None:
        for key in keys(ceph, bucket):
            ceph.client().delete_object(Bucket=bucket, Key=key)

    reads = operation("GetObject", containing=probe.NAME)
    proxy.before(reads, clear)
    proxy.before(operation("GetObject", containing=".parts"), clear)
    well = doctor(endpoint=proxy.url)

    well.run().expect(0)

    assert 4 == sum(map(reads, proxy.requests))
    well.assert_nothing_left()


def test_a_store_that_loses_what_it_took(doctor: Examine, proxy: S3Proxy) -> None:
    proxy.refuse(
        operation("GetObject", containing=probe.NAME), times=100, status=404, code="NoSuchKey"
    )
    sick = doctor(endpoint=proxy.url)

    found = sick.run().expect(8, "VerificationFailed")

    assert ["read"] == found.failed
    sick.assert_nothing_left()


# Its clock ---------------------------------------------------------------------------------


def at(seconds: float) -> Quirk:
    """A clock that is so far ahead."""

    def change(_: Received, answer: Answer) -> Answer:
        moment = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        kept = {k: v for k, v in answer.headers.items() if k.lower() != "date"}
        return replace(answer, headers=kept | {"Date": moment})

    return Quirk(after=change)


@pytest.mark.parametrize(
    ("ahead", "exit_code", "verdict", "words"),
    [
        (-30, 0, "ok", "no minute apart"),
        (300, 0, "warning", "ahead of ours"),
        (-300, 0, "warning", "behind ours"),
        (1200, 7, "failed", "ahead of ours"),
    ],
)
def test_a_clock_that_is_off(
    through: Through, ahead: float, exit_code: int, verdict: str, words: str
) -> None:
    found = through(at(ahead)).run().expect(exit_code)

    assert words in found.one("clock", verdict)["seen"]


def test_a_clock_for_which_all_is_refused_is_told_too(through: Through) -> None:
    skewed = refusing(lambda _: True, "RequestTimeTooSkewed", 403)

    found = through(at(1200), skewed).run().expect(7)

    assert ["bucket", "clock"] == found.failed
    assert "clock" in found.one("bucket", "failed")["fix"]


# Versions and locks ------------------------------------------------------------------------


def versions(ceph: Ceph, bucket: str) -> list[str]:
    answer = ceph.client().list_object_versions(Bucket=bucket)
    return [item["Key"] for kind in ("Versions", "DeleteMarkers") for item in answer.get(kind, [])]  # type: ignore[attr-defined]  # both are lists of objects with a key


def test_a_bucket_that_keeps_versions_keeps_none_of_ours(
    doctor: Examine, ceph: Ceph, bucket: str
) -> None:
    enabled = {"Status": "Enabled"}
    ceph.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)  # type: ignore[arg-type]  # the same

    found = doctor().run().expect(0)

    assert found.one("versioning", "ok")["seen"].startswith("enabled: what is deleted stays")
    assert "it is deleted again" == found.one("delete", "ok")["seen"]
    assert [] == versions(ceph, bucket)


def test_versions_that_may_not_be_deleted_are_told(
    through: Through, ceph: Ceph, bucket: str
) -> None:
    enabled = {"Status": "Enabled"}
    ceph.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)  # type: ignore[arg-type]  # the same
    locked = refusing(lambda request: "versionId" in request.query, "AccessDenied", 403)

    found = through(locked).run().expect(0)

    assert "its older versions stay" in found.one("delete", "ok")["seen"]


def test_a_bucket_with_object_lock(doctor: Examine, ceph: Ceph, unique: str) -> None:
    name = f"{unique}-locked"
    ceph.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)

    found = doctor(bucket=name, object_lock_mode="GOVERNANCE", object_lock_retain="24h").run()

    seen = found.expect(0).one("object lock", "ok")["seen"]
    assert "no retention by default; that this key may lock was not tried" in seen
    # The probe was not locked: it is gone.
    assert [] == versions(ceph, name)


def test_object_lock_that_the_bucket_has_not(doctor: Examine) -> None:
    found = doctor(object_lock_mode="GOVERNANCE", object_lock_retain="24h").run().expect(7)

    assert ["object lock"] == found.failed
    assert "--object-lock-mode" in found.one("object lock", "failed")["fix"]


def test_retention_by_default(through: Through) -> None:
    text = (
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>"
        "<DefaultRetention><Mode>COMPLIANCE</Mode><Days>30</Days></DefaultRetention></Rule>"
        "</ObjectLockConfiguration>"
    )
    answer = Answer(200, text.encode(), {"Content-Type": "application/xml"})
    rule = Quirk(before=lambda request: answer if "object-lock" in request.query else None)

    seen = through(rule).run().expect(0).one("object lock", "ok")["seen"]

    assert "every object is locked for 30 days (COMPLIANCE), unfinished ones too" == seen


def test_what_may_not_be_read_of_the_bucket_is_no_failure(through: Through) -> None:
    private = refusing(
        lambda request: bool({"versioning", "object-lock"} & request.query.keys()),
        "AccessDenied",
        403,
    )

    found = through(private).run().expect(0)

    for check in ("versioning", "object lock"):
        seen = found.one(check, "ok")["seen"]
        assert seen.startswith("not readable (the store answered AccessDenied")


# What was left -----------------------------------------------------------------------------


def leave_probes(ceph: Ceph, bucket: str) -> None:
    """What a doctor leaves that is killed in its last check."""
    client, name = ceph.client(), f"nightly/{probe.NAME}{'f' * 16}"
    client.put_object(Bucket=bucket, Key=name, Body=b"")
    client.create_multipart_upload(Bucket=bucket, Key=f"{name}.parts")


def test_the_next_doctor_removes_what_a_killed_one_has_left(
    doctor: Examine, ceph: Ceph, bucket: str
) -> None:
    leave_probes(ceph, bucket)
    well = doctor()

    well.run().expect(0)

    well.assert_nothing_left()


def test_so_does_the_next_export(ceph: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch, ceph.access_key, ceph.secret_key)
    leave_probes(ceph, bucket)
    report = new_report()

    probe.prove(
        new_store(ceph.http, bucket), run_id="0" * 16, stop=Stop(), report=report, seconds=60
    )

    assert ([], [], []) == (
        keys(ceph, bucket), open_uploads(ceph, bucket), report.summary.warnings
    )  # fmt: skip


# Where the keys come from ------------------------------------------------------------------


def test_a_profile(doctor: Examine, ceph: Ceph, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        f"[ceph]\naws_access_key_id = {ceph.access_key}\n"
        f"aws_secret_access_key = {ceph.secret_key}\n"
    )
    environment = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "ceph"}

    found = doctor(access_key=None, secret_key=None, environment=environment).run().expect(0)

    seen = found.one("credentials", "ok")["seen"]
    assert f"of the profile ceph in {file} and " in seen
    assert ceph.secret_key not in found.stdout + found.stderr
    assert ceph.access_key not in found.stdout


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}, "AWS_ACCESS_KEY_ID"),
        (
            {"AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"},
            "the role arn:aws:iam::1:role/r, by the token /token",
        ),
        (
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1"},
            "the container's endpoint http://169.254.170.23/v1",
        ),
        ({}, "the metadata service http://169.254.169.254/"),
    ],
    ids=["variables", "web identity", "container", "metadata"],
)
def test_each_way_is_named(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], words: str
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")
    for name, text in environment.items():
        monkeypatch.setenv(name, text)

    assert words == _origin(Identity(botocore.session.get_session()))


@pytest.mark.parametrize(
    ("key", "shown"), [("AKIAIOSFODNN7EXAMPLE", "AKIA…MPLE"), ("minio", "mi…"), ("", "…")]
)
def test_a_key_is_shortened(key: str, shown: str) -> None:
    assert shown == _shortened(key)


def test_a_session_token_is_told_but_not_shown(doctor: Examine, proxy: S3Proxy) -> None:
    # Ceph knows no sessions; what was found before anybody is asked is told all the same.
    found = doctor(session_token="a-canary-token", endpoint=proxy.url).run()

    assert "with a session token" in found.one("credentials", "ok")["seen"]
    assert "a-canary-token" not in json.dumps(found.findings)
