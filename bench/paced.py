"""The wall time of a whole export against that of the very same paced dump alone."""

from statistics import median

from bench.ground import Ground
from bench.load import MIB, Load
from bench.table import Bound, Result, spread, table

MOST_RATIO = 1.15
_RATE = 40_000_000
_LOAD = Load(files=184, bytes=4 * MIB, big_files=4, big_bytes=72 * MIB, rate=_RATE)
_QUICK = Load(files=16, bytes=1 * MIB, big_files=1, big_bytes=40 * MIB, rate=_RATE)


def run(*, quick: bool) -> Result:
    load, rounds = (_QUICK, 1) if quick else (_LOAD, 5)
    exports, alone = [], []
    with Ground() as ground:
        for _ in range(rounds):
            cost, directory = ground.dump(load)
            ground.remove(directory)
            alone.append(cost.wall)
            exports.append(ground.export(load).wall)
    over = median(exports) - median(alone)
    rows = [
        ["Dumpling's double alone", spread(alone)],
        ["the whole export", spread(exports)],
        ["more, in seconds", f"{over:.2f}"],
    ]
    ratio = Bound("export / dump alone", median(exports) / median(alone), MOST_RATIO)
    title = f"paced: {load}, {rounds} rounds in turn"
    return Result(title, table(["wall, s", "median (least-most)"], rows), [ratio])
