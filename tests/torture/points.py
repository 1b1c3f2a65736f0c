"""Where a run is struck, how that is written, and which of all points are taken."""

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from signal import SIGKILL, SIGTERM, Signals
from typing import Self, TypeVar

STORE, DATABASE, FILE = "store", "database", "file"
BEFORE, AFTER = "before", "after"
# Of a request: before it is forwarded, or after it was carried out and before the answer goes back.
KINDS = (
    f"{STORE}-{BEFORE}",
    f"{STORE}-{AFTER}",
    f"{DATABASE}-{BEFORE}",
    f"{DATABASE}-{AFTER}",
    f"{FILE}-{AFTER}",
)
_POINT = re.compile(rf"({'|'.join(KINDS)}):([1-9]\d*)")
_SCENARIO = re.compile(r"(?:(?P<shape>\w+)/)?(?P<points>[^=]+)(?:=(?P<signal>TERM|KILL))?")
T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    """The n-th event of a kind, counted from the start of a run."""

    kind: str
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        match = _POINT.fullmatch(text)
        if not match:
            raise ValueError(f"{text}: a point is KIND:NUMBER, a kind one of {', '.join(KINDS)}")
        return cls(match[1], int(match[2]))

    @property
    def source(self) -> str:
        return self.kind.partition("-")[0]

    @property
    def moment(self) -> str:
        return self.kind.partition("-")[2]

    def __str__(self) -> str:
        return f"{self.kind}:{self.number}"


@dataclass(frozen=True)
class Scenario:
    """A backup of one shape, whose first run is struck at the first point, the next at the next.

    After the last of them the command is run once more, undisturbed.
    """

    shape: str
    points: tuple[Point, ...]
    signal: Signals = SIGKILL

    @classmethod
    def parse(cls, text: str, shapes: Iterable[str]) -> list[Self]:
        """Read ``[shape/]point[+point…][=TERM]``; without a shape it is meant for all shapes."""
        match = _SCENARIO.fullmatch(text)
        if not match or match["shape"] not in {None, *shapes}:
            raise ValueError(f"{text}: not [SHAPE/]POINT[+POINT][=TERM], shapes {list(shapes)}")
        points = tuple(map(Point.parse, match["points"].split("+")))
        number = Signals[f"SIG{match['signal'] or 'KILL'}"]
        return [cls(shape, points, number) for shape in shapes if match["shape"] in {None, shape}]

    def __str__(self) -> str:
        end = "=TERM" if self.signal == SIGTERM else ""
        return f"{self.shape}/{'+'.join(map(str, self.points))}{end}"


def thinned(items: Sequence[T], wanted: int) -> list[T]:
    """At most so many of them, evenly spread, none twice."""
    if len(items) <= wanted:
        return list(items)
    return [items[int((i + 0.5) * len(items) / wanted)] for i in range(wanted)]


def every(shape: str, counts: Mapping[str, int], most: int) -> list[Scenario]:
    """A kill at each event of a whole run of a shape, but for each kind at ``most``.

    ``counts`` tells how many events of each source there are; the store's are never thinned out.
    """
    found = []
    for kind in KINDS:
        source = kind.partition("-")[0]
        points = [Point(kind, number + 1) for number in range(counts.get(source, 0))]
        taken = points if source == STORE else thinned(points, most)
        found += [Scenario(shape, (point,)) for point in taken]
    return found


def twice(scenarios: Sequence[Scenario], wanted: int, seed: int) -> list[Scenario]:
    """So many of the scenarios with the rerun killed too, at some point of its first half."""
    dice = random.Random(seed)
    found = []
    for scenario in thinned(scenarios, wanted):
        (first,) = scenario.points
        of_its_shape = [each.points[0] for each in scenarios if each.shape == scenario.shape]
        kind = dice.choice(sorted({each.kind for each in of_its_shape}))
        last = max(each.number for each in of_its_shape if each.kind == kind)
        # A rerun that goes on with a dump is shorter than a whole run.
        second = Point(kind, dice.randint(1, max(1, last // 2)))
        found.append(Scenario(scenario.shape, (first, second)))
    return found


def terminated(scenarios: Sequence[Scenario], wanted: int) -> list[Scenario]:
    """So many of the scenarios with SIGTERM in place of SIGKILL."""
    return [Scenario(each.shape, each.points, SIGTERM) for each in thinned(scenarios, wanted)]
