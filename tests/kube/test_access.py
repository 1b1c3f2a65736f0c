"""The ways to the store's and the database's credentials that a Backup can name."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import CANARY_PASSWORD
from tests.servers import Account, Ceph, Certificates, Gateway, MariaDB
from tests.servers.kubernetes import Object
from tests.servers.metadata import Metadata
from tests.servers.moto import Issuer, Moto

from . import paths
from .nightly import JOB, NAME, Nightly
from .running_pod import RunningPod

REGION = "us-east-1"
AT_EKS = "/var/run/secrets/eks.amazonaws.com/serviceaccount"


@pytest.fixture
def gateway(ceph: Ceph) -> Iterator[Gateway]:
    """An S3 store that knows no account yet."""
    with Gateway(ceph) as running:
        yield running


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with Moto() as running:
        yield running


def finish(nightly: Nightly, pod: RunningPod) -> None:
    result = pod.end().expect(0)
    assert f"{result.directory}/backup.json" in nightly.objects()
    assert "Complete" == nightly.cluster.columns(NAME)["STATUS"]


def amazon(gateway: Gateway, **more: str | None) -> Object:
    """spec.s3 as for Amazon, but for where it is; None leaves a field out."""
    return {"provider": "aws", "endpoint": gateway.url, "region": REGION} | more


def test_an_access_key_for_amazon(nightly: Nightly, gateway: Gateway, ceph: Ceph) -> None:
    """What the operator forces on every store of this provider is not sent to another."""
    gateway.add(Account(ceph.access_key, ceph.secret_key))
    pod = nightly.start(s3=amazon(gateway))
    variables = {each["name"]: each for each in pod.pod["spec"]["containers"][0]["env"]}
    assert "STANDARD_IA" == variables["AWS_STORAGE_CLASS"]["value"]
    assert "private" == variables["AWS_ACL"]["value"]
    finish(nightly, pod)
    sent = {name for request in gateway.requests for name in request.headers}
    assert not {"x-amz-acl", "x-amz-storage-class"} & sent


def test_a_role_for_the_pod(nightly: Nightly, gateway: Gateway) -> None:
    """kube2iam: an annotation on the Pod, and a metadata service that looks at it."""
    role = {"iam.amazonaws.com/role": "arn:aws:iam::123456789012:role/user"}
    with Metadata(gateway) as service:
        env = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url}
        s3 = amazon(gateway, secretName=None)
        nightly.cluster.apply(NAME, nightly.spec(s3=s3, env=env), annotations=role)
        pod = nightly.cluster.node.run(JOB)
        assert role.items() <= pod.pod["metadata"]["annotations"].items()
        finish(nightly, pod)
    assert service.issued


def test_a_role_for_the_service_account(nightly: Nightly, gateway: Gateway, moto: Moto) -> None:
    """EKS: a webhook adds the token and two variables to the Pod."""
    cluster = nightly.cluster
    subject = f"system:serviceaccount:{cluster.namespace}:tidb-backup-manager"
    with Issuer(moto.url, gateway) as sts:
        token = sts.token(subject)
        cluster.secret("eks", token=token)
        env = {
            "AWS_ROLE_ARN": sts.trust("backup", subject),
            "AWS_WEB_IDENTITY_TOKEN_FILE": f"{AT_EKS}/token",
            "AWS_ENDPOINT_URL_STS": sts.url,
        }
        volume = {"name": "aws-iam-token", "secret": {"secretName": "eks"}}
        mount = {"name": "aws-iam-token", "mountPath": AT_EKS, "readOnly": True}
        pod = nightly.start(
            s3=amazon(gateway, secretName=None),
            env=env,
            additionalVolumes=[volume],
            additionalVolumeMounts=[mount],
        )
        finish(nightly, pod)
    assert {token} == {call["WebIdentityToken"] for call in sts.asked}


def test_a_password_encrypted_by_kms(nightly: Nightly, moto: Moto) -> None:
    kms = moto.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=CANARY_PASSWORD.encode())["CiphertextBlob"]
    nightly.cluster.secret("kms", password=base64.b64encode(blob).decode())
    # The key is in another region than the bucket.
    env = {"AWS_ENDPOINT_URL_KMS": moto.url, "AWS_DEFAULT_REGION": "eu-central-1"}
    pod = nightly.start(source={"secretName": "kms"}, useKMS=True, env=env)
    variables = [each["name"] for each in pod.pod["spec"]["containers"][0]["env"]]
    assert "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD" == variables[0]
    assert "BACKUP_MANAGER_PASSWORD" not in variables
    finish(nightly, pod)


@pytest.mark.parametrize("requirement", ["SSL", "X509"])
def test_a_client_certificate(
    nightly: Nightly, tmp_path_factory: pytest.TempPathFactory, requirement: str
) -> None:
    directory = tmp_path_factory.mktemp("tls")
    certificates = Certificates.create(directory / "certificates")
    with MariaDB(directory, tls=certificates) as server:
        server.create_account("backup", CANARY_PASSWORD, require=requirement)
        server.execute("CREATE DATABASE shop")
        server.execute("CREATE TABLE shop.orders (id INT PRIMARY KEY)")
        files: dict[str, Path] = {
            "ca.crt": certificates.ca_file,
            "tls.crt": certificates.client_certificate,
            "tls.key": certificates.client_key,
        }
        nightly.cluster.secret("client", **{name: files[name].read_text() for name in files})
        where = {"host": server.host, "port": server.port, "tlsClientSecretName": "client"}
        pod = nightly.start(source=where, tableFilter=["shop.*"])
        assert "--client-tls=true" in pod.pod["spec"]["containers"][0]["args"]
        finish(nightly, pod)


def test_a_key_that_is_emptied(nightly: Nightly) -> None:
    """The operator looks for the key alone; the message names Secret and key."""
    cluster = nightly.cluster
    secret = paths.core(cluster.namespace, "secrets", "s3")
    cluster.api.admin.merge(secret, {"data": {"secret_key": ""}})
    result = nightly.start().end().expect(2)
    assert "s3" in result.message
    assert "secret_key" in result.message
    assert "Failed" == nightly.status["phase"]
