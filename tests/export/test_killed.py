"""Killed at points all over a backup, and run again; ``make torture`` does it at hundreds more."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.servers import Ceph, Database
from tests.torture.ordeal import STOPPED, Whole, undergo, whole
from tests.torture.points import KINDS, Point, Scenario
from tests.torture.scene import Ground
from tests.torture.shapes import SCHEMA, SHAPES, prepare

# By shape and kind of point, how many of each, spread over a whole run.
_SHARES = {
    ("real", "store-before"): 1,
    ("real", "store-after"): 1,
    ("real", "database-before"): 2,
    ("real", "database-after"): 1,
    ("real", "file-after"): 2,
    ("parts", "store-before"): 1,
    ("parts", "store-after"): 2,
    ("parts", "file-after"): 2,
    ("late", "store-before"): 1,
    ("late", "store-after"): 1,
}
_POINTS = [
    pytest.param(shape, kind, (index + 0.5) / share, id=f"{shape}-{kind}-{index}")
    for (shape, kind), share in _SHARES.items()
    for index in range(share)
]
assert {kind for _, kind in _SHARES} == set(KINDS)


@pytest.fixture(scope="session")
def ground(tidb: Database, ceph: Ceph) -> Iterator[Ground]:
    prepare(tidb)
    ceph.create_bucket("torture")
    yield Ground(tidb, ceph, "torture")
    tidb.execute(f"DROP DATABASE {SCHEMA}")


@pytest.fixture(scope="session")
def undisturbed(ground: Ground) -> Callable[[str], Whole]:
    """What a whole run of a shape is like: it is run when it is first asked for."""
    return cache(lambda shape: whole(ground, SHAPES[shape]))


@pytest.mark.parametrize(("shape", "kind", "fraction"), _POINTS)
def test_killed_and_run_again(
    ground: Ground,
    undisturbed: Callable[[str], Whole],
    shape: str,
    kind: str,
    fraction: float,
) -> None:
    run = undisturbed(shape)
    number = int(fraction * run.counts[kind.partition("-")[0]]) + 1

    outcome = undergo(ground, Scenario(shape, (Point(kind, number),)), run.contents)

    assert [] == outcome.complaints, "\n".join(outcome.story)
    # A file event is told of after it happened: on a busy machine the run may be over by then.
    assert STOPPED != outcome.end or kind == "file-after"
