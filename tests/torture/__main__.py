"""`python -m tests.torture`: every point, or those that are named."""

import argparse
import queue
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers import Ceph, MariaDB
from tests.torture.ordeal import ANEW, PUBLISHED, RESUMED, STOPPED, Outcome, Whole, undergo, whole
from tests.torture.points import Scenario, every, terminated, thinned, twice
from tests.torture.scene import Ground
from tests.torture.shapes import SHAPES, prepare

# Of the kinds other than the store's requests, so many points for each shape.
_MOST = 36
_TWICE = 30
_TERMINATED = 24
_PROGRESS_SECONDS = 20.0
_SEED = 20261122


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = _arguments()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="torture-") as name,
        _grounds(Path(name), arguments.workers) as grounds,
    ):
        wholes = {name: whole(grounds[0], shape) for name, shape in SHAPES.items()}
        scenarios = _scenarios(arguments, wholes)
        _say_plan(scenarios, wholes)
        outcomes = _undergo_all(scenarios, grounds, wholes)
    failed = [outcome for outcome in outcomes if outcome.complaints]
    _say_table(outcomes)
    for outcome in failed:
        print(f"FAILED: {outcome.scenario} ({outcome.complaints[0].splitlines()[-1]})")
    print(f"{len(outcomes)} points, {len(failed)} failed, {time.monotonic() - began:.0f} s")
    return bool(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="[SHAPE/]POINT[+POINT][=TERM]",
        help="only this one, e.g. store-before:17 or parts/file-after:40+store-after:3; repeatable",
    )
    parser.add_argument("--share", type=int, help="only so many, spread over all kinds and phases")
    parser.add_argument("--every", action="store_true", help="thin no kind out")
    parser.add_argument("--times", type=int, default=1, help="all of them so often")
    parser.add_argument("--workers", type=int, default=2, help="so many at a time")
    parser.add_argument("--seed", type=int, default=_SEED, help="chooses where reruns are killed")
    return parser.parse_args()


@contextmanager
def _grounds(directory: Path, workers: int) -> Iterator[list[Ground]]:
    """One store for all, and a database for each worker: there is one GC row in each."""
    with ExitStack() as stack:
        store = stack.enter_context(Ceph(directory / "ceph", store_bytes=32 << 30))
        store.create_bucket("torture")
        grounds = []
        for number in range(workers):
            server = MariaDB(directory / f"database-{number}", buffer_pool_mb=64)
            stack.enter_context(server)
            prepare(server)
            grounds.append(Ground(server, store, "torture"))
        yield grounds


def _scenarios(arguments: argparse.Namespace, wholes: dict[str, Whole]) -> list[Scenario]:
    times: int = arguments.times
    if arguments.only:
        named = [Scenario.parse(text, SHAPES) for text in arguments.only]
        return [each for some in named for each in some] * times
    most = sys.maxsize if arguments.every else _MOST
    once = [each for name, run in wholes.items() for each in every(name, run.counts, most)]
    scenarios = once + twice(once, _TWICE, arguments.seed) + terminated(once, _TERMINATED)
    return thinned(scenarios, arguments.share or len(scenarios)) * times


def _say_plan(scenarios: list[Scenario], wholes: dict[str, Whole]) -> None:
    for shape, run in wholes.items():
        counts = ", ".join(f"{count} {source}" for source, count in sorted(run.counts.items()))
        print(f"a whole run of {shape!r}: {run.seconds:.1f} s; events: {counts}")
    print(f"{len(scenarios)} points; more of {_MOST} of a kind are thinned out:")
    for kind, number in Counter(_kind(scenario) for scenario in scenarios).items():
        print(f"    {number:>4} {kind}")
    sys.stdout.flush()


def _kind(scenario: Scenario) -> str:
    if scenario.signal == signal.SIGTERM:
        return f"{scenario.shape} SIGTERM"
    if len(scenario.points) > 1:
        return f"{scenario.shape} twice"
    return f"{scenario.shape} {scenario.points[0].kind}"


def _undergo_all(
    scenarios: list[Scenario], grounds: list[Ground], wholes: dict[str, Whole]
) -> list[Outcome]:
    free: queue.SimpleQueue[Ground] = queue.SimpleQueue()
    for ground in grounds:
        free.put(ground)
    say = _progress(len(scenarios))

    def one(scenario: Scenario) -> Outcome:
        ground = free.get()
        try:
            outcome = undergo(ground, scenario, wholes[scenario.shape].contents)
        finally:
            free.put(ground)
        say(outcome)
        return outcome

    with ThreadPoolExecutor(len(grounds)) as pool:
        try:
            return list(pool.map(one, scenarios))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _progress(total: int) -> Callable[[Outcome], None]:
    lock = threading.Lock()
    began = time.monotonic()
    done = failed = 0
    said = began

    def say(outcome: Outcome) -> None:
        nonlocal done, failed, said
        with lock:
            done += 1
            failed += bool(outcome.complaints)
            if outcome.complaints:
                _say_failure(outcome)
            now = time.monotonic()
            if now - said >= _PROGRESS_SECONDS or done == total:
                said = now
                print(f"{done} of {total} points, {failed} failed, {now - began:.0f} s", flush=True)

    return say


def _say_failure(outcome: Outcome) -> None:
    again = f"python -m tests.torture --only '{outcome.scenario}'"
    print(f"\n--- {outcome.scenario} failed, after {outcome.seconds:.1f} s. Again: {again}")
    for complaint in outcome.complaints:
        print(f"  * {complaint}")
    for line in outcome.story:
        print(f"  {line}")
    print("---", flush=True)


def _say_table(outcomes: list[Outcome]) -> None:
    rows: dict[tuple[str, str], Counter[str]] = {}
    for outcome in outcomes:
        phases = outcome.phases[0] if len(outcome.phases) == 1 else "(two of them)"
        row = rows.setdefault((_kind(outcome.scenario), phases), Counter())
        row.update(["points", outcome.end, "failed" if outcome.complaints else "ok"])
        # Where there was something that it must not send again.
        row["confirmed"] += outcome.end == RESUMED and outcome.confirmed > 0
    columns = ("points", RESUMED, "confirmed", ANEW, PUBLISHED, STOPPED, "failed")
    print(f"{'kind':<22} {'phase when struck':<18}" + "".join(f"{name:>19}" for name in columns))
    for (kind, phase), row in rows.items():
        print(f"{kind:<22} {phase:<18}" + "".join(f"{row[name]:>19}" for name in columns))
    warnings = Counter(warning for outcome in outcomes for warning in outcome.warnings)
    for warning, number in warnings.most_common():
        print(f"warned {number} times: {warning}")


if __name__ == "__main__":
    sys.exit(main())
