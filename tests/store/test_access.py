"""Why there are no credentials, as far as it can be told without a store."""

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.utils
import pytest
from botocore.credentials import RefreshableCredentials

from backup_manager.errors import BackupError, ExitCode, UsageError
from backup_manager.signals import Stop
from backup_manager.store import credentials as module
from backup_manager.store import metadata
from backup_manager.store.credentials import Lookup, Renewing, check_access
from backup_manager.store.faults import CredentialsError
from tests.s3_proxy import Answer, S3Proxy
from tests.servers.moto import Moto, sts_error

ROLE = "arn:aws:iam::123456789012:role/backup"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither variables nor files, and no patience with new Pods."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(module, "_NEW_POD_SECONDS", 0.0)


@pytest.fixture
def server() -> Iterator[S3Proxy]:
    """It answers what the test tells it."""
    with S3Proxy("http://127.0.0.1:1") as running:
        yield running


def answering(server: S3Proxy, answer: Answer) -> None:
    server.answer(lambda _: True, answer, times=1000)


Setting = Callable[..., None]


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Setting:
    def set_all(**variables: str) -> None:
        for name, text in variables.items():
            monkeypatch.setenv(name, text)

    return set_all


def secrets_and_failure() -> tuple[list[str | None], BackupError]:
    secrets: list[str | None] = []
    with pytest.raises(CredentialsError) as caught:
        Lookup(secrets.append, what="s3://b/: cannot be used").first(Stop())
    error = caught.value.explained
    assert error.fix
    assert "s3://b/: cannot be used" == error.what
    return secrets, error


def failure() -> BackupError:
    return secrets_and_failure()[1]


# Settings that cannot be right -------------------------------------------------------------


def wrong() -> str:
    with pytest.raises(UsageError) as caught:
        check_access()
    assert ExitCode.USAGE == caught.value.exit_code
    assert caught.value.fix
    return caught.value.message


