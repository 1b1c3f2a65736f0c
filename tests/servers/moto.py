"""moto's server (STS, IAM, KMS, the metadata service), and what AWS checks that moto does not.

    with Moto() as moto, Issuer(moto.url, gateway) as sts:
        role = sts.trust("backup", "system:serviceaccount:test1:backup")
        token = sts.token("system:serviceaccount:test1:backup")

`Issuer` stands before moto: it believes only tokens that it made itself, for roles that trust their
subject, and has a gateway accept just the credentials that moto then issues.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from tests.s3_proxy import Answer, Request, S3Proxy
from tests.scoped import Scoped

from .gateway import Gateway
from .signatures import Account

ISSUER, AUDIENCE = "https://oidc.example.com/id/1", "sts.amazonaws.com"
_ORDERED = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")


class Moto(Scoped):
    """moto's server in a thread; its state is this process's."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)

    def start(self) -> None:
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"

    def stop(self) -> None:
        self._server.stop()

    def client(self, service: str) -> Any:
        """A boto3 client of it."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # not a literal
            endpoint_url=self.url,
            region_name="eu-central-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}),
        )


class Issuer(S3Proxy):
    """STS with web identities. `lifetime`: what the credentials get, in seconds, if not an hour."""

    def __init__(self, target: str, gateway: Gateway) -> None:
        super().__init__(target)
        self.lifetime: float | None = None
        self.asked: list[dict[str, str]] = []  # the parameters of each call
        self.issued: list[Account] = []
        self._gateway = gateway
        self._trusts: dict[str, str] = {}
        self._key = secrets.token_bytes(32)

    def trust(self, name: str, subject: str) -> str:
        """Make a role that trusts who has this subject; its ARN."""
        arn = f"arn:aws:iam::123456789012:role/{name}"
        self._trusts[arn] = subject
        return arn

    def distrust(self, arn: str) -> None:
        self._trusts[arn] = ""

    def token(self, subject: str, *, seconds: float = 3600) -> str:
        """A token as kubelet projects it: a JWT, here signed with HS256."""
        claims = {
            "iss": ISSUER,
            "aud": [AUDIENCE],
            "sub": subject,
            "exp": int(time.time() + seconds),
            "jti": secrets.token_hex(8),
        }
        parts = ({"alg": "HS256", "typ": "JWT"}, claims)
        text = ".".join(_encode(json.dumps(part).encode()) for part in parts)
        return f"{text}.{self._signature(text)}"

    def _signature(self, text: str) -> str:
        return _encode(hmac.new(self._key, text.encode(), hashlib.sha256).digest())

    def serve(self, request: Request, body: bytes) -> Answer:
        asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.asked.append(asked)
        refused = self._refusal(asked) if "WebIdentityToken" in asked else None
        if refused:
            return refused
        return self._issue(super().serve(request, body))

    def _refusal(self, asked: dict[str, str]) -> Answer | None:
        text, _, signature = asked["WebIdentityToken"].rpartition(".")
        if not hmac.compare_digest(self._signature(text), signature):
            return sts_error("InvalidIdentityToken", "The ID Token provided is not a valid JWT.")
        claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
        if claims["exp"] < time.time():
            words = f"Token expired: current date/time must be before {claims['exp']}"
            return sts_error("ExpiredTokenException", words)
        if self._trusts.get(asked["RoleArn"]) != claims["sub"]:
            words = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
            return sts_error("AccessDenied", words, 403)
        return None

    def _issue(self, answer: Answer) -> Answer:
        text = answer.body.decode()
        # In any order: moto has its own.
        found = {name: re.search(f"<{name}>(.*?)</{name}>", text) for name in _ORDERED}
        if answer.status != 200 or not all(found.values()):
            return answer
        key, secret, token, expires = (found[name][1] for name in _ORDERED)  # type: ignore[index]  # all are there
        until = datetime.fromisoformat(expires)
        if self.lifetime is not None:
            until = datetime.now(UTC) + timedelta(seconds=self.lifetime)
            text = text.replace(expires, until.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.issued.append(self._gateway.add(Account(key, secret, token, until)))
        return Answer(200, text.encode(), answer.headers)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def sts_error(code: str, message: str, status: int = 400) -> Answer:
    """An error as STS words it."""
    text = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender'
        f"</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>0</RequestId></ErrorResponse>"
    )
    return Answer(status, text.encode(), {"Content-Type": "text/xml"})


def kms_error(code: str, message: str) -> Answer:
    """An error as KMS words it (JSON 1.1)."""
    text = json.dumps({"__type": code, "message": message})
    return Answer(400, text.encode(), {"Content-Type": "application/x-amz-json-1.1"})
