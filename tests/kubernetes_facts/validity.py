"""Which bodies are refused, and what is made of the others."""

import copy

from .client import Client, Document, Fact, changed, path_of


def the_path_and_the_object_agree(client: Client, namespace: str, name: str) -> None:
    backup = client.get(namespace, name)
    path = path_of(namespace, name)
    for field, value in (("name", "other"), ("namespace", "other")):
        body = backup | {"metadata": backup["metadata"] | {field: value}}
        reply = client.call("PUT", path, body)
        assert (400, "BadRequest") == (reply.status, reply.document["reason"])
    for spoiled in (backup | {"apiVersion": "v1"}, backup | {"kind": ""}):
        assert 400 == client.call("PUT", path, spoiled).status
    assert 422 == client.call("PUT", path, backup | {"kind": "Restore"}).status


def what_is_no_json_object_is_refused(client: Client, namespace: str, name: str) -> None:
    path = path_of(namespace, name)
    for body in (b"", b"{", b"[]", b"\xff"):
        reply = client.call("PUT", path, body)
        assert (400, "BadRequest") == (reply.status, reply.document["reason"])
    backup = client.get(namespace, name)
    backup["status"]["progresses"] = [{"step": "dump", "progress": float("nan")}]
    assert 400 == client.put(backup).status
    for content_type, status in (("text/plain", 415), ("application/json; charset=utf-8", 400)):
        assert status == client.call("PUT", path, b"{", content_type=content_type).status


WRONG: list[tuple[Document, set[tuple[str, str]]]] = [
    ({"phase": 1}, {("status.phase", "FieldValueTypeInvalid")}),
    ({"commitTs": 1}, {("status.commitTs", "FieldValueTypeInvalid")}),
    ({"conditions": {}}, {("status.conditions", "FieldValueTypeInvalid")}),
    ({"conditions": [1]}, {("status.conditions[0]", "FieldValueTypeInvalid")}),
    ({"conditions": [None]}, {("status.conditions[0]", "FieldValueTypeInvalid")}),
    ({"conditions": [{"type": "x"}]}, {("status.conditions[0].status", "FieldValueRequired")}),
    (
        {"conditions": [{"type": None, "status": True}]},
        {
            ("status.conditions[0].type", "FieldValueRequired"),
            ("status.conditions[0].status", "FieldValueTypeInvalid"),
        },
    ),
    ({"backupSize": "1"}, {("status.backupSize", "FieldValueTypeInvalid")}),
    ({"backupSize": 1.5}, {("status.backupSize", "FieldValueTypeInvalid")}),
    ({"backupSize": 2**63}, {("status.backupSize", "FieldValueTypeInvalid")}),
    ({"backupSize": True}, {("status.backupSize", "FieldValueTypeInvalid")}),
    (
        {"progresses": [{"progress": "1"}]},
        {("status.progresses[0].progress", "FieldValueTypeInvalid")},
    ),
    *(
        ({"timeStarted": time}, {("status.timeStarted", "FieldValueTypeInvalid")})
        for time in ("", "yesterday", "2026-11-23T09:00:00", "2026-11-23 09:00:00Z", 1)
    ),
    (
        {"timeCompleted": "2026-02-30T09:00:00Z"},
        {("status.timeCompleted", "FieldValueTypeInvalid")},
    ),
]


def wrong_types_are_invalid(client: Client, namespace: str, name: str) -> None:
    before = client.get(namespace, name)
    for status, causes in WRONG:
        backup = copy.deepcopy(before)
        backup["status"] |= status
        reply = client.put(backup)
        assert (422, "Invalid") == (reply.status, reply.document["reason"]), status
        assert causes == reply.causes
    for field in ("status", "spec"):
        assert {(field, "FieldValueTypeInvalid")} == client.put(before | {field: "x"}).causes
    without = {key: value for key, value in before.items() if key != "spec"}
    assert {("spec", "FieldValueRequired")} == client.put(without).causes
    bare = before | {"spec": before["spec"] | {"s3": {}, "cleanPolicy": "Never"}}
    assert {
        ("spec.s3.provider", "FieldValueRequired"),
        ("spec.cleanPolicy", "FieldValueNotSupported"),
    } == client.put(bare).causes
    assert before == client.get(namespace, name)


def an_invalid_type_is_told_as_the_schema_does(client: Client, namespace: str, name: str) -> None:
    reply = changed(client, namespace, name, lambda backup: backup["status"].update(phase=1))
    told = 'Invalid value: "integer": status.phase in body must be of type string: "integer"'
    start = f'Backup.pingcap.com "{name}" is invalid: [status.phase: {told}, <nil>: '
    assert reply.document["message"].startswith(start)
    assert "Backup" == reply.document["details"]["kind"]


def nulls_and_times_are_kept_or_dropped(client: Client, namespace: str, name: str) -> None:
    kept: Document = {
        "conditions": None,
        "progresses": [{"step": "dump", "progress": 1.5, "lastTransitionTime": None}],
        "timeStarted": None,
        "timeCompleted": "2026-11-23T09:00:00.5+02:00",
        "backupSize": 2**40,
    }
    dropped = {"phase": None, "backupSizeReadable": None}
    reply = changed(
        client,
        namespace,
        name,
        lambda backup: backup.update(status=kept | dropped),
        "?dryRun=All",
    )
    assert 200 == reply.status, reply
    assert kept == reply.document["status"]


def unknown_fields_are_pruned(client: Client, namespace: str, name: str) -> None:
    before = client.get(namespace, name)

    def add(backup: Document) -> None:
        backup["extra"] = 1
        backup["spec"]["from"]["extra"] = 1
        backup["status"]["extra"] = 1
        backup["status"].setdefault("progresses", []).append({"step": "x", "extra": 1})

    reply = changed(client, namespace, name, add)
    progresses = [*before["status"].get("progresses", []), {"step": "x"}]
    after = client.get(namespace, name)
    assert before["status"] | {"progresses": progresses} == after["status"]
    assert before["spec"] == after["spec"]
    assert "extra" not in after
    number = len(progresses) - 1
    for field in ("extra", "spec.from.extra", "status.extra", f"status.progresses[{number}].extra"):
        assert f'299 - "unknown field \\"{field}\\""' in reply.headers["Warning"]
    strict = changed(client, namespace, name, add, "?fieldValidation=Strict")
    assert (400, "BadRequest") == (strict.status, strict.document["reason"])
    assert 'unknown field "status.extra"' in strict.document["message"]


FACTS: list[Fact] = [
    the_path_and_the_object_agree,
    what_is_no_json_object_is_refused,
    wrong_types_are_invalid,
    an_invalid_type_is_told_as_the_schema_does,
    nulls_and_times_are_kept_or_dropped,
    unknown_fields_are_pruned,
]
