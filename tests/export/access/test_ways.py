"""Each way to credentials by its real protocol; the store accepts just what was issued."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from tests.command import CANARY_PASSWORD
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
from tests.export.state import assert_only
from tests.s3_proxy import S3Proxy
from tests.servers import Account, Ceph, Gateway
from tests.servers.metadata import Container, Metadata
from tests.servers.moto import Issuer, Moto, kms_error


@pytest.mark.parametrize("ends", ["early", "soon"])
def test_a_web_identity_whose_token_rotates_and_whose_session_ends_in_mid_run(
    double: Make,
    ceph: Ceph,
    bucket: str,
    tmp_path: Path,
    gateway: Gateway,
    sts: Issuer,
    token_file: Path,
    ends: str,
) -> None:
    role, tokens = sts.trust("backup", SUBJECT), [sts.token(SUBJECT) for _ in range(2)]
    sts.lifetime = 8 if ends == "soon" else None
    write(token_file, tokens[0])
    stands, go = tmp_path / "stands", tmp_path / "go"
    gate = {"gate": {"after_files": 2, "path": str(go), "reached": str(stands)}}
    export = keyless(double, gateway, web_identity(sts, token_file, role), gate)
    with export.start() as running:
        running.wait_until(stands.exists)
        write(token_file, tokens[1])
        session = sts.issued[-1]
        if ends == "early":
            session.end()
        running.wait_until(lambda: session.expires <= datetime.now(UTC))  # type: ignore[operator]  # it has one
        go.touch()
        result = running.result(60).expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert tokens == list(dict.fromkeys(call["WebIdentityToken"] for call in sts.asked))
    assert {role} == {call["RoleArn"] for call in sts.asked}
    assert_silent(result, sts.issued, *tokens)


@pytest.mark.parametrize("regional", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_amazons_own_names(
    double: Make,
    ceph: Ceph,
    bucket: str,
    tmp_path: Path,
    moto: Moto,
    token_file: Path,
    regional: str,
) -> None:
    """Provider aws without an endpoint: the bucket's own host, and STS of the region."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with (
        Gateway(ceph, authority=authority, region=REGION) as gateway,
        Issuer(moto.url, gateway) as sts,
    ):
        gateway.beside[f"sts.{REGION}.amazonaws.com"] = sts.url
        write(token_file, sts.token(SUBJECT))
        environment = web_identity(sts, token_file, sts.trust("backup", SUBJECT)) | {
            "AWS_ENDPOINT_URL_STS": None,
            "HTTPS_PROXY": gateway.proxy_url,
            "AWS_CA_BUNDLE": str(tmp_path / "ca.pem"),
            regional: REGION,
        }
        export = keyless(double, gateway, environment, endpoint=None, provider="aws", region=None)
        if regional == "AWS_DEFAULT_REGION":
            export = export.but(region=REGION)
        result = export.run().expect(0)
    hosts = {request.host for request in gateway.requests}  # type: ignore[attr-defined]  # of a gateway
    assert {f"sts.{REGION}.amazonaws.com", f"{bucket}.s3.{REGION}.amazonaws.com"} == hosts
    assert_only(ceph, bucket, result.directory, tmp_path)


def test_the_metadata_service_of_kube2iam_that_is_slow_at_first(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, gateway: Gateway
) -> None:
    with Metadata(gateway) as service:
        # It does not know the Pod, then its first answer comes too late.
        unknown = service.refuse(lambda request: request.target.endswith("/backup"), times=2,
                                 status=404, code="NoRole")  # fmt: skip
        slow = service.hold(lambda request: unknown.times == 0 and request.method == "GET", times=1)
        with keyless(double, gateway, metadata_of(service)).start() as running:
            running.wait_until(slow.reached.is_set)
            result = running.result(60).expect(0)
        slow.released.set()
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert_silent(result, service.issued)
    assert "PUT" == service.requests[0].method


def test_the_metadata_service_with_tokens(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, gateway: Gateway
) -> None:
    with Metadata(gateway, tokens="needed") as service:
        result = keyless(double, gateway, metadata_of(service)).run().expect(0)
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert_silent(result, service.issued)


def test_pod_identity(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, gateway: Gateway, token_file: Path
) -> None:
    with Container(gateway) as agent:
        write(token_file, agent.allowed)
        environment = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{agent.url}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token_file),
        }
        result = keyless(double, gateway, environment).run().expect(0)
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert {"/v1/credentials"} == {request.target for request in agent.requests}
    assert_silent(result, agent.issued, agent.allowed)


def test_a_profile_whose_role_another_profile_assumes(
    double: Make, ceph: Ceph, bucket: str, tmp_path: Path, gateway: Gateway, sts: Issuer
) -> None:
    (tmp_path / "credentials").write_text(
        "[root]\naws_access_key_id = AKIAROOT\naws_secret_access_key = canary-of-the-source\n"
        f"[backup]\nrole_arn = {sts.trust('backup', '')}\nsource_profile = root\n"
    )
    environment = {
        "AWS_PROFILE": "backup",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_ENDPOINT_URL_STS": sts.url,
    }
    result = keyless(double, gateway, environment).run().expect(0)
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert ["AssumeRole"] == [call["Action"] for call in sts.asked]
    assert "AKIAROOT" in sts.requests[0].headers["authorization"]
    assert_silent(result, sts.issued, "canary-of-the-source")


def test_a_session_whose_token_is_wrong(
    double: Make, gateway: Gateway, ceph: Ceph, bucket: str
) -> None:
    gateway.add(Account("ASIA1", "canary-secret-1", "the right token"))
    keys = {"access_key": "ASIA1", "secret_key": "canary-secret-1"}
    export = keyless(double, gateway, {}, session_token="canary-token-1", **keys)
    result = export.run().expect(7)
    assert "InvalidToken" in result.message
    assert "check AWS_SESSION_TOKEN" in result.message
    assert [] == ceph.client().list_objects_v2(Bucket=bucket).get("Contents", [])


def test_an_encrypted_password_with_the_stores_own_keys_in_the_variables(
    double: Make,
    make: Make,
    ceph: Ceph,
    bucket: str,
    tmp_path: Path,
    moto: Moto,
    gateway: Gateway,
    sts: Issuer,
    token_file: Path,
) -> None:
    """KMS does not know the store's keys, and is asked with the Pod's role."""
    ciphertext = encrypted(moto, CANARY_PASSWORD.encode() + b"\n")
    write(token_file, sts.token(SUBJECT))
    with S3Proxy(moto.url) as kms:
        kms.answer(
            lambda request: ceph.access_key in request.headers["authorization"],
            kms_error("UnrecognizedClientException", "The security token is invalid."),
            times=9,
        )
        environment = web_identity(sts, token_file, sts.trust("backup", SUBJECT)) | {
            "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD": ciphertext,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_KMS": kms.url,
        }
        export = make(password=None, environment=environment)
        shown = export.run("--dry-run").expect(0)
        assert [] == kms.requests
        result = export.run().expect(0)
    assert "***" in (line := next(a for a in shown.stdout.splitlines() if "password " in a))
    assert "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD" in line
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert 1 == len(sts.issued)
    assert_silent(result, sts.issued, CANARY_PASSWORD)
