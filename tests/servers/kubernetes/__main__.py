"""`python -m tests.servers.kubernetes`: build the API server; a test's time is short for that."""

import sys

from tests.servers.process import ServerError

from . import absent
from .builds import built, jobctl, kube_apiserver


def main() -> int:
    if built():
        return 0
    if lacking := absent():
        # The tests say so again, and skip.
        print(f"no Kubernetes API server without: {', '.join(lacking)}", file=sys.stderr)
        return 0
    print("building kube-apiserver: once a machine, some minutes", file=sys.stderr, flush=True)
    try:
        kube_apiserver()
        jobctl()
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
