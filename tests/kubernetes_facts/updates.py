"""What a PUT of a Backup does."""

import uuid

from .client import Client, Document, Fact, Reply, assert_status, changed, path_of

OTHER_UID = "11111111-2222-3333-4444-555555555555"
MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def an_update_gives_a_new_version(client: Client, namespace: str, name: str) -> None:
    before = client.get(namespace, name)
    phase = "Prepare" if before["status"].get("phase") != "Prepare" else "Running"
    reply = changed(client, namespace, name, lambda backup: backup["status"].update(phase=phase))
    after = client.get(namespace, name)
    assert 200 == reply.status
    assert reply.document == after
    assert phase == after["status"]["phase"]
    assert before["metadata"]["resourceVersion"] != after["metadata"]["resourceVersion"]
    # There is no status subresource, so that a change of the status counts.
    assert before["metadata"]["generation"] + 1 == after["metadata"]["generation"]


def an_update_of_nothing_keeps_the_version(client: Client, namespace: str, name: str) -> None:
    before = client.get(namespace, name)
    reply = client.put(before)
    assert 200 == reply.status
    assert before == reply.document
    assert before == client.get(namespace, name)


def the_server_keeps_its_metadata(client: Client, namespace: str, name: str) -> None:
    before = client.get(namespace, name)["metadata"]

    def forget(backup: Document) -> None:
        for field in ("uid", "creationTimestamp", "generation", "managedFields"):
            del backup["metadata"][field]

    def invent(backup: Document) -> None:
        backup["metadata"] |= {"creationTimestamp": "2020-01-01T00:00:00Z", "generation": 99}

    for change in (forget, invent):
        assert 200 == changed(client, namespace, name, change).status
        assert before == client.get(namespace, name)["metadata"]


def labels_and_annotations_are_the_clients(client: Client, namespace: str, name: str) -> None:
    value = uuid.uuid4().hex

    def annotate(backup: Document) -> None:
        backup["metadata"].setdefault("annotations", {})["example.com/a"] = value

    assert 200 == changed(client, namespace, name, annotate).status
    assert value == client.get(namespace, name)["metadata"]["annotations"]["example.com/a"]
    reply = changed(client, namespace, name, lambda backup: backup["metadata"].pop("annotations"))
    assert 200 == reply.status
    assert "annotations" not in client.get(namespace, name)["metadata"]


def a_stale_version_is_a_conflict(client: Client, namespace: str, name: str) -> None:
    stale = client.get(namespace, name)
    an_update_gives_a_new_version(client, namespace, name)
    before = client.get(namespace, name)
    reply = client.put(stale)
    message = f'Operation cannot be fulfilled on backups.pingcap.com "{name}": {MODIFIED}'
    assert_status(reply, 409, "Conflict", message)
    assert {"name": name, "group": "pingcap.com", "kind": "backups"} == reply.document["details"]
    assert before == client.get(namespace, name)


def staleness_comes_before_validity(client: Client, namespace: str, name: str) -> None:
    def spoil(backup: Document) -> None:
        backup["metadata"]["resourceVersion"] = "1"
        backup["status"]["phase"] = 1

    assert 409 == changed(client, namespace, name, spoil).status


def without_version_is_invalid(client: Client, namespace: str, name: str) -> None:
    for version in (None, "", "0"):

        def forget(backup: Document, version: str | None = version) -> None:
            backup["metadata"]["resourceVersion"] = version

        reply = changed(client, namespace, name, forget)
        assert_status(
            reply,
            422,
            "Invalid",
            f'backups.pingcap.com "{name}" is invalid: metadata.resourceVersion: '
            "Invalid value: 0x0: must be specified for an update",
        )
        assert {("metadata.resourceVersion", "FieldValueInvalid")} == reply.causes


def another_uid_is_a_conflict(client: Client, namespace: str, name: str) -> None:
    reply = changed(
        client, namespace, name, lambda backup: backup["metadata"].update(uid=OTHER_UID)
    )
    uid = client.get(namespace, name)["metadata"]["uid"]
    assert (409, "Conflict") == (reply.status, reply.document["reason"])
    told = f"UID in precondition: {OTHER_UID}, UID in object meta: {uid}"
    assert reply.document["message"].endswith(told)


def an_unknown_name_is_not_found(client: Client, namespace: str, name: str) -> None:
    gone = f"{name}-gone"
    message = f'backups.pingcap.com "{gone}" not found'
    assert_status(client.call("GET", path_of(namespace, gone)), 404, "NotFound", message)
    backup = client.get(namespace, name)
    backup["metadata"]["name"] = gone
    # One who knows its UID hears of a conflict: only a GET tells that it is gone.
    reply = client.put(backup)
    assert (409, "Conflict") == (reply.status, reply.document["reason"])
    assert reply.document["message"].endswith("UID in object meta: ")
    del backup["metadata"]["uid"]
    assert_status(client.put(backup), 404, "NotFound", message)


def a_dry_run_changes_nothing(client: Client, namespace: str, name: str) -> None:
    before = client.get(namespace, name)

    def run(phase: object, query: str = "?dryRun=All") -> Reply:
        return changed(
            client, namespace, name, lambda backup: backup["status"].update(phase=phase), query
        )

    reply = run("Dry")
    assert (200, "Dry") == (reply.status, reply.document["status"]["phase"])
    assert 422 == run(1).status
    assert {("dryRun", "FieldValueNotSupported")} == run("Dry", "?dryRun=Yes").causes
    assert before == client.get(namespace, name)


def a_deletion_is_not_set_by_an_update(client: Client, namespace: str, name: str) -> None:
    reply = changed(
        client,
        namespace,
        name,
        lambda backup: backup["metadata"].update(deletionTimestamp="2026-11-23T09:00:00Z"),
    )
    assert {("metadata.deletionTimestamp", "FieldValueInvalid")} == reply.causes


FACTS: list[Fact] = [
    an_update_gives_a_new_version,
    an_update_of_nothing_keeps_the_version,
    the_server_keeps_its_metadata,
    labels_and_annotations_are_the_clients,
    a_stale_version_is_a_conflict,
    staleness_comes_before_validity,
    without_version_is_invalid,
    another_uid_is_a_conflict,
    an_unknown_name_is_not_found,
    a_dry_run_changes_nothing,
    a_deletion_is_not_set_by_an_update,
]
