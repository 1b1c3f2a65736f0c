"""What a path asks: which verb of RBAC, on which resource."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

_NAMED = re.compile(
    r"/(?:apis/pingcap\.com/v1alpha1|api/v1)/namespaces/(?P<namespace>[^/]+)"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?P<sub>/[^/]+)?)?"
)
_VERBS = {"PUT": "update", "POST": "create", "PATCH": "patch"}
# What each group of the API has; of the core one, what someone could want of it.
_RESOURCES = {"apis": {"backups"}, "api": {"events", "secrets", "configmaps", "pods"}}


@dataclass(frozen=True)
class Target:
    """A path of the API; `resource` is empty where it is none, or none that there is."""

    path: str
    verb: str
    resource: str = ""
    namespace: str = ""
    name: str | None = None
    dry_run: tuple[str, ...] = ()
    strict: bool = False


def target_of(method: str, url: str) -> Target:
    parts = urlsplit(url)
    path = unquote(parts.path)
    query = parse_qs(parts.query)
    found = _NAMED.fullmatch(path)
    if not found or found["resource"] not in _RESOURCES[path.split("/")[1]]:
        return Target(path, method.lower())
    name = found["name"]
    many = {"GET": "list", "DELETE": "deletecollection"}
    one = {"GET": "get", "DELETE": "delete"}
    if method == "GET" and query.get("watch"):
        many = {"GET": "watch"}
    return Target(
        path,
        _VERBS.get(method) or (one if name else many)[method],
        found["resource"] + (found["sub"] or ""),
        found["namespace"],
        name,
        tuple(query.get("dryRun", ())),
        query.get("fieldValidation") == ["Strict"],
    )
