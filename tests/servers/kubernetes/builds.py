"""kube-apiserver, and a program with the controllers of Jobs and CronJobs: built once a machine."""

import os
import re
from pathlib import Path

from tests.servers.golang import build_once, pinned
from tests.servers.process import ServerError

_SOURCE = Path(__file__).with_name("go")  # its go.mod pins the version
_BUILD_SECONDS = 3600  # four minutes on two cores, and half a gigabyte to fetch before


def _pinned(pattern: str) -> tuple[str, ...]:
    found = re.search(pattern, (_SOURCE / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise ServerError(f"{_SOURCE / 'go.mod'}: no {pattern}")
    return found.groups()


def go_wanted() -> tuple[int, int]:
    """The lowest Go that can build them."""
    major, minor = _pinned(r"^go (\d+)\.(\d+)")
    return int(major), int(minor)


def _release() -> tuple[str, ...]:
    """Major, minor and patch number of the Kubernetes in go.mod."""
    return _pinned(r"k8s\.io/kubernetes v(\d+)\.(\d+)\.(\d+)$")


def _binary(name: str) -> Path:
    """Where it is kept, for every clone of this repository that the user has."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    sources = [_SOURCE / "go.sum", *sorted(_SOURCE.glob("cmd/*/*.go"))]
    version = f"v{'.'.join(_release())}-{pinned(sources)}"
    return Path(home) / "backup-manager-tests" / f"kubernetes-{version}" / name


def built() -> bool:
    return all(_binary(name).exists() for name in ("kube-apiserver", "jobctl"))


def _build(name: str, words: list[str]) -> Path:
    flags = [f"-ldflags={' '.join(['-s', '-w', *words])}"]
    return build_once(_binary(name), _SOURCE, f"./cmd/{name}", flags=flags, seconds=_BUILD_SECONDS)


def kube_apiserver() -> Path:
    """The API server; it starts only with its own version in it."""
    major, minor, patch = _release()
    facts = {
        "gitVersion": f"v{major}.{minor}.{patch}",
        "gitMajor": major,
        "gitMinor": minor,
    }
    package = "k8s.io/component-base/version"
    return _build("kube-apiserver", [f"-X {package}.{name}={facts[name]}" for name in facts])


def jobctl() -> Path:
    """Only the controllers of Jobs and CronJobs."""
    return _build("jobctl", [])
