"""Those who give a Pod credentials over loopback: metadata services, and container endpoints.

    with Metadata(gateway) as service: …  AWS_EC2_METADATA_SERVICE_ENDPOINT=service.url

As kube2iam and kiam (no tokens), as EC2 with tokens demanded (`tokens="needed"`), and with the hop
limit of 1 under which the answer with the token never comes to a Pod (`tokens="lost"`).
"""

import json
import secrets
from datetime import UTC, datetime, timedelta

from tests.s3_proxy import Answer, Request, S3Proxy

from .gateway import Gateway
from .s3 import make_keys
from .signatures import Account

ROLE = "backup"
_ROLES = "/latest/meta-data/iam/security-credentials/"


class _Giver(S3Proxy):
    """Makes credentials that the gateway accepts; nothing is forwarded."""

    def __init__(self, gateway: Gateway, *, seconds: float = 3600) -> None:
        super().__init__("http://127.0.0.1:1")
        self.seconds = seconds
        self.issued: list[Account] = []
        self._gateway = gateway

    def credentials(self) -> Answer:
        """New ones, in the JSON that both protocols have."""
        until = datetime.now(UTC) + timedelta(seconds=self.seconds)
        account = Account(*make_keys(), secrets.token_hex(40), until)
        self.issued.append(self._gateway.add(account))
        told = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": account.access_key,
            "SecretAccessKey": account.secret_key,
            "Token": account.token,
            "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return Answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})


class Metadata(_Giver):
    """Instance metadata. `tokens`: "none" (kube2iam, kiam), "needed" or "lost"."""

    def __init__(self, gateway: Gateway, *, tokens: str = "none", seconds: float = 3600) -> None:
        super().__init__(gateway, seconds=seconds)
        self._tokens = tokens
        self._token = secrets.token_hex(20)
        if tokens == "lost":
            self.hold(lambda request: request.method == "PUT")

    def serve(self, request: Request, body: bytes) -> Answer:
        del body
        if request.method == "PUT":
            return Answer(200, self._token.encode()) if self._tokens != "none" else Answer(404)
        if self._tokens != "none" and request.headers.get("x-aws-ec2-metadata-token") != (
            self._token
        ):
            return Answer(401)
        if request.target == _ROLES:
            return Answer(200, ROLE.encode())
        return self.credentials() if request.target == _ROLES + ROLE else Answer(404)


class Container(_Giver):
    """EKS's Pod Identity agent, or ECS: credentials for who has the token that `allowed` is."""

    def __init__(self, gateway: Gateway, *, seconds: float = 3600) -> None:
        super().__init__(gateway, seconds=seconds)
        self.allowed = f"{secrets.token_urlsafe(30)}.{secrets.token_urlsafe(60)}"

    def serve(self, request: Request, body: bytes) -> Answer:
        del body
        if request.headers.get("authorization") != self.allowed:
            text = '{"code":"AccessDeniedException","message":"Unauthorized Exception!"}'
            return Answer(400, text.encode())
        return self.credentials()
