"""Programs in Go, built once from pinned sources and kept."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from .process import TAIL_LINES, ServerError


def find_go() -> str | None:
    """The Go tool: on PATH, or where the archive of its makers is unpacked."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/go/bin"])
    return shutil.which("go", path=places)


def pinned(files: Iterable[Path]) -> str:
    """A short name for the sources as they are: go.sum holds the hash of each module."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def build_once(
    binary: Path, source: Path, package: str, *, flags: Sequence[str] = (), seconds: float = 600
) -> Path:
    """The program of a package, built in the module `source` unless it is there already."""
    binary.parent.mkdir(parents=True, exist_ok=True)
    # Tests run in several processes; one of them builds.
    with binary.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            made = binary.with_suffix(".new")
            _build(made, source, package, flags, seconds)
            made.rename(binary)
    return binary


def _build(made: Path, source: Path, package: str, flags: Sequence[str], seconds: float) -> None:
    go = find_go()
    if go is None:
        raise ServerError("go is not installed: see scripts/install-packages")
    argv = [go, "build", "-mod=readonly", "-buildvcs=false", "-trimpath", *flags, f"-o={made}"]
    done = subprocess.run(
        [*argv, package],
        cwd=source,
        # Without C in it no C compiler is needed.
        env=os.environ | {"CGO_ENABLED": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        text = "\n".join((done.stdout + done.stderr).splitlines()[-TAIL_LINES:])
        raise ServerError(f"building {package} ended with {done.returncode}:\n{text}")
