"""The peak of our own process' resident memory (VmHWM), for many small and for few big files."""

from bench.ground import Ground
from bench.load import KIB, MIB, Load
from bench.table import Bound, Result, table

MOST_MB = 150
_LOADS = (Load(files=20_000, bytes=16 * KIB), Load(big_files=3, big_bytes=700 * MIB))
_QUICK = (Load(files=500, bytes=16 * KIB), Load(big_files=2, big_bytes=64 * MIB))


def run(*, quick: bool) -> Result:
    rows, bounds = [], []
    with Ground() as ground:
        for load in _QUICK if quick else _LOADS:
            cost = ground.export(load)
            rows.append([str(load), f"{cost.peak_mb:.0f}", f"{cost.cpu:.1f}", f"{cost.wall:.1f}"])
            bounds.append(Bound(f"peak of {load}, MB", cost.peak_mb, MOST_MB))
    head = ["export of", "peak RSS, MB", "CPU s", "wall s"]
    return Result("memory: of our process alone, Dumpling at full speed", table(head, rows), bounds)
