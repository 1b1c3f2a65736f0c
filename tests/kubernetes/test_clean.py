"""`clean` in the operator's clean Job: what the object's status names goes, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backup_manager.catalog.layout import Layout
from tests.doubles.kubernetes_double import FINALIZER, KubernetesDouble, backup_object
from tests.export.conftest import proxy
from tests.export.replays import replay
from tests.life.backups import Shelf, ago, make_backup, make_incomplete, make_of_operator
from tests.s3_proxy import S3Proxy, operation
from tests.servers import Ceph

from . import seen
from .conftest import Apply, MakeJob
from .jobs import NAME, NAMESPACE, CleanJob

__all__ = ["proxy"]

ABSENT = "backup-2026-11-22T10:00:00Z-1a2b3c4d"
Delete = Callable[[str | None], dict[str, Any]]


@pytest.fixture
def shelf(ceph: Ceph, bucket: str) -> Shelf:
    return Shelf(ceph, bucket)


@pytest.fixture
def clean(api: KubernetesDouble, ceph: Ceph, tmp_path: Path) -> CleanJob:
    del api
    return CleanJob(
        namespace=NAMESPACE,
        backupName=NAME,
        password=None,
        access_key=ceph.access_key,
        secret_key=ceph.secret_key,
        environment={
            "S3_PROVIDER": "ceph",
            "S3_ENDPOINT": ceph.http,
            "AWS_REGION": "",
            "AWS_ACL": "",
            "AWS_STORAGE_CLASS": "",
            "KUBECONFIG": str(tmp_path / "kubeconfig"),
        },
    )


@pytest.fixture
def delete(api: KubernetesDouble, ceph: Ceph, bucket: str) -> Delete:
    """Make an object of the backup that lies there, and delete it, as far as the clean Job."""

    def make(path: str | None) -> dict[str, Any]:
        storage = {"endpoint": ceph.http, "bucket": bucket, "prefix": "nightly"}
        body = backup_object(NAME, NAMESPACE, s3=storage, cleanPolicy="Delete")
        body["status"] |= {
            "phase": "Clean",
            "conditions": [
                {"type": "Complete", "status": "True"},
                {"type": "Clean", "status": "False"},
            ],
            "backupSize": 5,
        }
        if path is not None:
            body["status"]["backupPath"] = path
        api.create(body)
        api.delete(NAME)
        return api.backup(NAME)

    return make


@pytest.fixture
def neighbours(shelf: Shelf) -> set[str]:
    """What has to stay."""
    shelf.put("elsewhere/file", b"theirs")
    shelf.put(shelf.key("notes.txt"), b"theirs")
    shelf.put(shelf.key(f"{ABSENT}0/metadata"), b"theirs")
    shelf.put(shelf.key(f"{ABSENT}.copy"), b"theirs")
    make_backup(shelf, started=ago(days=9))
    make_backup(shelf, started=ago(days=8), archived=True)
    make_of_operator(shelf, started=ago(days=7))
    make_incomplete(shelf, started=ago(days=6))
    shelf.begin_upload(shelf.key(f"{ABSENT}0/metadata"))
    return set(shelf.keys())


def assert_clean(api: KubernetesDouble, before: dict[str, Any]) -> None:
    """The operator may let it go; all else is as it was."""
    now, was = api.backup(NAME), before["status"]
    assert [FINALIZER] == now["metadata"]["finalizers"]
    assert before["spec"] == now["spec"]
    conditions = seen.conditions(api)
    assert ("Clean", "True") == (now["status"]["phase"], conditions["Clean"]["status"])
    assert "reason" not in conditions["Clean"]
    assert was["conditions"][0] == conditions["Complete"]
    kept = ("backupPath", "backupSize", "timeStarted", "timeCompleted")
    assert {name: was.get(name) for name in kept} == {
        name: now["status"].get(name) for name in kept
    }
    assert ("Normal", "Cleaned") == seen.told(api)[-1]


def assert_failed(api: KubernetesDouble, reason: str, message: str) -> None:
    status, conditions = seen.status(api), seen.conditions(api)
    assert "CleanFailed" == status["phase"]
    assert "False" == conditions["Clean"]["status"]
    failed = conditions["CleanFailed"]
    assert ("True", reason, message) == (failed["status"], failed["reason"], failed["message"])
    assert ("Warning", reason) == seen.told(api)[-1]


MAKERS: dict[str, Callable[[Shelf], str]] = {
    "a directory": make_backup,
    "an archive": lambda shelf: make_backup(shelf, archived=True),
    "an incomplete one": make_incomplete,
    "the operator's": make_of_operator,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_what_the_status_names_goes(
    api: KubernetesDouble,
    clean: CleanJob,
    delete: Delete,
    shelf: Shelf,
    neighbours: set[str],
    kind: str,
) -> None:
    name = MAKERS[kind](shelf)
    if kind == "the operator's":
        # What it had begun to send before.
        shelf.put(shelf.key(f"{name}.tmp"), b"cut")
    before = delete(shelf.url(name))
    result = clean.here().expect(0, "Complete")
    assert neighbours == set(shelf.keys())
    assert shelf.url(name) == result.summary["backup"]
    assert f"{shelf.url(name)} is removed" in result.message
    assert_clean(api, before)
    seen.assert_nothing_secret(api, result)


def test_a_slash_at_the_end(
    api: KubernetesDouble, clean: CleanJob, delete: Delete, shelf: Shelf, neighbours: set[str]
) -> None:
    before = delete(f"{shelf.url(make_backup(shelf))}/")
    clean.here().expect(0)
    assert neighbours == set(shelf.keys())
    assert_clean(api, before)


@pytest.mark.parametrize("prefix", ["", "other", "deep/er"])
def test_the_path_counts_and_not_the_spec(
    api: KubernetesDouble,
    clean: CleanJob,
    delete: Delete,
    shelf: Shelf,
    neighbours: set[str],
    prefix: str,
) -> None:
    """The spec may have been changed since."""
    there = Shelf(shelf.server, shelf.bucket, prefix)
    name = make_backup(there)
    before = delete(there.url(name))
    clean.here().expect(0)
    assert neighbours == set(shelf.keys())
    assert_clean(api, before)


def test_what_an_export_has_made(
    api: KubernetesDouble, apply: Apply, job: MakeJob, clean: CleanJob, shelf: Shelf
) -> None:
    apply(tableFilter=["replay.*"], cleanPolicy="Delete")
    job().with_double(replay(3)).run().expect(0)
    assert [] != shelf.keys()
    result = clean.run().expect(0)
    assert [] == result.warnings
    assert [] == shelf.keys()
    kinds = ["Scheduled", "Prepare", "Running", "Complete", "Clean"]
    assert kinds == list(seen.conditions(api))
    assert "Clean" == seen.status(api)["phase"]


def test_again(
    api: KubernetesDouble, clean: CleanJob, delete: Delete, shelf: Shelf, neighbours: set[str]
) -> None:
    before = delete(shelf.url(make_backup(shelf)))
    clean.here().expect(0)
    done = seen.conditions(api)
    result = clean.here().expect(0, "Complete")
    assert "gone already" in result.message
    assert done.keys() == seen.conditions(api).keys()
    assert_clean(api, before)
    assert neighbours == set(shelf.keys())


@pytest.mark.parametrize("suffix", ["", ".tgz"])
def test_one_that_is_gone(
    api: KubernetesDouble,
    clean: CleanJob,
    delete: Delete,
    shelf: Shelf,
    neighbours: set[str],
    suffix: str,
) -> None:
    before = delete(shelf.url(f"{ABSENT}{suffix}"))
    clean.here().expect(0, "Complete")
    assert_clean(api, before)
    assert neighbours == set(shelf.keys())


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("a directory", "{}/shop.big.000000000.sql"),
        ("an archive", "{}"),
        ("the operator's", "{}.tmp"),
        ("nothing", "{}/shop.big.000000000.sql"),
    ],
)
def test_open_uploads_go_too(
    api: KubernetesDouble,
    clean: CleanJob,
    delete: Delete,
    shelf: Shelf,
    neighbours: set[str],
    kind: str,
    key: str,
) -> None:
    theirs = shelf.uploads()
    name = MAKERS[kind](shelf) if kind in MAKERS else ABSENT
    shelf.begin_upload(shelf.key(key.format(name)), b"part")
    before = delete(shelf.url(name))
    clean.here().expect(0)
    assert len(theirs) == 1
    assert theirs == shelf.uploads()
    assert neighbours == set(shelf.keys())
    assert_clean(api, before)


@pytest.mark.parametrize(
    "path",
    [
        "s3://{bucket}",
        "s3://{bucket}/",
        "s3://{bucket}/nightly",
        "s3://{bucket}/nightly/",
        "s3://{bucket}/elsewhere/file",
        "s3://{bucket}/nightly/notes.txt",
        "s3://{bucket}/nightly/backup-",
        "s3://{bucket}/nightly/backup-2026-11-22T10:00:00Z",
        "s3://{bucket}/nightly/{name}/metadata",
        "s3://{bucket}/nightly/{name}/../notes.txt",
        "s3://{bucket}/nightly/{name}*",
        "s3:///nightly/{name}",
        "S3://{bucket}/nightly/{name}",
        "gcs://{bucket}/nightly/{name}",
        "local:///backup/{bucket}/nightly/{name}",
        "{bucket}/nightly/{name}",
        "/{bucket}/nightly/{name}",
        "nightly/{name}",
        "{name}",
        "latest",
        "/",
    ],
)
def test_a_path_that_is_none_of_ours(
    api: KubernetesDouble,
    clean: CleanJob,
    delete: Delete,
    shelf: Shelf,
    neighbours: set[str],
    path: str,
) -> None:
    name = make_backup(shelf)
    delete(path.format(bucket=shelf.bucket, name=name))
    result = clean.here().expect(2, "CleanBackupDataFailed")
    assert neighbours < set(shelf.keys())
    assert {name} == {key.partition("/")[0] for key in set(shelf.keys()) - neighbours}
    assert "nothing was removed" in result.message
    assert_failed(api, "CleanBackupDataFailed", result.message)


@pytest.mark.parametrize("path", ["", None])
def test_no_path_at_all(
    api: KubernetesDouble,
    clean: CleanJob,
    delete: Delete,
    shelf: Shelf,
    neighbours: set[str],
    path: str | None,
) -> None:
    delete(path)
    result = clean.here().expect(2, "BackupPathIsEmpty")
    assert neighbours == set(shelf.keys())
    assert_failed(api, "BackupPathIsEmpty", result.message)


def test_a_store_that_refuses_and_then_does_not(
    api: KubernetesDouble, clean: CleanJob, delete: Delete, shelf: Shelf, proxy: S3Proxy
) -> None:
    name = make_backup(shelf)
    before = delete(shelf.url(name))
    refused = operation("DeleteObject", containing="/backup.json")
    proxy.refuse(refused, status=403, code="AccessDenied", times=99)
    narrow = clean.but(environment={"S3_ENDPOINT": proxy.url})
    result = narrow.here().expect(7, "CleanBackupDataFailed")
    assert "s3:DeleteObject" in result.message
    assert_failed(api, "CleanBackupDataFailed", result.message)
    left = shelf.keys()
    assert Layout(name).record in left
    seen.assert_nothing_secret(api, result)
    failed = seen.conditions(api)["CleanFailed"]

    proxy.forget()
    narrow.here().expect(0)
    assert [] == shelf.keys()
    assert_clean(api, before)
    after = seen.conditions(api)["CleanFailed"]
    since = seen.conditions(api)["Clean"]["lastTransitionTime"]
    assert failed | {"status": "False", "lastTransitionTime": since} == after


def test_keys_that_are_wrong(
    api: KubernetesDouble, clean: CleanJob, delete: Delete, shelf: Shelf
) -> None:
    name = make_backup(shelf)
    delete(shelf.url(name))
    result = clean.but(secret_key="another-one").here().expect(7)
    assert_failed(api, "CleanBackupDataFailed", result.message)
    assert {name} == shelf.names()


def test_an_object_for_br(api: KubernetesDouble, clean: CleanJob, shelf: Shelf) -> None:
    """Made by BR, which has its own layout: the path alone does not make it ours."""
    name = make_backup(shelf)
    body = backup_object(NAME, NAMESPACE, s3={"bucket": shelf.bucket}, br={"cluster": "demo1"})
    body["status"]["backupPath"] = shelf.url(name)
    api.create(body)
    result = clean.here().expect(2, "InvalidSpec")
    assert {name} == shelf.names()
    condition = seen.conditions(api)["CleanFailed"]
    assert ("InvalidSpec", result.message) == (condition["reason"], condition["message"])


def test_nobody_may_write_the_status(
    api: KubernetesDouble, clean: CleanJob, delete: Delete, shelf: Shelf
) -> None:
    """The operator would wait for it without an end: the Job has to fail, and try again."""
    before = delete(shelf.url(make_backup(shelf)))
    api.forbid("update", "backups")
    result = clean.here().expect(11, "UpdateBackupStatusFailed")
    assert "failed" == result.summary["status"]
    assert f"does not let us update backups in namespace {NAMESPACE}" in result.message
    assert [] == shelf.keys()
    assert before == api.backup(NAME)
    api.allow("update", "backups")
    clean.here().expect(0)
    assert_clean(api, before)


def test_neither_store_nor_api(
    api: KubernetesDouble, clean: CleanJob, delete: Delete, shelf: Shelf
) -> None:
    before = delete(shelf.url(make_backup(shelf)))
    api.forbid("update", "backups")
    result = clean.but(secret_key="another-one").here().expect(7)
    (warning,) = result.warnings
    assert "does not let us update backups" in warning
    assert before == api.backup(NAME)


def test_an_api_that_is_away_at_the_end(
    api: KubernetesDouble,
    clean: CleanJob,
    delete: Delete,
    shelf: Shelf,
    proxy: S3Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("backup_manager.kubernetes.cleaning.PATIENCE_SECONDS", 1.0)
    before = delete(shelf.url(make_backup(shelf)))
    proxy.before(operation("DeleteObjects"), lambda _: api.away())
    narrow = clean.but(environment={"S3_ENDPOINT": proxy.url})
    result = narrow.here().expect(11, "UpdateBackupStatusFailed")
    assert "failed" == result.summary["status"]
    assert [] == shelf.keys()
    api.back()
    narrow.here().expect(0)
    assert_clean(api, before)


def test_others_write_too(
    api: KubernetesDouble, clean: CleanJob, delete: Delete, shelf: Shelf
) -> None:
    before = delete(shelf.url(make_backup(shelf)))
    api.conflict_next(12)
    api.forbid("create", "events")
    result = clean.here().expect(0)
    assert [] == result.warnings
    assert 12 == api.counts["conflict"]
    assert "True" == seen.conditions(api)["Clean"]["status"]
    assert before["spec"] == api.backup(NAME)["spec"]


def test_an_object_that_is_made_anew_meanwhile(
    api: KubernetesDouble, clean: CleanJob, delete: Delete, shelf: Shelf, proxy: S3Proxy
) -> None:
    """Whoever has it now must not take the old one's removal for its own."""
    delete(shelf.url(make_backup(shelf)))
    made: list[dict[str, Any]] = []

    def replace() -> None:
        api.remove(NAME)
        made.append(api.create(backup_object(NAME, NAMESPACE)))

    proxy.before(operation("DeleteObjects"), lambda _: replace())
    clean.but(environment={"S3_ENDPOINT": proxy.url}).here().expect(11)
    assert made == [api.backup(NAME)]


