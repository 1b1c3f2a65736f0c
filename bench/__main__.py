"""`python -m bench [paced|memory|upload|download|life ...] [--quick]`."""

import argparse
import sys

from bench import download, life, memory, paced, upload
from bench.cost import BenchError
from bench.table import load_average, machine
from tests.servers import ServerError

_ALL = {
    "paced": paced.run,
    "memory": memory.run,
    "upload": upload.run,
    "download": download.run,
    "life": life.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure backup-manager against real servers on loopback; see bench/README.md.",
        epilog="The exit code is 1 where a bound is broken (not with --quick) or a run failed.",
    )
    parser.add_argument(
        "which", nargs="*", metavar="BENCHMARK", help=f"{', '.join(_ALL)}; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="only see that it works: tiny loads")
    given = parser.parse_args()
    unknown = [name for name in given.which if name not in _ALL]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    print("\n".join(machine()), flush=True)
    kept = True
    for name in given.which or _ALL:
        try:
            result = _ALL[name](quick=given.quick)
        except (BenchError, ServerError) as error:
            print(f"\n{name}: {error}", file=sys.stderr)
            return 1
        print(f"\n{result}\n\nload average at its end: {load_average()}", flush=True)
        kept = kept and all(bound.kept for bound in result.bounds)
    if given.quick:
        print("\nThese loads are too small for the figures and the bounds to mean anything.")
        return 0
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
