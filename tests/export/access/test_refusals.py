"""No access: which role, whose, what was tried, and what to do."""

from pathlib import Path
from typing import Any

import pytest

from tests.export.access import (
    REGION,
    SUBJECT,
    assert_silent,
    encrypted,
    keyless,
    metadata_of,
    web_identity,
    write,
)
from tests.export.conftest import Make
from tests.export.state import assert_nothing, records
from tests.servers import Ceph, Gateway
from tests.servers.metadata import Container, Metadata
from tests.servers.moto import AUDIENCE, ISSUER, Issuer, Moto


def test_a_role_that_may_not_be_assumed(
    double: Make, ceph: Ceph, bucket: str, gateway: Gateway, sts: Issuer, token_file: Path
) -> None:
    role = sts.trust("backup", "system:serviceaccount:test1:another")
    token = sts.token(SUBJECT)
    write(token_file, token)

    export = keyless(double, gateway, web_identity(sts, token_file, role))
    result = export.run().expect(7, "StoreUnusable")

    assert f"the role {role} may not be assumed by {SUBJECT}" in result.message
    assert "AccessDenied: Not authorized to perform sts:AssumeRole" in result.message
    assert f"OIDC provider {ISSUER} with sub {SUBJECT} and aud {AUDIENCE}" in result.message
    assert_silent(result, [], token)
    assert_nothing(ceph, bucket)


def test_a_role_that_is_taken_away_in_mid_run(
    double: Make,
    ceph: Ceph,
    bucket: str,
    tmp_path: Path,
    gateway: Gateway,
    sts: Issuer,
    token_file: Path,
) -> None:
    role = sts.trust("backup", SUBJECT)
    write(token_file, sts.token(SUBJECT))
    sts.lifetime = 8
    stands, go = tmp_path / "stands", tmp_path / "go"
    gate = {"gate": {"after_files": 2, "path": str(go), "reached": str(stands)}}
    export = keyless(double, gateway, web_identity(sts, token_file, role), gate)
    with export.start() as running:
        running.wait_until(stands.exists)
        sts.distrust(role)
        asked = len(sts.asked)
        go.touch()
        sts.issued[-1].end()
        running.wait_until(lambda: len(sts.asked) > asked)
        result = running.result(60).expect(7)

    assert f"the role {role} may not be assumed by {SUBJECT}" in result.message
    assert [] == records(ceph, bucket)


def test_a_metadata_service_whose_token_does_not_come(
    double: Make, ceph: Ceph, bucket: str, gateway: Gateway
) -> None:
    with Metadata(gateway, tokens="lost") as service:
        result = keyless(double, gateway, metadata_of(service)).run(timeout=60).expect(7)

    assert "the token's answer does not come" in result.message
    assert "--http-put-response-hop-limit 2" in result.message
    tried = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "the profile default",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        f"the metadata service {service.url}",
    ]
    places = [result.message.index(text) for text in tried]
    assert sorted(places) == places
    assert_nothing(ceph, bucket)


def test_sigterm_while_the_metadata_service_is_silent(double: Make, gateway: Gateway) -> None:
    with Metadata(gateway) as service:
        silence = service.hold(lambda _: True)
        environment = metadata_of(service) | {"AWS_METADATA_SERVICE_TIMEOUT": "600"}
        with keyless(double, gateway, environment).start() as running:
            running.wait_until(silence.reached.is_set)
            running.terminate()
            running.result().expect(143)


def test_an_agent_that_does_not_believe_the_token(
    double: Make, gateway: Gateway, token_file: Path
) -> None:
    with Container(gateway) as agent:
        write(token_file, "canary-of-another-pod")
        environment = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{agent.url}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token_file),
        }
        result = keyless(double, gateway, environment).run().expect(7)
    assert f"the container's endpoint {agent.url}/v1/credentials gave" in result.message
    assert "Unauthorized Exception!" in result.message
    assert "Pod Identity association" in result.message
    assert_silent(result, [], "canary-of-another-pod")


def test_a_password_of_which_kms_gives_nothing(
    double: Make, ceph: Ceph, bucket: str, gateway: Gateway, moto: Moto
) -> None:
    environment = {
        "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD": encrypted(moto, b"a password")[:40],
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_KMS": moto.url,
    }
    export = double(endpoint=gateway.url, password=None, environment=environment)

    result = export.run().expect(3, "ConnectTidbFailed")

    assert "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD cannot be decrypted" in result.message
    assert "InvalidCiphertextException" in result.message
    assert_nothing(ceph, bucket)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"access_key": "AKIA1"}, "AWS_ACCESS_KEY_ID is given without AWS_SECRET_ACCESS_KEY"),
        ({"environment": {"AWS_PROFILE": "nobody"}}, "the profile nobody does not exist"),
        (
            {
                "environment": {
                    "AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent/token",
                    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/backup",
                }
            },
            "the token file /nonexistent/token of AWS_WEB_IDENTITY_TOKEN_FILE cannot be read",
        ),
    ],
    ids=["half a pair", "no such profile", "no token"],
)
def test_settings_that_cannot_give_access(
    double: Make, gateway: Gateway, changes: dict[str, Any], words: str
) -> None:
    """Found before anybody is asked for anything: the database is not there either."""
    export = keyless(double, gateway, {}, port=1).but(**changes)

    result = export.run().expect(2)

    assert words in result.message
