"""What the API server needs of the machine."""

import re
import subprocess

from tests.servers.golang import find_go
from tests.servers.process import missing

from .builds import built, go_wanted


def absent() -> list[str]:
    """What is not there, in words for who reads why the tests were skipped."""
    lacking = missing("etcd", "kubectl")
    if not built():
        lacking += _go()
    return lacking


def _go() -> list[str]:
    go = find_go()
    if go is None:
        return ["go"]
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    numbers = re.match(r"go(\d+)\.(\d+)", said.stdout)
    wanted = go_wanted()
    if numbers and (int(numbers[1]), int(numbers[2])) < wanted:
        return [f"go {wanted[0]}.{wanted[1]} (here is {said.stdout.strip()})"]
    return []
