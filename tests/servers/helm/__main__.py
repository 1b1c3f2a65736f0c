"""`python -m tests.servers.helm`: have a Helm for the tests; a test's time is short for a build."""

import sys

from tests.servers.process import ServerError

from . import find_helm
from .builds import absent, build


def main() -> int:
    try:
        if find_helm():
            return 0
        if lacking := absent():
            # The tests say so again, and skip.
            print(f"no helm to test the chart with; missing: {lacking}", file=sys.stderr)
            return 0
        print("building helm: once a machine, some minutes", file=sys.stderr, flush=True)
        build()
    except (FileNotFoundError, ServerError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
