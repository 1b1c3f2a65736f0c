"""The token of a Pod's ServiceAccount, bound to a Secret: it ends when that is deleted."""

import itertools

from tests.servers import wait_until
from tests.servers.kubernetes import KubernetesAPI

from .paths import core

_numbers = itertools.count(1)
_UNAUTHORIZED = 401
# The API server takes a token for 10 s after it has looked at it.
_CACHED_SECONDS = 30


class Token:
    def __init__(self, api: KubernetesAPI, namespace: str, account: str) -> None:
        self._api = api
        self._secrets = core(namespace, "secrets")
        self._name = f"token-{next(_numbers)}"
        secret = api.admin.create(self._secrets, {"metadata": {"name": self._name}})
        bound = {"kind": "Secret", "apiVersion": "v1", "name": self._name}
        bound["uid"] = secret["metadata"]["uid"]
        answer = api.admin.create(
            f"{core(namespace, 'serviceaccounts', account)}/token",
            {"spec": {"expirationSeconds": 3607, "boundObjectRef": bound}},
        )
        self.text: str = answer["status"]["token"]

    def end(self) -> None:
        """Make it invalid, and wait until the API server refuses it."""
        self._api.admin.delete(f"{self._secrets}/{self._name}")
        client = self._api.client(self.text)
        wait_until(
            lambda: client.ask("GET", self._secrets).code == _UNAUTHORIZED,
            seconds=_CACHED_SECONDS,
            what="the old token is refused",
        )
