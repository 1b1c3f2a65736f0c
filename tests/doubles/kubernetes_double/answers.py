"""What the server says: objects, and `Status` objects in the words of the real one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .schema import Cause

Document = dict[str, Any]

GROUP = "pingcap.com"
VERSION = f"{GROUP}/v1alpha1"
BACKUPS = f"backups.{GROUP}"


@dataclass(frozen=True)
class Answer:
    """Status, body and headers of one answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def document(status: int, content: Document, headers: Mapping[str, str] | None = None) -> Answer:
    told = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
    return Answer(status, json.dumps(content).encode() + b"\n", told | dict(headers or {}))


def text(status: int, content: str, kind: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, content.encode(), {"Content-Type": kind} | dict(headers or {}))


class Refusal(Exception):  # noqa: N818 - what a client is refused is no error of the server
    """A request that is not granted; `answer` is what its client gets."""

    def __init__(
        self, code: int, reason: str, message: str, details: Document | None = None
    ) -> None:
        super().__init__(message)
        content: Document = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "code": code,
        }
        if reason:
            content["reason"] = reason
        if details is not None:
            content["details"] = details
        headers = {}
        if details and "retryAfterSeconds" in details:
            headers["Retry-After"] = str(details["retryAfterSeconds"])
        self.code = code
        self.answer = document(code, content, headers)


def _resource(resource: str, name: str | None) -> Document:
    """The `details` that say which object or kind of objects is meant."""
    group = {"group": GROUP} if resource.startswith("backups") else {}
    return ({"name": name} if name else {}) | group | {"kind": resource.split("/", maxsplit=1)[0]}


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def unauthorized() -> Refusal:
    return Refusal(401, "Unauthorized", "Unauthorized")


def forbidden(user: str, verb: str, resource: str, namespace: str, name: str | None) -> Refusal:
    """RBAC has no rule for it."""
    group = GROUP if resource.startswith("backups") else ""
    plural = resource.split("/", maxsplit=1)[0] + (f".{group}" if group else "")
    what = f'{plural} "{name}"' if name else plural
    message = (
        f'{what} is forbidden: User "{user}" cannot {verb} resource "{resource}" '
        f'in API group "{group}" in the namespace "{namespace}"'
    )
    return Refusal(403, "Forbidden", message, _resource(resource, name))


def forbidden_path(user: str, verb: str, path: str) -> Refusal:
    message = f'forbidden: User "{user}" cannot {verb} path "{path}"'
    return Refusal(403, "Forbidden", message, {})


def not_found(name: str) -> Refusal:
    return Refusal(404, "NotFound", f'{BACKUPS} "{name}" not found', _resource("backups", name))


def conflict(name: str, why: str = "") -> Refusal:
    """An update that cannot be made; without `why`, because its version is no longer the last."""
    why = why or (
        "the object has been modified; please apply your changes to the latest version "
        "and try again"
    )
    message = f'Operation cannot be fulfilled on {BACKUPS} "{name}": {why}'
    return Refusal(409, "Conflict", message, _resource("backups", name))


def other_uid(namespace: str, name: str, asked: str, found: str) -> Refusal:
    """An update of an object that is gone, or that another has taken the place of."""
    return conflict(
        name,
        f"StorageError: invalid object, Code: 4, Key: /registry/{GROUP}/backups/{namespace}/{name},"
        " ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
        f"UID in precondition: {asked}, UID in object meta: {found}",
    )


def already_exists(name: str) -> Refusal:
    message = f'events "{name}" already exists'
    return Refusal(409, "AlreadyExists", message, {"name": name, "kind": "events"})


def invalid(kind: str, name: str, causes: Sequence[Cause]) -> Refusal:
    """An object that is understood, and not valid."""
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    plain = kind.split(".", maxsplit=1)[0]
    details: Document = ({"name": name} if name else {}) | {"kind": plain}
    if "." in kind:
        details["group"] = GROUP
    details["causes"] = [
        {"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes
    ]
    return Refusal(422, "Invalid", f'{kind} "{name}" is invalid: {listed}', details)
