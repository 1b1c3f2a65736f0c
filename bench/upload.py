"""CPU and wall of our upload against rclone's and s5cmd's, of the same files to the same Ceph."""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.cost import Cost
from bench.ground import BUCKET, Ground
from bench.load import KIB, MIB, Load
from bench.peers import Peer, find_s5cmd, rclone, s5cmd_with
from bench.table import Result, spread, table

_LOADS = (Load(files=2_000, bytes=256 * KIB), Load(big_files=4, big_bytes=256 * MIB))
_QUICK = (Load(files=100, bytes=256 * KIB), Load(big_files=2, big_bytes=48 * MIB))
_EXPORT, _ENGINE, _RCLONE, _S5CMD = "our export", "our engine alone", "rclone", "s5cmd"
_HEAD = ["", "CPU s", "of rclone's", "wall s", "peak MB", "Dumpling's CPU s"]


def run(*, quick: bool) -> Result:
    loads, rounds = (_QUICK, 1) if quick else (_LOADS, 3)
    peers: dict[str, Peer] = {_ENGINE: _engine, _RCLONE: rclone}
    s5cmd = find_s5cmd()
    if isinstance(s5cmd, Path):
        peers[_S5CMD] = s5cmd_with(s5cmd)
    result = Result(f"upload: medians of {rounds}, in turn")
    for load in loads:
        with Ground() as ground:
            result.lines += [f"### {load}", "", *_compare(ground, load, peers, rounds), ""]
    if isinstance(s5cmd, str):
        result.lines.append(f"s5cmd is left out: {s5cmd}")
    return result


def _compare(ground: Ground, load: Load, peers: dict[str, Peer], rounds: int) -> list[str]:
    _, directory = ground.dump(load)
    costs: dict[str, list[Cost]] = {name: [] for name in (_EXPORT, *peers)}
    for _ in range(rounds):
        costs[_EXPORT].append(ground.export(load))
        for name, peer in peers.items():
            costs[name].append(peer(ground, directory))
    reference = median(cost.cpu for cost in costs[_RCLONE])
    return table(_HEAD, [_row(name, of, reference) for name, of in costs.items()])


def _row(name: str, costs: Sequence[Cost], reference: float) -> list[str]:
    dumpling = f"{median(cost.children_cpu for cost in costs):.1f}" if name == _EXPORT else ""
    return [
        name,
        spread([cost.cpu for cost in costs]),
        f"{median(cost.cpu for cost in costs) / reference:.2f}",
        spread([cost.wall for cost in costs]),
        f"{max(cost.peak_mb for cost in costs):.0f}",
        dumpling,
    ]


def _engine(ground: Ground, directory: Path) -> Cost:
    argv = [sys.executable, "-m", "bench.engine", ground.ceph.http, BUCKET, ground.new_name()]
    return ground.run([*argv, str(directory)])
