"""The programs that we are measured against: rclone and s5cmd, on files that are there already."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.cost import Cost
from bench.ground import BUCKET, Ground
from tests.servers import program

Peer = Callable[[Ground, Path], Cost]

_S5CMD, _S5CMD_VERSION = "github.com/peak/s5cmd/v2", "v2.3.0"
_BUILD_SECONDS = 600


def rclone_environment(ground: Ground) -> dict[str, str]:
    """Return what makes rclone know the store as ``ceph:``."""
    return {
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_CEPH_TYPE": "s3",
        "RCLONE_CONFIG_CEPH_PROVIDER": "Ceph",
        "RCLONE_CONFIG_CEPH_ENV_AUTH": "true",
        "RCLONE_CONFIG_CEPH_ENDPOINT": ground.ceph.http,
        "RCLONE_CONFIG_CEPH_NO_CHECK_BUCKET": "true",
    }


def rclone(ground: Ground, directory: Path) -> Cost:
    target = f"ceph:{BUCKET}/{ground.new_name()}"
    argv = [program("rclone"), "copy", "--transfers=16", str(directory), target]
    return ground.run(argv, rclone_environment(ground))


def s5cmd_with(binary: Path) -> Peer:
    def s5cmd(ground: Ground, directory: Path) -> Cost:
        argv = [str(binary), f"--endpoint-url={ground.ceph.http}", "--numworkers=16"]
        argv += ["--log=error", "cp", "--part-size=16", f"{directory}/"]
        return ground.run([*argv, f"s3://{BUCKET}/{ground.new_name()}/"])

    return s5cmd


def find_s5cmd() -> Path | str:
    """Return s5cmd, built once into the user's cache, or why there is none."""
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "backup-manager-bench"
    )
    binary = cache / "s5cmd"
    if binary.exists():
        return binary
    go = shutil.which("go")
    if go is None:
        return "Go is not installed"
    # As a dependency of a module of our own, which pins it: `go install` asks for the list of all
    # versions, which not every proxy gives.
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "go.mod").write_text(f"module peers\n\nrequire {_S5CMD} {_S5CMD_VERSION}\n")
    (cache / "peers.go").write_text(f'package peers\n\nimport _ "{_S5CMD}/command"\n')
    done = subprocess.run(
        [go, "build", "-mod=mod", "-o", str(binary), _S5CMD],
        cwd=cache,
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if done.returncode:
        return f"building {_S5CMD} failed: {' '.join(done.stderr.split())[-240:]}"
    return binary
