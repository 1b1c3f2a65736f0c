"""CPU and wall of our download and of verify --deep, against rclone's and s5cmd's download."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.cost import Cost
from bench.ground import Ground
from bench.load import KIB, MIB, Load
from bench.peers import find_s5cmd, rclone_environment
from bench.table import Result, spread, table
from tests.servers import program

_LOADS = (Load(files=2_000, bytes=256 * KIB), Load(big_files=4, big_bytes=256 * MIB))
_QUICK = (Load(files=100, bytes=256 * KIB), Load(big_files=2, big_bytes=48 * MIB))
_RCLONE = "rclone"
_HEAD = ["", "CPU s", "of rclone's", "wall s", "peak MB"]
# What fetches a prefix of the bucket into a directory.
Fetch = Callable[[Ground, str, Path], Cost]


def run(*, quick: bool) -> Result:
    loads, rounds = (_QUICK, 1) if quick else (_LOADS, 3)
    fetches: dict[str, Fetch] = {"our download": _ours, "our verify --deep": _verify}
    fetches[_RCLONE] = _rclone
    s5cmd = find_s5cmd()
    if isinstance(s5cmd, Path):
        fetches["s5cmd"] = _s5cmd_with(s5cmd)
    result = Result(f"download: medians of {rounds}, in turn")
    for load in loads:
        with Ground() as ground:
            result.lines += [f"### {load}", "", *_compare(ground, load, fetches, rounds), ""]
    if isinstance(s5cmd, str):
        result.lines.append(f"s5cmd is left out: {s5cmd}")
    return result


def _compare(ground: Ground, load: Load, fetches: dict[str, Fetch], rounds: int) -> list[str]:
    backup = json.loads(ground.export(load).stdout.splitlines()[-1])["backup"]
    costs: dict[str, list[Cost]] = {name: [] for name in fetches}
    for _ in range(rounds):
        for name, fetch in fetches.items():
            target = ground.directory / ground.new_name()
            target.mkdir()
            costs[name].append(fetch(ground, backup, target))
            ground.remove(target)
    reference = median(cost.cpu for cost in costs[_RCLONE])
    rows = [
        [
            name,
            spread([cost.cpu for cost in of]),
            f"{median(cost.cpu for cost in of) / reference:.2f}",
            spread([cost.wall for cost in of]),
            f"{max(cost.peak_mb for cost in of):.0f}",
        ]
        for name, of in costs.items()
    ]
    return table(_HEAD, rows)


def _ours(ground: Ground, backup: str, target: Path) -> Cost:
    return _run(ground, "download", backup, str(target))


def _verify(ground: Ground, backup: str, target: Path) -> Cost:
    del target
    return _run(ground, "verify", backup, "--deep")


def _run(ground: Ground, *words: str) -> Cost:
    argv = [sys.executable, "-m", "backup_manager", *words]
    return ground.run([*argv, "--provider=ceph", f"--endpoint={ground.ceph.http}"])


def _rclone(ground: Ground, backup: str, target: Path) -> Cost:
    source = f"ceph:{backup.removeprefix('s3://')}"
    argv = [program("rclone"), "copy", "--transfers=16", source, str(target)]
    return ground.run(argv, rclone_environment(ground))


def _s5cmd_with(binary: Path) -> Fetch:
    def s5cmd(ground: Ground, backup: str, target: Path) -> Cost:
        argv = [str(binary), f"--endpoint-url={ground.ceph.http}", "--numworkers=16"]
        return ground.run([*argv, "--log=error", "cp", f"{backup}/*", f"{target}/"])

    return s5cmd
