"""Questions to the API as plain JSON, and its own answers: tests assert their codes."""

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.process import ServerError

Object = dict[str, Any]
_ERRORS = 400
_NOT_FOUND = 404


@dataclass(frozen=True)
class Answer:
    """`body` is the object, or a Status that says why there is none."""

    code: int
    body: Object

    @property
    def ok(self) -> bool:
        return self.code < _ERRORS


class Client:
    """One bearer of one token. Paths are the API's own, such as /api/v1/namespaces."""

    def __init__(self, host: str, port: int, ca_file: Path, token: str) -> None:
        self._address = (host, port)
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._token = token

    def ask(
        self, method: str, path: str, body: Object | None = None, kind: str = "application/json"
    ) -> Answer:
        """The server's answer, whatever it is; OSError where there is none."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        connection = http.client.HTTPSConnection(*self._address, timeout=30, context=self._tls)
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        try:
            return Answer(answer.status, json.loads(text))
        except ValueError:
            return Answer(answer.status, {"message": text})

    def must(
        self, method: str, path: str, body: Object | None = None, kind: str = "application/json"
    ) -> Object:
        """The object that it answers with; ServerError where it refuses."""
        return self._taken(self.ask(method, path, body, kind), method, path)

    def _taken(self, answer: Answer, method: str, path: str) -> Object:
        if not answer.ok:
            raise ServerError(f"{method} {path}: {answer.code} {answer.body.get('message')}")
        return answer.body

    def get(self, path: str) -> Object:
        return self.must("GET", path)

    def find(self, path: str) -> Object | None:
        """The object, or None where there is none."""
        answer = self.ask("GET", path)
        return None if answer.code == _NOT_FOUND else self._taken(answer, "GET", path)

    def items(self, path: str) -> list[Object]:
        found: list[Object] = self.get(path)["items"]
        return found

    def create(self, path: str, body: Object) -> Object:
        """`path` is the collection's."""
        return self.must("POST", path, body)

    def replace(self, path: str, body: Object) -> Object:
        return self.must("PUT", path, body)

    def merge(self, path: str, changes: Object) -> Object:
        """Change these fields; lists are replaced."""
        return self.must("PATCH", path, changes, "application/merge-patch+json")

    def delete(self, path: str, **options: Any) -> Object:
        """`options` are those of DeleteOptions, such as gracePeriodSeconds."""
        return self.must("DELETE", path, options)
