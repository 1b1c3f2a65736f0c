"""Fields of a Backup object that are wrong, and Secrets that have not become variables."""

import copy
from typing import Any

import pytest

from tests.doubles.kubernetes_double import KubernetesDouble, backup_object

from .conftest import Apply, MakeJob
from .jobs import NAME, NAMESPACE
from .told import assert_says, assert_told

pytestmark = pytest.mark.usefixtures("nobody_asked")

# Its fields are wrong ----------------------------------------------------------------------

OF_TYPES: list[tuple[str, Any, str]] = [
    ("spec", [], "it is a list, and should be an object"),
    ("spec.from", "tidb", "it is a text, and should be an object"),
    ("spec.from.host", 5, "it is a number, and should be a text"),
    ("spec.from.port", "4000", "it is a text, and should be a whole number"),
    ("spec.from.port", 4000.5, "it is a number, and should be a whole number"),
    ("spec.from.port", True, "it is true or false, and should be a whole number"),
    ("spec.from.user", ["root"], "it is a list, and should be a text"),
    ("spec.from.secretName", {"name": "x"}, "it is an object, and should be a text"),
    ("spec.s3", ["aws"], "it is a list, and should be an object"),
    ("spec.s3.provider", 1, "it is a number, and should be a text"),
    ("spec.s3.prefix", False, "it is true or false, and should be a text"),
    ("spec.s3.options", "--x", "it is a text, and should be a list of texts"),
    ("spec.s3.forcePathStyle", "yes", "it is a text, and should be true or false"),
    ("spec.dumpling", "x", "it is a text, and should be an object"),
    ("spec.dumpling.options", {"a": 1}, "it is an object, and should be a list of texts"),
    ("spec.dumpling.tableFilter", "a.*", "it is a text, and should be a list of texts"),
    ("spec.tableFilter", "a.*", "it is a text, and should be a list of texts"),
    ("spec.tikvGCLifeTime", 72, "it is a number, and should be a text"),
    ("spec.backupMode", 1, "it is a number, and should be a text"),
    ("spec.backupType", {}, "it is an object, and should be a text"),
    ("spec.env", "A=b", "it is a text, and should be a list of variables"),
    ("spec.useKMS", "true", "it is a text, and should be true or false"),
]


def bent(path: str, value: Any) -> dict[str, Any]:
    """A good object with a value in place of another."""
    made = copy.deepcopy(backup_object(NAME, NAMESPACE))
    *steps, last = path.split(".")
    target = made
    for step in steps:
        target = target.setdefault(step, {})
    target[last] = value
    return made


@pytest.mark.parametrize(
    ("path", "value", "why"), OF_TYPES, ids=lambda each: each if isinstance(each, str) else ""
)
def test_a_wrong_type(api: KubernetesDouble, job: MakeJob, path: str, value: Any, why: str) -> None:
    api.create(bent(path, value), checked=False)
    # With a password nobody asks whether KMS has encrypted it.
    password = None if path == "spec.useKMS" else "canary"

    result = job(password=password).refused().expect(2, "InvalidSpec")

    assert_says(
        result,
        f"{path} of Backup {NAMESPACE}/{NAME} is wrong: {why}",
        f"kubectl explain backup.{path}",
    )
    # The API takes no object of wrong types, not even to write its status; that is said.
    assert 1 == len(api.history(NAME))
    (warning,) = result.warnings
    assert f"the status of Backup {NAMESPACE}/{NAME}" in warning
    assert "refuses to update" in warning


@pytest.mark.parametrize("path", ["spec.s3.options", "spec.dumpling.options", "spec.tableFilter"])
def test_a_wrong_item_of_a_list(api: KubernetesDouble, job: MakeJob, path: str) -> None:
    api.create(bent(path, ["good", 5]), checked=False)

    result = job().refused().expect(2, "InvalidSpec")

    assert_says(result, f"{path}[1] of Backup", "it is a number, and should be a text")
    # kubectl explain knows no indexes.
    assert result.message.endswith(f"kubectl explain backup.{path}")


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"from_": {"port": 70000}}, "InvalidSettings", ["spec.from.port is wrong", "70000"]),
        (
            {"s3": {"prefix": "a/../b"}},
            "InvalidSettings",
            ["spec.s3.prefix is wrong", "'..'"],
        ),
        ({"s3": {"provider": "cehp"}}, "InvalidSettings", ["spec.s3.provider is wrong", "ceph"]),
        ({"s3": {"sse": "rot13"}}, "InvalidSettings", ["spec.s3.sse is wrong", "rot13"]),
        (
            {"s3": {"endpoint": "https://k:s@rgw"}},
            "InvalidSettings",
            ["spec.s3.endpoint is wrong", "credentials"],
        ),
        ({"s3": {"options": ["--s3-chunk-sise=5M"]}}, "InvalidSettings", ["--s3-chunk-sise"]),
        ({"dumpling": {"options": ["--rowz=5"]}}, "InvalidSettings", ["--rowz", "--rows"]),
        (
            {"tikvGCLifeTime": "3 days"},
            "ParseConfiguredTikvGCLifeTimeFailed",
            ["spec.tikvGCLifeTime", "3 days"],
        ),
        ({"tableFilter": ["[a.*"]}, "InvalidSettings", ["[a.*"]),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, dict) else None,
)
def test_a_wrong_value_names_its_field(
    put: Apply,
    api: KubernetesDouble,
    job: MakeJob,
    spec: dict[str, Any],
    reason: str,
    words: list[str],
) -> None:
    put(**spec)
    variables = {"S3_PROVIDER": "", "S3_ENDPOINT": ""}

    made = job(environment=variables, connect_timeout="1s")

    result = made.refused().expect(2, reason)

    for word in words:
        assert word in result.message
    assert_told(api, result)


# Its Secrets are not there -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("kms", "variable"),
    [(False, "BACKUP_MANAGER_PASSWORD"), (True, "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD")],
)
def test_the_passwords_variable_is_missing(
    put: Apply, api: KubernetesDouble, job: MakeJob, kms: bool, variable: str
) -> None:
    put(useKMS=kms, from_={"secretName": "my-secret"})

    result = job(password=None).refused().expect(2, "InvalidSettings")

    assert_says(
        result,
        f"the variable {variable} is not set",
        "the key password of the Secret my-secret",
        "kubectl describe secret my-secret",
    )
    assert_told(api, result)


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize(
    ("setting", "variable"),
    [("access_key", "AWS_ACCESS_KEY_ID"), ("secret_key", "AWS_SECRET_ACCESS_KEY")],
)
def test_a_key_of_the_store_is_missing(
    put: Apply, api: KubernetesDouble, job: MakeJob, setting: str, variable: str, value: str | None
) -> None:
    put(s3={"secretName": "my-s3"})

    result = job().but(**{setting: value}).refused().expect(2, "InvalidSettings")

    assert_says(
        result,
        f"the variable {variable} is not set, or empty",
        f"the key {setting} of the Secret my-s3",
        "kubectl describe secret my-s3",
    )
    assert_told(api, result)


def test_without_a_secret_of_the_store_none_is_asked_for(put: Apply, job: MakeJob) -> None:
    """The Pod's role gives the keys."""
    put(s3={"secretName": None})

    shown = job(access_key=None, secret_key=None).shown()

    assert [] == shown.warnings


def test_an_empty_password_may_be_meant(put: Apply, job: MakeJob) -> None:
    put()

    shown = job(password="").shown()

    assert "(none) default" == shown.settings["password"]