@pytest.mark.parametrize(
    ("given", "absent"),
    [
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_half_a_pair(put: Setting, given: str, absent: str) -> None:
    put(**{given: "canary"})
    message = wrong()
    assert message.startswith(f"{given} is given without {absent}")
    assert "canary" not in message
    put(**{absent: "x"})
    check_access()


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
@pytest.mark.parametrize("text", ["canary\n", " canary", "can ary"])
def test_white_space_in_a_key(put: Setting, name: str, text: str) -> None:
    put(AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
    put(**{name: text})
    assert wrong().startswith(f"{name} has white space in it")


def test_a_profile_that_does_not_exist(put: Setting, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("[one]\n[two]\n")
    put(AWS_PROFILE="three", AWS_SHARED_CREDENTIALS_FILE=str(file))
    message = wrong()
    assert message.startswith("the profile three does not exist")
    assert str(file) in message
    assert "have these: one, two" in message


def test_a_file_of_profiles_that_is_none(put: Setting, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("no profile = here\n")
    put(AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "credentials"))
    assert f"{tmp_path / 'credentials'} cannot be read as profiles" in wrong()


def test_a_token_without_a_role(put: Setting, tmp_path: Path) -> None:
    put(AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token"))
    assert wrong().startswith("AWS_WEB_IDENTITY_TOKEN_FILE is given without AWS_ROLE_ARN")


@pytest.mark.parametrize("role", ["backup", "arn:aws:iam:", " "])
def test_a_role_that_is_no_arn(put: Setting, tmp_path: Path, role: str) -> None:
    (tmp_path / "token").write_text("t")
    put(AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token"), AWS_ROLE_ARN=role)
    assert "AWS_ROLE_ARN names a role that is no ARN" in wrong()


CONTAINER = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/"}


@pytest.mark.parametrize(
    ("variable", "more"),
    [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", {"AWS_ROLE_ARN": ROLE}),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", CONTAINER),
    ],
)
@pytest.mark.parametrize("state", ["missing", "empty", "a directory"])
def test_a_token_file(
    put: Setting, tmp_path: Path, variable: str, more: dict[str, str], state: str
) -> None:
    path = tmp_path / "token"
    put(**{variable: str(path)}, **more)
    if state == "empty":
        path.write_text("\n")
    if state == "a directory":
        path.mkdir()
    words = {"missing": "No such file", "empty": "is empty", "a directory": "Is a directory"}
    message = wrong()
    assert f"the token file {path} of {variable}" in message
    assert words[state] in message
    # Keys come first: then nobody reads it.
    put(AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
    check_access()


# STS ---------------------------------------------------------------------------------------


def web_identity(put: Setting, tmp_path: Path, sts: str) -> None:
    (tmp_path / "token").write_text("canary-no-jwt\n")
    token = str(tmp_path / "token")
    put(AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN=ROLE, AWS_ENDPOINT_URL_STS=sts)


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("AccessDenied", "in the role's trust policy"),
        ("ExpiredTokenException", "/token; kubelet renews"),
        ("InvalidIdentityToken", "IAM OIDC provider"),
        ("RegionDisabledException", "trust policy and the region"),
    ],
)
def test_what_sts_refuses(
    put: Setting, tmp_path: Path, server: S3Proxy, code: str, fix: str
) -> None:
    answering(server, sts_error(code, "so it is", 403))
    web_identity(put, tmp_path, server.url)
    secrets, error = secrets_and_failure()
    words = f"the role {ROLE} may not be assumed by the token: STS answered {code}: so it is"
    assert words == error.why
    assert fix in error.fix
    assert ExitCode.STORE == error.exit_code
    assert "canary-no-jwt" in secrets


def test_sts_that_cannot_be_reached(put: Setting, tmp_path: Path) -> None:
    web_identity(put, tmp_path, "http://127.0.0.1:1")
    error = failure()
    assert f"STS at http://127.0.0.1:1/, which gives the credentials of {ROLE}, fails" in error.why
    assert "AWS_ENDPOINT_URL_STS" in error.fix


def profile(put: Setting, tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    put(AWS_CONFIG_FILE=str(tmp_path / "config"), AWS_PROFILE="backup")


KEYS = "aws_access_key_id = a\naws_secret_access_key = canary"


@pytest.mark.parametrize(
    ("code", "fix"),
    [("AccessDenied", "on both sides"), ("InvalidClientTokenId", "the keys of the profile root")],
)
def test_a_profiles_role(
    put: Setting, tmp_path: Path, server: S3Proxy, code: str, fix: str
) -> None:
    answering(server, sts_error(code, "User u is not authorized", 403))
    text = f"[profile root]\n{KEYS}\n[profile backup]\nrole_arn = {ROLE}\nsource_profile = root\n"
    profile(put, tmp_path, text)
    put(AWS_ENDPOINT_URL_STS=server.url)
    secrets, error = secrets_and_failure()
    assert f"the role {ROLE} may not be assumed by the profile root" in error.why
    assert "User u is not authorized" in error.why
    assert fix in error.fix
    assert "canary" in secrets


@pytest.mark.parametrize(
    "text",
    [
        f"[profile backup]\nrole_arn = {ROLE}\nsource_profile = nobody\n",
        f"[profile backup]\nrole_arn = {ROLE}\n",
        "[profile backup]\naws_access_key_id = a\n",
    ],
    ids=["no such source", "no source", "half a pair"],
)
def test_a_profile_that_is_not_whole(put: Setting, tmp_path: Path, text: str) -> None:
    profile(put, tmp_path, text)
    assert ExitCode.USAGE == failure().exit_code


# Containers --------------------------------------------------------------------------------


def credentials(**changes: Any) -> Answer:
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {"AccessKeyId": "a", "SecretAccessKey": "canary", "Token": "t", "Expiration": until}
    return Answer(200, json.dumps(told | changes).encode())


def test_ecs(put: Setting, server: S3Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the relative URI, whose host is fixed."""
    fetcher = botocore.utils.ContainerMetadataFetcher
    monkeypatch.setattr(fetcher, "IP_ADDRESS", server.url.removeprefix("http://"))
    put(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="/v2/credentials/1")
    answering(server, credentials())
    secrets: list[str | None] = []
    found = Lookup(secrets.append).first(Stop())
    assert ("a", "canary", "t") == found.get_frozen_credentials()[:3]
    assert {"canary", "t"} <= set(secrets)
    assert ["/v2/credentials/1"] == [request.target for request in server.requests]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(404, b"no association"), "404 from container metadata: no association"),
        (Answer(200, b"<html>"), "Unable to parse JSON"),
        (Answer(200, b'{"Code": "AssumeRoleUnauthorizedAccess"}'), "has no 'AccessKeyId'"),
    ],
    ids=["refused", "no JSON", "nothing in it"],
)
def test_an_agent_without_credentials(
    put: Setting, server: S3Proxy, monkeypatch: pytest.MonkeyPatch, answer: Answer, words: str
) -> None:
    monkeypatch.setattr(botocore.utils.ContainerMetadataFetcher, "SLEEP_TIME", 0)
    answering(server, answer)
    put(AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url)
    error = failure()
    assert error.why.startswith(f"the container's endpoint {server.url} gave no credentials")
    assert words in error.why
    assert "Pod Identity association" in error.fix


def test_an_agent_at_a_host_that_is_none_of_the_known(put: Setting) -> None:
    put(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://example.com/")
    error = failure()
    assert ExitCode.USAGE == error.exit_code
    assert "Unsupported host 'example.com'" in error.why


# The metadata service ----------------------------------------------------------------------


def test_motos(put: Setting) -> None:
    with Moto() as moto:
        put(AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=moto.url)
        secrets: list[str | None] = []
        found = Lookup(secrets.append).first(Stop())
    assert ("iam-role", "test-key") == (found.method, found.get_frozen_credentials().access_key)
    assert {"test-secret-key", "test-session-token"} <= set(secrets)


def test_it_is_off(put: Setting) -> None:
    put(AWS_ROLE_ARN=ROLE)
    error = failure()
    assert "AWS_WEB_IDENTITY_TOKEN_FILE (not set, though AWS_ROLE_ARN is)" in error.why
    assert "the metadata service (switched off by AWS_EC2_METADATA_DISABLED)" in error.why
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the Pod a role" in error.fix


@pytest.mark.parametrize(
    ("role", "answer", "words"),
    [
        (Answer(404), Answer(404), "it has no role for us: it answers 404"),
        (
            Answer(500, b"no  IP\n known"),
            Answer(404),
            "it has no role for us: it answers 500 (no IP known)",
        ),
        (Answer(401), Answer(404), "it asks for a token (IMDSv2), and gives none"),
        (
            Answer(200, b"backup"),
            Answer(500, b"cannot assume backup"),
            "for the role backup it answers 500 (cannot assume backup)",
        ),
        (
            Answer(200, b"backup"),
            Answer(200, b'{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot"}'),
            "for the role backup it answers 200 (EC2 cannot)",
        ),
    ],
    ids=["no role", "not yet", "tokens only", "may not", "EC2 may not"],
)
def test_what_it_says(
    put: Setting, server: S3Proxy, role: Answer, answer: Answer, words: str
) -> None:
    server.answer(lambda request: request.method == "PUT", Answer(404), times=99)
    server.answer(lambda request: request.target.endswith("/"), role, times=99)
    answering(server, answer)
    put(AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=server.url)
    assert f"the metadata service {server.url}/ ({words})" in failure().why


def test_one_that_is_too_slow(
    put: Setting, server: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.hold(lambda _: True)
    monkeypatch.setattr(module, "_LOOKUP_SECONDS", 0.0)
    put(AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=server.url)
    assert f"the metadata service {server.url}/ gave no credentials within 0 s" == failure().why


def test_nothing_is_there() -> None:
    assert metadata.Finding("nothing is there") == metadata.ask("http://127.0.0.1:1/")


def test_credentials_are_never_quoted(server: S3Proxy) -> None:
    server.answer(lambda request: request.target.endswith("/"), Answer(200, b"role"), times=99)
    answering(server, credentials())
    assert "canary" not in metadata.ask(f"{server.url}/").text


# Short-lived ones --------------------------------------------------------------------------


class Source:
    """Gives credentials that are good for so many seconds, or fails."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.calls = seconds, 0
        self.error: Exception | None = None

    def __call__(self) -> dict[str, str]:
        self.calls += 1
        if self.error:
            raise self.error
        until = datetime.now(UTC) + timedelta(seconds=self.seconds)
        number = str(self.calls)
        keys = {"access_key": number, "secret_key": number, "token": number}
        return keys | {"expiry_time": until.isoformat()}

    def renewing(self, secrets: list[str | None]) -> Renewing:
        found = RefreshableCredentials.create_from_metadata(self(), self, "container-role")
        return Renewing(found, Lookup(secrets.append))


class Clock:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        patch.setattr("backup_manager.store.credentials.time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_long_lived_ones_are_fetched_once(clock: Clock) -> None:
    source = Source(3600)
    found = source.renewing([])
    for _ in range(5):
        clock.now += 100
        assert "1" == found.get_frozen_credentials().access_key
    assert 1 == source.calls


def test_short_lived_ones_are_fetched_anew_at_half_time(clock: Clock) -> None:
    """botocore alone would fetch those of less than ten minutes for each request."""
    source = Source(500)
    secrets: list[str | None] = []
    found = source.renewing(secrets)
    began = source.calls
    for _ in range(10):
        found.get_frozen_credentials()
    assert began == source.calls
    clock.now += 151
    assert str(began + 1) == found.get_frozen_credentials().access_key
    assert {str(began), str(began + 1)} <= set(secrets)


def test_what_is_good_for_a_while_outlives_a_failure_to_renew_it(clock: Clock) -> None:
    source = Source(500)
    found = source.renewing([])
    kept, calls = found.get_frozen_credentials(), source.calls
    source.error = OSError("the agent is away")
    clock.now += 151
    assert kept == found.get_frozen_credentials()
    assert kept == found.get_frozen_credentials()
    assert calls + 1 == source.calls  # not for each request
    clock.now += 16
    source.error = None
    assert kept != found.get_frozen_credentials()


def test_a_profile_that_went_away(
    put: Setting, tmp_path: Path, server: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is used as long as it is good; then that is what is said."""
    source = Source(1)
    found = source.renewing([])
    profile(put, tmp_path, "[profile other]\n")
    with pytest.raises(CredentialsError) as caught:
        found.get_frozen_credentials()
    assert "the profile backup does not exist" in caught.value.explained.message
    assert not found.renew()


@pytest.mark.parametrize("error", [OSError("away"), KeyError("Token"), RuntimeError("expired")])
def test_what_has_ended_is_a_failure_that_may_pass(error: Exception) -> None:
    source = Source(1)
    found = source.renewing([])
    source.error = error
    with pytest.raises(CredentialsError) as caught:
        found.get_frozen_credentials()
    assert caught.value.passing
    assert str(error) in caught.value.explained.message
    assert not found.renew()
