"""The objects in memory, and the rules by which clients may change them."""

import copy
import itertools
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from . import answers
from .admission import (
    NO_VERSION,
    RULES_UNCHECKED,
    admitted,
    against_deletion,
    against_event,
    cannot_be_handled,
    check_event_types,
    check_place,
)
from .answers import VERSION, Document
from .crd import BACKUP, OWNED_BY_CLIENTS
from .schema import Cause, wrong

Key = tuple[str, str]
Writer = Callable[[Document], object]


def now() -> str:
    return _told(datetime.now(UTC))


def _whole_seconds(time: str) -> str:
    """A time as the server's own types keep it."""
    return _told(datetime.fromisoformat(time.upper()))


def _told(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """Backups, each with all its states, and events."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._backups: dict[Key, Document] = {}
        self._histories: dict[Key, list[Document]] = {}
        self._events: dict[Key, Document] = {}
        self._versions = itertools.count(1001)

    def create(self, given: Document, *, checked: bool = True) -> Document:
        """As `kubectl apply` and the operator make an object.

        Not `checked`: as it may stand there from the time of an older schema.
        """
        backup = copy.deepcopy(given)
        if checked:
            backup, unknown = admitted(given)
            _check_by_test(backup, unknown)
        metadata = backup["metadata"]
        key = (metadata["namespace"], metadata["name"])
        with self._lock:
            assert key not in self._backups, f"there is a {key} already"
            metadata.setdefault("uid", str(uuid.uuid4()))
            metadata.setdefault("creationTimestamp", now())
            metadata |= {"generation": 1, "managedFields": [_managed()]}
            return self._stored(key, backup)

    def get(self, namespace: str, name: str) -> Document:
        with self._lock:
            return copy.deepcopy(self._found((namespace, name)))

    def all_of(self, namespace: str) -> Document:
        """The list of a namespace's Backups."""
        with self._lock:
            items = [each for key, each in sorted(self._backups.items()) if key[0] == namespace]
            versions = [int(each["metadata"]["resourceVersion"]) for each in items]
            metadata = {"resourceVersion": str(max(versions, default=1)), "continue": ""}
            made = {"apiVersion": VERSION, "kind": "BackupList", "metadata": metadata}
            return copy.deepcopy(made | {"items": items})

    def history(self, namespace: str, name: str) -> list[Document]:
        with self._lock:
            return copy.deepcopy(self._histories.get((namespace, name), []))

    def events(self) -> list[Document]:
        with self._lock:
            return copy.deepcopy(list(self._events.values()))

    def put(
        self, namespace: str, name: str, given: Document, *, dry: bool, strict: bool
    ) -> tuple[Document, list[str]]:
        """Update an object as a client asks; also the paths of the fields that nobody knows."""
        check_place(given["metadata"], namespace, name)
        asked, unknown = admitted(given)
        if strict and unknown:
            fields = ", ".join(f'unknown field "{each}"' for each in unknown)
            raise cannot_be_handled("Backup", VERSION, f"strict decoding error: {fields}")
        with self._lock:
            self._check_update((namespace, name), asked)
            return self._replaced((namespace, name), asked, dry=dry), unknown

    def _check_update(self, key: Key, asked: Document) -> None:
        """Refuse what may not take the present object's place, in the real one's order."""
        namespace, name = key
        told = asked["metadata"]
        present = self._backups.get(key)
        found = present["metadata"]["uid"] if present else ""
        if told.get("uid") and told["uid"] != found:
            raise answers.other_uid(namespace, name, told["uid"], found)
        if present is None:
            raise answers.not_found(name)
        if told.get("resourceVersion", "") in {"", "0"}:
            raise answers.invalid(answers.BACKUPS, name, [NO_VERSION])
        if told["resourceVersion"] != present["metadata"]["resourceVersion"]:
            raise answers.conflict(name)
        if (kind := asked["kind"]) != "Backup":
            cause = Cause("kind", "FieldValueInvalid", f'Invalid value: "{kind}": must be Backup')
            raise answers.invalid(f"{kind}.{answers.GROUP}", name, [cause])
        if causes := against_deletion(asked, present):
            raise answers.invalid(f"Backup.{answers.GROUP}", name, causes)
        if causes := list(wrong(asked, BACKUP, "")):
            raise answers.invalid(f"Backup.{answers.GROUP}", name, [*causes, RULES_UNCHECKED])

    def _replaced(self, key: Key, asked: Document, *, dry: bool) -> Document:
        """Take a valid object in place of the present one, with what the server owns of it."""
        present = self._backups[key]
        kept = {
            field: value
            for field, value in present["metadata"].items()
            if field not in OWNED_BY_CLIENTS
        }
        given = {
            field: asked["metadata"][field]
            for field in OWNED_BY_CLIENTS
            if asked["metadata"].get(field)
        }
        new = asked | {"apiVersion": VERSION, "metadata": kept | given}
        if new == present:
            return copy.deepcopy(present)
        # Without a status subresource a change of the status counts too.
        if _content(new) != _content(present):
            new["metadata"]["generation"] += 1
        if dry:
            return copy.deepcopy(new)
        stored = self._stored(key, new)
        if "deletionTimestamp" in kept and not given.get("finalizers"):
            del self._backups[key]
        return stored

    def write(self, namespace: str, name: str, function: Writer) -> None:
        """Another writer changes the object, by a function that works in place, if it is there."""
        key = (namespace, name)
        with self._lock:
            present = self._backups.get(key)
            if present is None:
                return
            changed = copy.deepcopy(present)
            function(changed)
            # It may have deleted the object, or made another of that name.
            if self._backups.get(key) is present:
                asked, unknown = admitted(changed)
                _check_by_test(asked, unknown)
                self._replaced(key, asked, dry=False)

    def delete(self, namespace: str, name: str) -> None:
        """As `kubectl delete`: with finalizers it is marked, and stays until they are gone."""
        key = (namespace, name)
        with self._lock:
            if not self._found(key)["metadata"].get("finalizers"):
                del self._backups[key]
                return
            marked = copy.deepcopy(self._backups[key])
            marked["metadata"] |= {"deletionTimestamp": now(), "deletionGracePeriodSeconds": 0}
            marked["metadata"]["generation"] += 1
            self._stored(key, marked)

    def remove(self, namespace: str, name: str) -> None:
        """Gone at once, whatever finalizers it has."""
        with self._lock:
            self._found((namespace, name))
            del self._backups[namespace, name]

    def create_event(self, namespace: str, given: Document, *, dry: bool) -> Document:
        check_event_types(given)
        metadata = given["metadata"]
        check_place(metadata, namespace, None)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = f"{metadata['generateName']}{uuid.uuid4().hex[:5]}"
        name = metadata.get("name") or ""
        if causes := against_event(given, namespace):
            raise answers.invalid("Event", name, causes)
        with self._lock:
            if (namespace, name) in self._events:
                raise answers.already_exists(name)
            metadata |= {"namespace": namespace, "uid": str(uuid.uuid4())}
            metadata["creationTimestamp"] = now()
            event = {"kind": "Event", "apiVersion": "v1", "eventTime": None} | given
            for field in ("firstTimestamp", "lastTimestamp"):
                if given.get(field):
                    event[field] = _whole_seconds(given[field])
            if not dry:
                metadata["resourceVersion"] = str(next(self._versions))
                self._events[namespace, name] = event
            return copy.deepcopy(event)

    def _found(self, key: Key) -> Document:
        try:
            return self._backups[key]
        except KeyError:
            raise answers.not_found(key[1]) from None

    def _stored(self, key: Key, backup: Document) -> Document:
        backup["metadata"]["resourceVersion"] = str(next(self._versions))
        self._backups[key] = backup
        self._histories.setdefault(key, []).append(copy.deepcopy(backup))
        return copy.deepcopy(backup)


def _content(backup: Document) -> Document:
    return {field: value for field, value in backup.items() if field != "metadata"}


def _managed() -> Document:
    """Who owns which fields; tests need no more than that it is there and stays."""
    return {
        "apiVersion": VERSION,
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {}, "f:status": {}},
        "manager": "kubectl-client-side-apply",
        "operation": "Update",
        "time": now(),
    }


def _check_by_test(backup: Document, unknown: list[str]) -> None:
    """A test that makes an invalid object would try what cannot happen."""
    assert not unknown, f"the schema does not know {unknown}"
    causes = list(wrong(backup, BACKUP, ""))
    assert not causes, causes
