"""Where the API has what these tests use."""


def core(namespace: str, kind: str, name: str = "") -> str:
    """Pods, Secrets, ... : `kind` is the plural."""
    return f"/api/v1/namespaces/{namespace}/{kind}/{name}".rstrip("/")


def job(namespace: str, name: str = "") -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}".rstrip("/")


def backup(namespace: str, name: str = "") -> str:
    return f"/apis/pingcap.com/v1alpha1/namespaces/{namespace}/backups/{name}".rstrip("/")
