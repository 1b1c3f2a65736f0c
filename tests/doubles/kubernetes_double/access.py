"""Who may do what: tokens, the role, and the files by which a client finds the server."""

import secrets
import threading
from pathlib import Path

from . import answers

Rule = tuple[str, str]

# What the operator's role grants, less what a backup has no use for.
ROLE: frozenset[Rule] = frozenset(
    {
        ("get", "backups"), ("list", "backups"), ("watch", "backups"), ("update", "backups"),
        ("create", "events"),
    }
)  # fmt: skip


class Access:
    """One ServiceAccount's tokens, and its role in its namespace."""

    def __init__(self, namespace: str, account: str) -> None:
        self.namespace = namespace
        self.user = f"system:serviceaccount:{namespace}:{account}"
        self.token = _new_token()
        self._lock = threading.Lock()
        self._denied: set[Rule] = set()

    def rotate(self) -> None:
        self.token = _new_token()

    def forbid(self, verb: str, resource: str) -> None:
        assert (verb, resource) in ROLE, f"the role does not grant {verb} on {resource} anyway"
        with self._lock:
            self._denied.add((verb, resource))

    def allow(self, verb: str, resource: str) -> None:
        with self._lock:
            self._denied.remove((verb, resource))

    def user_of(self, authorization: str | None) -> str:
        """Who a request comes from; without any token it is nobody, who may do nothing."""
        if authorization is None:
            return "system:anonymous"
        if not secrets.compare_digest(authorization.encode(), f"Bearer {self.token}".encode()):
            raise answers.unauthorized()
        return self.user

    def check(self, user: str, verb: str, resource: str, namespace: str, name: str | None) -> None:
        rule = (verb, resource)
        with self._lock:
            granted = rule in ROLE and rule not in self._denied
        if user != self.user or namespace != self.namespace or not granted:
            raise answers.forbidden(user, verb, resource, namespace, name)


def _new_token() -> str:
    """In the shape of a ServiceAccount's, which is a JWT; nothing reads what is in it."""
    return ".".join(secrets.token_urlsafe(size) for size in (40, 300, 256))


class TokenFiles:
    """The files that hold the token, so that a rotation reaches them."""

    def __init__(self) -> None:
        self._plain: list[Path] = []
        self._mounts: list[Path] = []

    def write(self, token: str) -> None:
        for path in self._plain:
            _replace(path, token)
        for directory in self._mounts:
            _swap(directory, token)

    def kubeconfig(
        self, path: Path, *, server: str, ca_file: Path, namespace: str, token: str
    ) -> None:
        token_file = path.with_name(f"{path.name}.token")
        self._plain.append(token_file)
        _replace(token_file, token)
        path.write_text(
            "apiVersion: v1\n"
            "kind: Config\n"
            "current-context: double\n"
            "clusters:\n"
            "  - name: double\n"
            "    cluster:\n"
            f"      server: {server}\n"
            f"      certificate-authority: {ca_file}\n"
            "users:\n"
            "  - name: backup-manager\n"
            "    user:\n"
            f"      tokenFile: {token_file}\n"
            "contexts:\n"
            "  - name: double\n"
            "    context:\n"
            "      cluster: double\n"
            "      user: backup-manager\n"
            f"      namespace: {namespace}\n"
        )

    def service_account(
        self, directory: Path, *, ca_file: Path, namespace: str, token: str
    ) -> None:
        """As a kubelet lays them out: links through `..data`, which a rotation swaps."""
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("token", "ca.crt", "namespace"):
            (directory / name).symlink_to(Path("..data") / name)
        first = _generation(directory)
        (first / "ca.crt").write_bytes(ca_file.read_bytes())
        (first / "namespace").write_text(namespace)
        (first / "token").write_text(token)
        (directory / "..data").symlink_to(first.name)
        self._mounts.append(directory)


def _replace(path: Path, content: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(content)
    new.replace(path)


def _generation(directory: Path) -> Path:
    made = directory / f"..{secrets.token_hex(6)}"
    made.mkdir()
    return made


def _swap(directory: Path, token: str) -> None:
    old = directory / (directory / "..data").readlink()
    new = _generation(directory)
    for name in ("ca.crt", "namespace"):
        (new / name).write_bytes((old / name).read_bytes())
    (new / "token").write_text(token)
    link = directory / "..data_tmp"
    link.symlink_to(new.name)
    link.replace(directory / "..data")
    for each in old.iterdir():
        each.unlink()
    old.rmdir()
