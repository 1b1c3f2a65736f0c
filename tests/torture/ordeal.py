"""One scenario from the first strike to the last check, and what a whole run is."""

import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.command import Result
from tests.restore import backups
from tests.torture import checks
from tests.torture.points import STORE, Scenario
from tests.torture.scene import Ground, Scene, Struck
from tests.torture.shapes import SHAPES, Contents, Shape, contents

RESUMED, ANEW, PUBLISHED, STOPPED = "resumed", "started anew", "already published", "not struck"
_TAIL = 40


@dataclass(frozen=True)
class Whole:
    """A whole run of a shape: how often each kind of event came, and what is in its backup."""

    counts: Mapping[str, int]
    contents: Contents
    seconds: float


@dataclass
class Outcome:
    """What came of a scenario; ``complaints`` are what is wrong."""

    scenario: Scenario
    phases: list[str] = field(default_factory=list)
    end: str = ""
    confirmed: int = 0  # bytes that the last journal held so; a run that resumed sent none again
    complaints: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add_run(self, title: str, result: Result) -> None:
        lines = [*result.stderr.splitlines()[-_TAIL:], *result.stdout.splitlines()]
        self.story += [f"{title}: exit code {result.exit_code}", *(f"    {line}" for line in lines)]
        self.warnings += result.summary.get("warnings", [])


def whole(ground: Ground, shape: Shape) -> Whole:
    """Run a shape once without a strike. Raises AssertionError if even that is not right."""
    with (
        tempfile.TemporaryDirectory(prefix="torture-") as name,
        Scene(ground, shape, Path(name)) as scene,
    ):
        result = scene.run().expect(0)
        counts = dict(scene.striker.counts)
        if shape.late:
            counts = {STORE: counts[STORE]}  # the others' are the same as those of another shape
        complaints: list[str] = []
        backup = checks.fetched(scene, complaints)[result.directory]
        reference = contents(backup)
        held = {result.directory: backup}
        complaints += checks.of_end(scene, result, None, held, reference)
        assert [] == complaints
    return Whole(counts, reference, result.seconds)


def undergo(ground: Ground, scenario: Scenario, reference: Contents) -> Outcome:
    """Play a scenario; whatever is wrong is in the outcome."""
    outcome = Outcome(scenario)
    began = time.monotonic()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as name,
            Scene(ground, SHAPES[scenario.shape], Path(name)) as scene,
        ):
            _play(scene, scenario, reference, outcome)
    except Exception:  # noqa: BLE001 - one scenario that fails must not end the others
        outcome.complaints.append(traceback.format_exc())
    outcome.seconds = time.monotonic() - began
    return outcome


def _play(scene: Scene, scenario: Scenario, reference: Contents, outcome: Outcome) -> None:
    before: Struck | None = None
    for point in scenario.points:
        struck = scene.strike(point, scenario)
        outcome.phases.append(struck.phase if struck.hit else STOPPED)
        outcome.add_run(
            f"{scenario.signal.name} at {point}, {struck.met} ({struck.phase}), the journal held"
            f" {struck.confirmed}"
            if struck.hit
            else f"{point} was not reached, {scene.striker.counts}",
            struck.result,
        )
        outcome.complaints += checks.after_strike(scene, struck, reference)
        if struck.result.exit_code == 0:
            # It was over, or it was already publishing and did not heed the signal.
            outcome.end = PUBLISHED if struck.hit else STOPPED
            outcome.complaints += checks.after_all(scene, struck.result, None, reference)
            return
        before = struck
        outcome.confirmed = struck.confirmed.bytes
    had_record = bool(backups(scene.client, scene.ground.bucket, f"{scene.prefix}/"))
    result = scene.run()
    outcome.add_run("the same again, undisturbed", result)
    outcome.complaints += checks.after_all(scene, result, before, reference)
    resumed = result.summary["resumed"]
    outcome.end = (PUBLISHED if had_record else RESUMED) if resumed else ANEW
