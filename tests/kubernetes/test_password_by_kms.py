"""``spec.useKMS``: the password is a ciphertext, which KMS decrypts when the backup begins."""

import base64
from collections.abc import Iterator

import pytest

from tests.command import CANARY_PASSWORD, assert_no_secret
from tests.doubles.kubernetes_double import KubernetesDouble
from tests.servers.moto import Moto

from .conftest import Apply, MakeJob
from .jobs import NAME
from .told import assert_says, assert_told

VARIABLE = "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD"


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    with Moto() as running:
        yield running


def encrypted(moto: Moto, password: str) -> dict[str, str]:
    """The variables of the operator's Job."""
    kms = moto.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=password.encode())["CiphertextBlob"]
    return {
        VARIABLE: base64.b64encode(blob).decode(),
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_KMS": moto.url,
    }


def test_a_backup_with_it(api: KubernetesDouble, apply: Apply, job: MakeJob, moto: Moto) -> None:
    apply(useKMS=True)

    made = job(password=None, environment=encrypted(moto, CANARY_PASSWORD))
    result = made.run().expect(0, "Complete")

    assert "Complete" == api.backup(NAME)["status"]["phase"]
    said = result.stdout + result.stderr + repr(api.history(NAME)) + repr(api.events)
    assert_no_secret([CANARY_PASSWORD], "what it said", said.encode())


def test_a_password_that_is_wrong(
    api: KubernetesDouble, apply: Apply, job: MakeJob, moto: Moto
) -> None:
    """What KMS gave back is not told either."""
    wrong = "canary-of-kms"
    apply(useKMS=True)

    result = job(password=None, environment=encrypted(moto, wrong)).refused()

    result.expect(3, "ConnectTidbFailed")
    assert "KMS" not in result.message
    assert "Failed" == api.backup(NAME)["status"]["phase"]
    said = result.stdout + result.stderr + repr(api.history(NAME)) + repr(api.events)
    assert_no_secret([wrong], "what it said", said.encode())


@pytest.mark.parametrize("text", ["canary!", "Y2FuYXJ5"])
def test_what_kms_cannot_decrypt(
    api: KubernetesDouble, apply: Apply, job: MakeJob, moto: Moto, text: str
) -> None:
    apply(useKMS=True)
    variables = encrypted(moto, "x") | {VARIABLE: text}

    result = job(password=None, environment=variables).refused().expect(3, "ConnectTidbFailed")

    assert_says(result, f"the password in {VARIABLE} cannot be decrypted", "aws kms encrypt")
    assert "backupPath" not in api.backup(NAME)["status"]
    assert_told(api, result)


def test_an_empty_ciphertext_is_none(api: KubernetesDouble, apply: Apply, job: MakeJob) -> None:
    """An empty variable is an unset one: there is no such ciphertext."""
    apply(useKMS=True, from_={"secretName": "my-secret"})

    result = job(password=None, environment={VARIABLE: ""}).refused()

    result.expect(2, "InvalidSettings")
    assert_says(result, VARIABLE, "the key password of the Secret my-secret")
