"""Who may do what."""

from .client import Client, Fact, assert_status, path_of


def the_role_grants_no_more(client: Client, namespace: str, name: str) -> None:
    path = path_of(namespace, name)
    backup = client.get(namespace, name)
    group = 'in API group "pingcap.com" in the namespace'
    cases = [
        ("DELETE", path, "delete", "backups"),
        ("PATCH", path, "patch", "backups"),
        ("GET", f"{path}/status", "get", "backups/status"),
        ("PUT", f"{path}/status", "update", "backups/status"),
        ("PATCH", f"{path}/status", "patch", "backups/status"),
    ]
    for method, where, verb, resource in cases:
        body = backup if method == "PUT" else {"status": {}} if method == "PATCH" else None
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        message = (
            f'backups.pingcap.com "{name}" is forbidden: User "{client.user}" cannot {verb} '
            f'resource "{resource}" {group} "{namespace}"'
        )
        reply = client.call(method, where, body, content_type=kind)
        assert_status(reply, 403, "Forbidden", message)
        details = {"name": name, "group": "pingcap.com", "kind": "backups"}
        assert details == reply.document["details"]


def other_places_are_forbidden(client: Client, namespace: str, name: str) -> None:
    who = f'is forbidden: User "{client.user}" cannot'
    elsewhere = f"{namespace}-other"
    core = 'in API group "" in the namespace '
    group = 'in API group "pingcap.com" in the namespace '
    cases = [
        (
            f"/api/v1/namespaces/{namespace}/secrets/a",
            f'secrets "a" {who} get resource "secrets" {core}"{namespace}"',
        ),
        (
            f"/api/v1/namespaces/{namespace}/secrets",
            f'secrets {who} list resource "secrets" {core}"{namespace}"',
        ),
        (
            path_of(elsewhere, name),
            f'backups.pingcap.com "{name}" {who} get resource "backups" {group}"{elsewhere}"',
        ),
        ("/nothing", f'forbidden: User "{client.user}" cannot get path "/nothing"'),
    ]
    for path, message in cases:
        assert_status(client.call("GET", path), 403, "Forbidden", message)


def tokens_are_looked_at(client: Client, namespace: str, name: str) -> None:
    valid = client.token
    try:
        client.token = "no-token-of-anybody"
        reply = client.call("GET", path_of(namespace, name))
        assert_status(reply, 401, "Unauthorized", "Unauthorized")
        client.token = None
        reply = client.call("GET", path_of(namespace, name))
        assert 403 == reply.status
        assert 'User "system:anonymous" cannot get' in reply.document["message"]
    finally:
        client.token = valid


FACTS: list[Fact] = [
    the_role_grants_no_more,
    other_places_are_forbidden,
    tokens_are_looked_at,
]
