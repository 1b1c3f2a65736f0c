"""What TiDB Operator's Jobs say in a way of their own: its defaults, its spelling of flags."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_manager.dumpling.binary import DEFAULT_PLACES
from tests.doubles.kubernetes_double import KubernetesDouble
from tests.restore import fetch_archive
from tests.s3_proxy import S3Proxy
from tests.servers import Ceph

from .conftest import Apply, MakeJob
from .jobs import NAME, NAMESPACE, Shown

# The operator's own defaults ---------------------------------------------------------------

OPERATORS = {"AWS_ACL": "private", "AWS_STORAGE_CLASS": "STANDARD_IA", "S3_PROVIDER": "aws"}


@pytest.fixture
def proxy(ceph: Ceph) -> Iterator[S3Proxy]:
    """What the store is asked, seen from before it."""
    with S3Proxy(ceph.http) as running:
        yield running


def classes(shown: Shown) -> tuple[str, str]:
    return shown.settings["acl"], shown.settings["storage-class"]


@pytest.mark.parametrize(
    ("endpoint", "storage_class"),
    [
        ("", "STANDARD_IA AWS_STORAGE_CLASS"),
        ("https://s3.eu-central-1.amazonaws.com", "STANDARD_IA AWS_STORAGE_CLASS"),
        ("s3.cn-north-1.amazonaws.com.cn", "STANDARD_IA AWS_STORAGE_CLASS"),
        ("https://oss-cn-hangzhou.aliyuncs.com", "(none) default"),
        ("http://amazonaws.com.example.com", "(none) default"),
        ("http://10.0.0.1:9000", "(none) default"),
    ],
)
@pytest.mark.parametrize("by", ["field", "variable"])
def test_nobody_asked_for_them(
    put: Apply, job: MakeJob, endpoint: str, storage_class: str, by: str
) -> None:
    """The ACL is what each object has anyway; the class means something on Amazon alone."""
    put(s3={"provider": "aws", "region": "eu-central-1", "endpoint": endpoint})
    told = endpoint if by == "variable" else ""

    shown = job(environment=OPERATORS | {"S3_ENDPOINT": told}).shown()

    assert ("(none) default", storage_class) == classes(shown)


def test_not_on_amazon_by_a_variable_of_our_own(put: Apply, job: MakeJob) -> None:
    """The endpoint that counts says where it is, whoever gives it."""
    put(s3={"provider": "aws", "endpoint": ""})
    endpoint = {"S3_ENDPOINT": "", "BACKUP_MANAGER_ENDPOINT": "http://10.0.0.1:9000"}

    shown = job(environment=OPERATORS | endpoint).shown()

    assert "Endpoint: http://10.0.0.1:9000 (provider aws)" == shown.facts[1]
    assert ("(none) default", "(none) default") == classes(shown)


@pytest.mark.parametrize(("asked", "sent"), [({}, set()), ({"acl": "private"}, {"private"})])
def test_what_the_store_is_told(
    apply: Apply, job: MakeJob, proxy: S3Proxy, asked: dict[str, str], sent: set[str]
) -> None:
    apply(s3={"provider": "aws", "endpoint": proxy.url, **asked})

    job(environment=OPERATORS | {"S3_ENDPOINT": proxy.url}).run().expect(0, "Complete")

    written = [
        each
        for each in proxy.requests
        if each.operation in {"PutObject", "CreateMultipartUpload"} and "backup-" in each.target
    ]
    assert len(written) > 3
    assert [] == [each for each in written if "x-amz-storage-class" in each.headers]
    for request in written:
        assert sent == {each for name, each in request.headers.items() if name == "x-amz-acl"}


def test_asked_for_in_the_spec(put: Apply, job: MakeJob) -> None:
    put(s3={"provider": "aws", "acl": "private", "storageClass": "STANDARD_IA"})

    shown = job(environment=OPERATORS).shown()

    assert ("private AWS_ACL", "STANDARD_IA AWS_STORAGE_CLASS") == classes(shown)


def test_asked_for_by_variables_of_the_spec(put: Apply, job: MakeJob) -> None:
    env = [{"name": name, "value": OPERATORS[name]} for name in ("AWS_ACL", "AWS_STORAGE_CLASS")]
    put(s3={"provider": "aws"}, env=env)

    shown = job(environment=OPERATORS).shown()

    assert ("private AWS_ACL", "STANDARD_IA AWS_STORAGE_CLASS") == classes(shown)


def test_others_are_never_the_operators(put: Apply, job: MakeJob) -> None:
    put(s3={"provider": "aws"})

    shown = job(environment={"AWS_ACL": "public-read", "AWS_STORAGE_CLASS": "GLACIER_IR"}).shown()

    assert ("public-read AWS_ACL", "GLACIER_IR AWS_STORAGE_CLASS") == classes(shown)


# The operator's spelling -------------------------------------------------------------------


def test_flags_as_words_of_their_own(put: Apply, job: MakeJob) -> None:
    put()
    plain = job(backupName=None, namespace=None, storageType=None, bucket=None)

    shown = plain.shown(
        "--namespace", NAMESPACE, "--backupName", NAME, "--storageType", "s3", "--bucket", "words"
    )

    expected = {
        "namespace": f"{NAMESPACE} --namespace",
        "backupName": f"{NAME} --backupName",
        "storageType": "s3 --storageType",
        "bucket": "words --bucket",
        "name": f"{NAME} metadata.name",
    }
    assert expected == {name: shown.settings[name] for name in expected}


def test_without_a_namespace_it_is_the_clients_own(
    put: Apply, api: KubernetesDouble, job: MakeJob
) -> None:
    put()

    assert f"{NAME} metadata.name" == job(namespace=None).shown().settings["name"]

    path = f"/apis/pingcap.com/v1alpha1/namespaces/{NAMESPACE}/backups/{NAME}"
    assert [("GET", path, 200)] == [(each.method, each.path, each.status) for each in api.requests]


def test_the_object_may_be_named_by_variables(put: Apply, job: MakeJob) -> None:
    put()

    shown = job(
        namespace=None,
        backupName=None,
        environment={"BACKUP_MANAGER_NAMESPACE": NAMESPACE, "BACKUP_MANAGER_BACKUPNAME": NAME},
    ).shown()

    assert f"{NAME} BACKUP_MANAGER_BACKUPNAME" == shown.settings["backupName"]
    assert f"{NAME} metadata.name" == shown.settings["name"]


def test_the_tool_image_goes_before_ours() -> None:
    """Its init container leaves Dumpling there; that the first wins, test_binary shows."""
    assert (Path("/var/lib/dumpling-bin/dumpling"), Path("/dumpling")) == DEFAULT_PLACES


# An archive --------------------------------------------------------------------------------


def test_an_archive_by_a_variable_of_the_spec(
    api: KubernetesDouble, apply: Apply, job: MakeJob, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    """What the operator's Restore reads is where the status says."""
    apply(env=[{"name": "BACKUP_MANAGER_FORMAT", "value": "archive"}])

    result = job(environment={"BACKUP_MANAGER_FORMAT": "archive"}).run().expect(0, "Complete")

    status = api.backup(NAME)["status"]
    assert "Complete" == status["phase"]
    assert result.summary["backup"] == status["backupPath"]
    assert status["backupPath"].startswith(f"s3://{bucket}/nightly/backup-")
    assert status["backupPath"].endswith(".tgz")
    record = fetch_archive(ceph.client(), bucket, result.directory, tmp_path / "archive").record
    assert record["archive"]["bytes"] == status["backupSize"]
    head = ceph.client().head_object(Bucket=bucket, Key=result.directory)
    assert head["ContentLength"] == status["backupSize"]
    assert NAME == record["name"]
