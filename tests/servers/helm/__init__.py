"""Helm, which the tests of the chart run: $HELM, or that of PATH, or one that was built before."""

import os
import shutil

from .builds import binary

__all__ = ["ABSENT", "find_helm"]

ABSENT = "helm is not installed, and none was built: python -m tests.servers.helm builds it"


def find_helm() -> str | None:
    """The program, if there is one: a test never builds, as that takes minutes."""
    if named := os.environ.get("HELM"):
        if found := shutil.which(named):
            return found
        raise FileNotFoundError(f"HELM={named}: there is no such program")
    built = binary()
    return shutil.which("helm") or (str(built) if built.exists() else None)
