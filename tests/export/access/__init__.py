"""Exports to a gateway that accepts only what the services of a test have issued."""

import base64
import json
from pathlib import Path
from typing import Any

from tests.command import Export, Result, assert_no_secret
from tests.export.conftest import Make
from tests.export.replays import replay
from tests.servers import Account, Gateway
from tests.servers.metadata import Metadata
from tests.servers.moto import Issuer, Moto

SUBJECT = "system:serviceaccount:test1:backup"
REGION = "eu-central-1"


def write(path: Path, text: str) -> None:
    """Replace a file as kubelet does, at once."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def web_identity(sts: Issuer, token_file: Path, role: str) -> dict[str, str]:
    """The variables that EKS's webhook sets, and where our STS is."""
    return {
        "AWS_ROLE_ARN": role,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file),
        "AWS_ENDPOINT_URL_STS": sts.url,
    }


def keyless(
    double: Make, gateway: Gateway, environment: dict[str, Any], *controls: Any, **more: Any
) -> Export:
    """An export of a few small files without keys of its own."""
    settings: dict[str, Any] = {
        "endpoint": gateway.url,
        "table_filter": [],
        "access_key": None,
        "secret_key": None,
        "environment": environment,
    }
    return double(replay(3), *controls, **(settings | more))


def assert_silent(result: Result, accounts: list[Account], *others: str) -> None:
    """Nothing of what was issued, nor the other secrets, is in what the run said."""
    secrets = [text for one in accounts for text in (one.secret_key, one.token) if text]
    said = (result.stdout + result.stderr + json.dumps(result.summary)).encode()
    assert_no_secret([*secrets, *others], "what it said", said)


def metadata_of(service: Metadata) -> dict[str, str]:
    return {
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url,
        "AWS_EC2_METADATA_DISABLED": "false",
        "AWS_METADATA_SERVICE_TIMEOUT": "1",
    }


def encrypted(moto: Moto, plain: bytes) -> str:
    kms = moto.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob: bytes = kms.encrypt(KeyId=key, Plaintext=plain)["CiphertextBlob"]
    return base64.b64encode(blob).decode()
