"""What a POST of an Event does."""

import uuid
from typing import Any

from .client import Client, Document, Fact, assert_status, events_of


def event(namespace: str, name: str, **fields: Any) -> Document:
    """One that is valid, about a Backup."""
    involved = {"apiVersion": "pingcap.com/v1alpha1", "kind": "Backup", "name": name}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{name}."},
        "involvedObject": involved | {"namespace": namespace},
        "reason": "Started",
        "message": "the backup has started",
        "type": "Normal",
        "source": {"component": "backup-manager"},
        "firstTimestamp": "2026-11-23T09:00:00Z",
        "lastTimestamp": "2026-11-23T09:00:00Z",
        "count": 1,
    } | fields


def events_are_created(client: Client, namespace: str, name: str) -> None:
    where = events_of(namespace)
    given = event(namespace, name)
    first, second = client.call("POST", where, given), client.call("POST", where, given)
    for reply in (first, second):
        assert 201 == reply.status, reply
        assert reply.document["metadata"]["name"].startswith(f"{name}.")
        assert given["involvedObject"] == reply.document["involvedObject"]
        assert (given["reason"], 1) == (reply.document["reason"], reply.document["count"])
    assert first.document["metadata"]["name"] != second.document["metadata"]["name"]
    named = event(namespace, name, metadata={"name": f"{name}.{uuid.uuid4().hex}"})
    # A dry run leaves the name free.
    assert 201 == client.call("POST", f"{where}?dryRun=All", named).status
    assert 201 == client.call("POST", where, named).status
    again = client.call("POST", where, named)
    message = f'events "{named["metadata"]["name"]}" already exists'
    assert_status(again, 409, "AlreadyExists", message)


def an_events_times_are_whole_seconds(client: Client, namespace: str, name: str) -> None:
    times = {
        "firstTimestamp": "2026-11-23T09:00:00.999Z",
        "lastTimestamp": "2026-11-23T09:00:00+02:00",
        "eventTime": "2026-11-23T09:00:00.123456Z",
    }
    reporting = {"reportingComponent": "c", "reportingInstance": "i", "action": "a"}
    given = event(namespace, name, **times, **reporting)
    told = client.call("POST", events_of(namespace), given).document
    assert times | {
        "firstTimestamp": "2026-11-23T09:00:00Z",
        "lastTimestamp": "2026-11-23T07:00:00Z",
    } == {field: told[field] for field in times}


def wrong_events_are_refused(client: Client, namespace: str, name: str) -> None:
    involved = event(namespace, name)["involvedObject"]
    precise = {"eventTime": "2026-11-23T09:00:00.123456Z", "reportingComponent": "c"}
    elsewhere = ("involvedObject.namespace", "FieldValueInvalid")
    for fields, causes in (
        ({"metadata": {}}, {("metadata.name", "FieldValueRequired")}),
        ({"involvedObject": involved | {"namespace": "other"}}, {elsewhere}),
        ({"involvedObject": {}}, {elsewhere}),
        ({**precise, "reportingInstance": "i"}, {("action", "FieldValueRequired")}),
        ({**precise, "action": "a"}, {("reportingInstance", "FieldValueRequired")}),
    ):
        reply = client.call("POST", events_of(namespace), event(namespace, name, **fields))
        assert (422, "Invalid") == (reply.status, reply.document["reason"])
        assert causes == reply.causes
    undecodable: list[Document] = [
        {"count": "1"},
        {"count": 1.5},
        {"lastTimestamp": "yesterday"},
        {"eventTime": "2026-11-23T09:00:00Z"},
        {"reason": 1},
        {"involvedObject": "x"},
        {"metadata": {"name": "x", "namespace": "other"}},
    ]
    for fields in undecodable:
        reply = client.call("POST", events_of(namespace), event(namespace, name, **fields))
        assert (400, "BadRequest") == (reply.status, reply.document["reason"]), fields


FACTS: list[Fact] = [
    events_are_created,
    an_events_times_are_whole_seconds,
    wrong_events_are_refused,
]
