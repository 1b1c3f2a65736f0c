"""The password that KMS decrypts: against moto's KMS, and what KMS answers that moto does not."""

import base64
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backup_manager import kms as module
from backup_manager.errors import DatabaseError, ExitCode
from backup_manager.settings import Settings
from backup_manager.signals import Stop
from backup_manager.store import credentials
from tests.s3_proxy import Answer, S3Proxy
from tests.servers.moto import Moto, kms_error

VARIABLE = "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD"
Encrypt = Callable[[bytes], bytes]


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with Moto() as running:
        yield running


@pytest.fixture
def front(moto: Moto) -> Iterator[S3Proxy]:
    with S3Proxy(moto.url) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(front: S3Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", front.url)
    monkeypatch.setattr(credentials, "_NEW_POD_SECONDS", 0.0)


@pytest.fixture
def encrypt(moto: Moto) -> Encrypt:
    kms = moto.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]

    def call(plain: bytes) -> bytes:
        blob: bytes = kms.encrypt(KeyId=key, Plaintext=plain)["CiphertextBlob"]
        return blob

    return call


def decrypt(ciphertext: bytes) -> tuple[str, list[str | None]]:
    secrets: list[str | None] = []
    return module.decrypt(ciphertext, stop=Stop(), keep_secret=secrets.append), secrets


def refusal(ciphertext: bytes = b"x") -> DatabaseError:
    with pytest.raises(DatabaseError) as caught:
        decrypt(ciphertext)
    error = caught.value
    assert ExitCode.DATABASE == error.exit_code
    assert f"the password in {VARIABLE} cannot be decrypted" == error.what
    assert error.why
    assert error.fix
    return error


# Where it comes from -----------------------------------------------------------------------


def test_the_order(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("of the file\n")
    encrypted = {VARIABLE: base64.encodebytes(b"c" * 100).decode()}
    plain = encrypted | {"BACKUP_MANAGER_PASSWORD": "plain"}
    file = {"password_file": str(tmp_path / "password")}
    origins = [
        (given.password, given.encrypted_password, given.password_origin)
        for given in (
            Settings(file, plain),
            Settings({}, plain),
            Settings({}, encrypted | {"BACKUP_MANAGER_PASSWORD": ""}),
            Settings({}, {VARIABLE: ""}),
        )
    ]
    expected = [
        ("of the file", None, "--password-file"),
        ("plain", None, "BACKUP_MANAGER_PASSWORD"),
        ("", b"c" * 100, VARIABLE),
        ("", None, "default"),
    ]
    assert expected == origins


@pytest.mark.parametrize("text", ["canary!", "é", "Y2FuYXJ", "b'Y2FuYXJ5'"])
def test_what_is_no_base64(text: str) -> None:
    assert b"canary" == Settings({}, {VARIABLE: " Y2Fu\nYXJ5 "}).encrypted_password
    with pytest.raises(DatabaseError) as caught:
        Settings({}, {VARIABLE: text})
    assert "it is no base64" == caught.value.why
    assert text not in caught.value.message


# KMS ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_it_is_decrypted(encrypt: Encrypt, end: bytes) -> None:
    password = "päss 'w\"ord"
    found, secrets = decrypt(encrypt(password.encode() + end))
    assert password == found
    assert {password, "canary-secret"} <= set(secrets)


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region(
    encrypt: Encrypt, front: S3Proxy, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    blob = encrypt(b"p")
    assert "nobody says in which region KMS is" == refusal(blob).why
    # The operator's own variable for KMS comes before the bucket's region.
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv(name, "eu-central-1")
    decrypt(blob)
    assert "/eu-central-1/kms/" in front.requests[-1].headers["authorization"]


def test_a_ciphertext_that_was_cut_or_is_of_another_key(encrypt: Encrypt) -> None:
    blob = encrypt(b"p" * 50)
    for wrong in (blob[:-1], blob[:40], blob[:-1] + bytes([blob[-1] ^ 1])):
        error = refusal(wrong)
        assert "KMS in eu-central-1 answered InvalidCiphertextException" == error.why
        assert "it was cut, or made by another key" in error.fix
        assert "aws kms encrypt" in error.fix


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("AccessDeniedException", "kms:Decrypt"),
        ("DisabledException", "aws kms enable-key"),
        ("KMSInvalidStateException", "cancel-key-deletion"),
        ("NotFoundException", "in another region"),
        ("UnrecognizedClientException", "others than the store's keys"),
        ("SomethingNewException", "the documentation of AWS KMS"),
    ],
)
def test_what_kms_refuses(front: S3Proxy, code: str, fix: str) -> None:
    front.answer(lambda _: True, kms_error(code, "so it is."), times=9)
    error = refusal()
    assert f"KMS in eu-central-1 answered {code}: so it is" == error.why
    assert fix in error.fix


def test_a_fault_that_passes_is_asked_again(front: S3Proxy, encrypt: Encrypt) -> None:
    front.answer(lambda _: True, Answer(503), times=1)
    assert "p" == decrypt(encrypt(b"p"))[0]


def test_kms_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1")
    error = refusal()
    assert error.why.startswith("KMS in eu-central-1 fails: ")
    assert "refused" in error.why
    assert "AWS_ENDPOINT_URL_KMS" in error.fix


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "no credentials were found" in refusal().why


def test_what_is_no_utf8(encrypt: Encrypt) -> None:
    assert "what KMS gave back is no UTF-8" == refusal(encrypt(b"canary\xff")).why


def test_the_keys_of_another_are_not_taken_for_the_stores(
    front: S3Proxy, encrypt: Encrypt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A profile is asked where KMS does not know the variables' keys; its own words stay."""
    text = "[default]\naws_access_key_id = {}\naws_secret_access_key = s\n"
    (tmp_path / "credentials").write_text(text.format("AKIA2"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    unknown = kms_error("UnrecognizedClientException", "no such key")
    front.answer(lambda request: "AKIA1" in request.headers["authorization"], unknown, times=9)
    assert "p" == decrypt(encrypt(b"p"))[0]
    keys = [re.findall("AKIA.", one.headers["authorization"])[0] for one in front.requests]
    assert ["AKIA1", "AKIA2"] == keys
