"""A client that speaks plain HTTP over TLS, and what facts have in common."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

Document = dict[str, Any]
Change = Callable[[Document], object]
Fact = Callable[["Client", str, str], None]


@dataclass(frozen=True)
class Reply:
    status: int
    document: Document
    headers: Mapping[str, str]

    @property
    def causes(self) -> set[tuple[str, str]]:
        """Which field is wrong for which reason; the one about unchecked rules is none."""
        causes = self.document["details"]["causes"]
        return {(each["field"], each["reason"]) for each in causes if each["field"] != "<nil>"}


class Client:
    """Plain HTTP over TLS, with a bearer token."""

    def __init__(
        self,
        server: str,
        ca_file: str,
        token: str | None,
        *,
        user: str,
        timeout: float = 10,
    ) -> None:
        self.server = server
        self.user = user
        self.token = token
        self._http = urllib3.PoolManager(ca_certs=ca_file, retries=False, timeout=timeout)

    def call(
        self,
        method: str,
        path: str,
        body: Document | bytes | None = None,
        *,
        content_type: str = "application/json",
    ) -> Reply:
        headers = {"Content-Type": content_type}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        answer = self._http.request(method, self.server + path, body=data, headers=headers)
        is_json = answer.headers.get("Content-Type") == "application/json"
        return Reply(
            answer.status, answer.json() if is_json else {"text": answer.data}, answer.headers
        )

    def get(self, namespace: str, name: str) -> Document:
        reply = self.call("GET", path_of(namespace, name))
        assert 200 == reply.status, reply
        return reply.document

    def put(self, backup: Document, query: str = "") -> Reply:
        metadata = backup["metadata"]
        return self.call("PUT", path_of(metadata["namespace"], metadata["name"]) + query, backup)


def path_of(namespace: str, name: str) -> str:
    return f"/apis/pingcap.com/v1alpha1/namespaces/{namespace}/backups/{name}"


def events_of(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/events"


def changed(client: Client, namespace: str, name: str, change: Change, query: str = "") -> Reply:
    """GET, a change in place, PUT."""
    backup = client.get(namespace, name)
    change(backup)
    return client.put(backup, query)


def assert_status(reply: Reply, code: int, reason: str, message: str) -> None:
    assert code == reply.status, reply
    told = {key: value for key, value in reply.document.items() if key != "details"}
    assert {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
    } == told
