"""Helm from its pinned sources: built once a machine."""

import os
import re
import subprocess
from pathlib import Path

from tests.servers.golang import build_once, find_go, pinned

_SOURCE = Path(__file__).with_name("go")  # its go.mod pins the version
_PACKAGE = "helm.sh/helm/v3/cmd/helm"
_BUILD_SECONDS = 3600  # four minutes on two cores, and the modules to fetch before


def binary() -> Path:
    """Where it is kept, for every clone of this repository that the user has."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = f"helm-{pinned([_SOURCE / 'go.mod', _SOURCE / 'go.sum'])}"
    return Path(home) / "backup-manager-tests" / name / "helm"


def build() -> Path:
    """The program, built unless it is there already."""
    return build_once(binary(), _SOURCE, _PACKAGE, flags=["-ldflags=-s -w"], seconds=_BUILD_SECONDS)


def absent() -> str:
    """What a build needs and is not there; an empty text where it can be."""
    go = find_go()
    if go is None:
        return "go"
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    here = re.match(r"go(\d+)\.(\d+)", said.stdout)
    wanted = re.search(r"(?m)^go (\d+)\.(\d+)", (_SOURCE / "go.mod").read_text())
    assert wanted is not None
    least = int(wanted[1]), int(wanted[2])
    if here and (int(here[1]), int(here[2])) < least:
        return f"go {least[0]}.{least[1]} (here is {said.stdout.strip()})"
    return ""
