"""What becomes of an object before it is stored: decoding, pruning, and the rules against it."""

import json
import re
from typing import Any

from . import answers
from .answers import Document
from .crd import BACKUP
from .schema import Cause, is_time, pruned

# The real one adds this to every other error of a CRD that has validation rules, as Backup's has.
RULES_UNCHECKED = Cause(
    "<nil>",
    "FieldValueInvalid",
    'Invalid value: "null": some validation rules were not checked because the object was invalid; '
    "correct the existing errors to complete validation",
)
NO_VERSION = Cause(
    "metadata.resourceVersion",
    "FieldValueInvalid",
    "Invalid value: 0x0: must be specified for an update",
)
_INT32 = range(-(2**31), 2**31)
_MICROSECONDS = re.compile(r".{19}\.\d{6}\D.*")


def decoded(body: bytes, kind: str, version: str) -> Document:
    """A request's body as an object of this kind; an Event's own word for its kind may miss."""
    try:
        content = json.loads(body, parse_constant=_no_number)
    except ValueError as error:
        told = f"couldn't get version/kind; json parse error: {error}"
        raise _unrecognized(kind, told) from None
    if not isinstance(content, dict):
        raise _unrecognized(kind, "couldn't get version/kind; json parse error: no object")
    if not content.get("kind") and kind != "Event":
        raise _unrecognized(kind, f"Object 'Kind' is missing in '{body.decode()}'")
    found = content.get("apiVersion") or version
    if found != version:
        raise answers.bad_request(
            f"the API version in the data ({found}) does not match the expected API version "
            f"({version})"
        )
    if not isinstance(content.setdefault("metadata", {}), dict):
        raise cannot_be_handled(kind, version, "json: cannot unmarshal metadata")
    return content


def _no_number(literal: str) -> float:
    raise ValueError(f"invalid character '{literal[0]}' looking for beginning of value")


def _unrecognized(kind: str, why: str) -> answers.Refusal:
    return answers.bad_request(
        f"the object provided is unrecognized (must be of type {kind}): {why}"
    )


def cannot_be_handled(kind: str, version: str, why: str) -> answers.Refusal:
    plain = version.rsplit("/", maxsplit=1)[-1]
    return answers.bad_request(f'{kind} in version "{plain}" cannot be handled as a {kind}: {why}')


def check_place(metadata: Document, namespace: str, name: str | None) -> None:
    """An object must say of itself what the path says of it."""
    if name is not None and metadata.get("name") != name:
        raise answers.bad_request(
            f"the name of the object ({metadata.get('name', '')}) does not match the name on the "
            f"URL ({name})"
        )
    if (metadata.get("namespace") or namespace) != namespace:
        raise answers.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def admitted(given: Document) -> tuple[Document, list[str]]:
    """A Backup without the fields that its schema does not know, and their paths; with defaults."""
    unknown: list[str] = []
    kept: Document = pruned(given, BACKUP, "", unknown)
    return kept, sorted(unknown)


def against_deletion(asked: Document, present: Document) -> list[Cause]:
    """What an update may not change about an object's deletion."""
    told, found = asked["metadata"], present["metadata"]
    field = "metadata.deletionTimestamp"
    if told.get("deletionTimestamp") not in {None, found.get("deletionTimestamp")}:
        message = f"Invalid value: {told['deletionTimestamp']}: field is immutable"
        return [Cause(field, "FieldValueInvalid", message)]
    new = [
        each for each in told.get("finalizers") or [] if each not in (found.get("finalizers") or [])
    ]
    if "deletionTimestamp" in found and new:
        named = ", ".join(f'"{each}"' for each in new)
        message = (
            "Forbidden: no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{named}}}"
        )
        return [Cause("metadata.finalizers", "FieldValueForbidden", message)]
    return []


def check_event_types(event: Document) -> None:
    """An Event is a type of the server's own: what does not fit it cannot even be decoded."""
    kinds: dict[str, type] = {
        "involvedObject": dict, "source": dict, "reason": str, "message": str, "type": str,
        "action": str, "reportingComponent": str, "reportingInstance": str,
    }  # fmt: skip
    for field, kind in kinds.items():
        if not isinstance(event.get(field), kind | None):
            raise _event_cannot("json: cannot unmarshal into Go struct field Event." + field)
    count = event.get("count", 1)
    if type(count) is not int or count not in _INT32:
        raise _event_cannot("json: cannot unmarshal into Go struct field Event.count of type int32")
    for field in ("firstTimestamp", "lastTimestamp", "eventTime"):
        told: Any = event.get(field)
        if told is not None and not (isinstance(told, str) and is_time(told)):
            raise _event_cannot(f'parsing time "{told}" as "2006-01-02T15:04:05Z07:00"')
    precise = event.get("eventTime")
    if precise is not None and not _MICROSECONDS.fullmatch(precise):
        raise _event_cannot(f'parsing time "{precise}" as "2006-01-02T15:04:05.000000Z07:00"')


def _event_cannot(why: str) -> answers.Refusal:
    return cannot_be_handled("Event", "v1", why)


def against_event(event: Document, namespace: str) -> list[Cause]:
    """What is missing in an Event, or wrong."""
    if not event["metadata"].get("name"):
        message = "Required value: name or generateName is required"
        return [Cause("metadata.name", "FieldValueRequired", message)]
    involved = (event.get("involvedObject") or {}).get("namespace", "")
    if involved != namespace:
        message = f'Invalid value: "{involved}": does not match event.namespace'
        return [Cause("involvedObject.namespace", "FieldValueInvalid", message)]
    if event.get("eventTime") is None:
        return []
    needed = {
        "reportingComponent": "reportingController", "reportingInstance": "reportingInstance",
        "action": "action", "reason": "reason",
    }  # fmt: skip
    return [
        Cause(named, "FieldValueRequired", "Required value")
        for field, named in needed.items()
        if not event.get(field)
    ]