def test_a_signal_leaves_it_to_the_next_pod(
    api: KubernetesDouble, clean: CleanJob, delete: Delete, shelf: Shelf, proxy: S3Proxy
) -> None:
    before = delete(shelf.url(make_backup(shelf)))
    held = proxy.hold(operation("DeleteObjects"))
    narrow = clean.but(environment={"S3_ENDPOINT": proxy.url})
    with narrow.start() as running:
        running.wait_until(held.reached.is_set)
        running.terminate()
        running.result().expect(143, "Terminated")
    assert before == api.backup(NAME)
    proxy.forget()
    narrow.run().expect(0)
    assert [] == shelf.keys()
    assert_clean(api, before)


def test_a_backup_named_by_hand_too(
    api: KubernetesDouble, clean: CleanJob, delete: Delete, shelf: Shelf
) -> None:
    name, other = make_backup(shelf), make_backup(shelf, started=ago(days=2))
    before = delete(shelf.url(name))
    for text in (other, shelf.url(other), shelf.url(name)):
        result = clean.here(text).expect(2, "InvalidSettings")
        assert "--backupName" in result.message
    assert {name, other} == shelf.names()
    assert before == api.backup(NAME)


def test_no_such_object(api: KubernetesDouble, clean: CleanJob, shelf: Shelf) -> None:
    name = make_backup(shelf)
    result = clean.here().expect(11, "GetBackupCRFailed")
    assert f"there is no Backup {NAMESPACE}/{NAME}" in result.message
    assert {name} == shelf.names()
    assert [] == api.events
