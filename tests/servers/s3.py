"""What tests ask of any S3 server."""

import secrets
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from tests.scoped import Scoped

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client  # annotations: not installed where tests only run

REGION = "us-east-1"

# Making clients from one session is not safe in threads (boto3's guide, "Session").
_session_lock = threading.Lock()


def make_keys() -> tuple[str, str]:
    """A new access key and secret key, of the lengths that AWS gives them (20 and 40)."""
    return secrets.token_hex(10).upper(), secrets.token_hex(20)


class S3Server(Scoped):
    """An S3 server on loopback, and the one account that may do all."""

    http: str
    https: str | None = None
    ca_file: Path | None = None

    def __init__(self) -> None:
        self.access_key, self.secret_key = make_keys()
        self._clients: dict[str, S3Client] = {}

    def start(self) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        raise NotImplementedError

    def client(self, **asked: Any) -> "S3Client":
        """A boto3 client as `new_client` makes it: always the same one, as each takes its time."""
        name = repr(sorted(asked.items()))
        with _session_lock:
            if name not in self._clients:
                self._clients[name] = self._new_client(**asked)
            return self._clients[name]

    def new_client(self, **asked: Any) -> "S3Client":
        """A boto3 client for one alone, who changes what it does."""
        with _session_lock:
            return self._new_client(**asked)

    def _new_client(
        self,
        *,
        secure: bool = False,
        access_key: str | None = None,
        secret_key: str | None = None,
        verify: bool | str | None = None,
        **config: Any,
    ) -> "S3Client":
        """Over HTTPS if `secure`; `config` are fields of botocore's Config.

        `verify` is boto3's; by default the server's own authority is trusted.
        """
        settings: dict[str, Any] = {
            "s3": {"addressing_style": "path"},
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
            "proxies": {},
            "max_pool_connections": 32,
            "retries": {"mode": "standard", "total_max_attempts": 3},
        }
        if verify is None and self.ca_file is not None:
            verify = str(self.ca_file)
        client: S3Client = boto3.client(
            "s3",
            endpoint_url=self.https if secure else self.http,
            region_name=REGION,
            aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=secret_key or self.secret_key,
            verify=verify,
            config=Config(**(settings | config)),
        )
        return client

    def create_bucket(self, name: str) -> None:
        self.client().create_bucket(Bucket=name)
