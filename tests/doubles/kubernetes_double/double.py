"""The API server as tests hold it: its objects, what it saw, and what it is to do wrong."""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.scoped import Scoped
from tests.servers.certificates import Certificates
from tests.servers.ports import free_port

from . import answers
from .access import Access, TokenFiles
from .admission import decoded
from .answers import VERSION, Answer, Document, Refusal
from .routing import Target, target_of
from .schema import Cause
from .server import Incoming, Listener
from .store import Store, Writer
from .troubles import Troubles, failing


@dataclass(frozen=True)
class Seen:
    """One request; `status` is None where no answer was sent, `at` is time.monotonic()."""

    method: str
    path: str
    status: int | None
    at: float
    body: Any


class KubernetesDouble(Scoped):
    """Serves one namespace to one ServiceAccount; README.md says what of a real one it has."""

    def __init__(
        self,
        directory: Path,
        *,
        namespace: str = "tidb-cluster",
        account: str = "tidb-backup-manager",
    ) -> None:
        self.namespace = namespace
        self.port = free_port()
        self.server = f"https://127.0.0.1:{self.port}"
        certificates = Certificates.create(directory / "certificates")
        self.ca_file = certificates.ca_file
        self._access = Access(namespace, account)
        self._files = TokenFiles()
        self._store = Store()
        self._troubles = Troubles()
        self._lock = threading.Lock()
        self._seen: list[Seen] = []
        self._slips: list[Exception] = []
        pair = (certificates.certificate, certificates.key)
        self._listener = Listener(self.port, *pair, self._respond)

    def start(self) -> None:
        self._listener.open()

    def stop(self) -> None:
        self._listener.close()
        self._troubles.speak()
        if self._slips:
            raise AssertionError("the double, or a test's writer, is wrong") from self._slips[0]

    # Objects

    def create(self, backup: Document, *, checked: bool = True) -> Document:
        """Put an object there; not `checked`: though its schema refuses it now."""
        return self._store.create(backup, checked=checked)

    def backup(self, name: str) -> Document:
        """The object as it is now; a KeyError where there is none."""
        try:
            return self._store.get(self.namespace, name)
        except Refusal as refusal:
            raise KeyError(name) from refusal

    def history(self, name: str) -> list[Document]:
        """All states of an object, from the first to the last; also of one that is gone."""
        return self._store.history(self.namespace, name)

    @property
    def events(self) -> list[Document]:
        return self._store.events()

    def write(self, name: str, function: Writer) -> None:
        """Change an object now, as another writer would: the function works in place."""
        self._store.write(self.namespace, name, function)

    def delete(self, name: str) -> None:
        """As `kubectl delete`: finalizers keep it, with a deletionTimestamp."""
        self._store.delete(self.namespace, name)

    def remove(self, name: str) -> None:
        """Gone at once, whatever its finalizers."""
        self._store.remove(self.namespace, name)

    # What a client needs

    @property
    def token(self) -> str:
        """The one that is valid."""
        return self._access.token

    @property
    def user(self) -> str:
        return self._access.user

    @property
    def environment(self) -> dict[str, str]:
        """What a Pod's environment says of the server."""
        return {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.port),
        }

    def kubeconfig(self, path: Path, namespace: str | None = None) -> None:
        """Write one whose user has a tokenFile, which rotations reach."""
        self._files.kubeconfig(
            path,
            server=self.server,
            ca_file=self.ca_file,
            namespace=namespace or self.namespace,
            token=self.token,
        )

    def service_account(self, directory: Path) -> None:
        """Write token, ca.crt and namespace as a kubelet does, with its links."""
        self._files.service_account(
            directory, ca_file=self.ca_file, namespace=self.namespace, token=self.token
        )

    def rotate(self, *, write: bool = True) -> None:
        """The old token is invalid from now on; not `write`: the files still hold it."""
        self._access.rotate()
        if write:
            self.write_tokens()

    def write_tokens(self) -> None:
        """Put the valid token into all files that were written."""
        self._files.write(self.token)

    # Misbehaviour

    @property
    def counts(self) -> Counter[str]:
        """How often each happened: conflict, writer, failed, lost, silent."""
        return Counter(self._troubles.counts)

    def conflict_next(self, times: int = 1) -> None:
        """Before each of the next PUTs another writer changes the object's annotation WRITTEN."""
        self._troubles.conflict_next(times)

    def writer(self, function: Writer | None) -> None:
        """Apply this to the object before each PUT of it is looked at; None: no more."""
        self._troubles.write(function)

    def fail_next(
        self, status: int, times: int = 1, *, method: str | None = None, retry_after: int = 1
    ) -> None:
        """Answer so, and do nothing. Other than 429, 500, 503 and 504 are a proxy's HTML."""
        self._troubles.fail_next(status, times, method=method, retry_after=retry_after)

    def lose_next(self, times: int = 1, *, method: str | None = "PUT") -> None:
        """Do what is asked, and close the connection in place of the answer."""
        self._troubles.lose_next(times, method=method)

    def away(self, *, closing: bool = False) -> None:
        """Refuse connections; `closing`: accept and close them at once."""
        self._listener.close()
        if closing:
            self._listener.open(closing=True)

    def silent(self) -> None:
        """Accept connections and requests, and never answer."""
        self._troubles.silence()

    def back(self) -> None:
        """No longer away or silent; who waits for an answer is left without one."""
        self._listener.close()
        self._troubles.speak()
        self._listener.open()

    def forbid(self, verb: str, resource: str) -> None:
        """Take this from the role: `forbid("update", "backups")`."""
        self._access.forbid(verb, resource)

    def allow(self, verb: str, resource: str) -> None:
        """Give back what was forbidden."""
        self._access.allow(verb, resource)

    # What it saw

    @property
    def requests(self) -> list[Seen]:
        with self._lock:
            return list(self._seen)

    def _respond(self, incoming: Incoming) -> Answer | None:
        at = time.monotonic()
        answer = None
        try:
            if not self._troubles.silent():
                answer = self._answer(incoming)
        finally:
            # Before the client has the answer: it may be asked what it saw at once.
            status = answer.status if answer else None
            seen = Seen(incoming.method, incoming.target, status, at, _shown(incoming.body))
            with self._lock:
                self._seen.append(seen)
        return answer

    def _answer(self, incoming: Incoming) -> Answer | None:
        failure = self._troubles.failure(incoming.method)
        if failure and failure.answer:
            return failure.answer
        try:
            answer = self._served(incoming)
        except Refusal as refusal:
            answer = refusal.answer
        except Exception as error:  # noqa: BLE001 - a test must not take it for the server's answer
            self._slips.append(error)
            answer = failing(500, 1)
        return None if failure else answer

    def _served(self, incoming: Incoming) -> Answer:
        target = target_of(incoming.method, incoming.target)
        user = self._access.user_of(incoming.headers.get("authorization"))
        if not target.resource:
            raise answers.forbidden_path(user, target.verb, target.path)
        self._access.check(user, target.verb, target.resource, target.namespace, target.name)
        if target.verb == "get" and target.name:
            return answers.document(200, self._store.get(target.namespace, target.name))
        if target.verb == "list":
            return answers.document(200, self._store.all_of(target.namespace))
        if target.verb == "watch":
            raise Refusal(501, "", "the double has no watch")
        return self._written(target, incoming)

    def _written(self, target: Target, incoming: Incoming) -> Answer:
        """A PUT of a Backup, or a POST of an Event."""
        kind = incoming.headers.get("content-type", "application/json")
        if kind.split(";")[0] != "application/json":
            raise Refusal(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: "
                "application/json, application/yaml, application/vnd.kubernetes.protobuf",
            )
        dry = bool(target.dry_run)
        if target.verb == "create":
            _check_dry_run("CreateOptions", target)
            event = decoded(incoming.body, "Event", "v1")
            return answers.document(201, self._store.create_event(target.namespace, event, dry=dry))
        _check_dry_run("UpdateOptions", target)
        assert target.name is not None
        self._troubles.before_put(self._store, target.namespace, target.name)
        backup = decoded(incoming.body, "Backup", VERSION)
        stored, unknown = self._store.put(
            target.namespace, target.name, backup, dry=dry, strict=target.strict
        )
        warnings = ", ".join(f'299 - "unknown field \\"{each}\\""' for each in unknown)
        return answers.document(200, stored, {"Warning": warnings} if warnings else None)


def _check_dry_run(kind: str, target: Target) -> None:
    if set(target.dry_run) <= {"All"}:
        return
    told = ", ".join(f'"{each}"' for each in target.dry_run)
    message = f'Unsupported value: []string{{{told}}}: supported values: "All"'
    causes = [Cause("dryRun", "FieldValueNotSupported", message)]
    raise answers.invalid(f"{kind}.meta.k8s.io", "", causes)


def _shown(body: bytes) -> Any:
    """A body as JSON where it is that, else as bytes; None where there is none."""
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body
