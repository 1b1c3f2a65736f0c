"""What one process costs: its wall time, its CPU time without its children's, its peak memory."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOOK_SECONDS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")
_TAIL_LINES = 20


class BenchError(RuntimeError):
    """Something that is measured did not do what it should: there is no figure."""


@dataclass(frozen=True)
class Cost:
    """Seconds and MB (10^6 bytes); ``cpu`` is user and system time of the process alone.

    ``children_cpu`` is that of the children that it waited for, such as Dumpling.
    """

    wall: float
    cpu: float
    children_cpu: float
    peak_mb: float
    stdout: str


def measure(argv: Sequence[str], *, env: Mapping[str, str], log: Path, seconds: float) -> Cost:
    """Run a command to its end; raise BenchError if it fails or takes more than ``seconds``."""
    output = log.with_suffix(".out")
    began = time.monotonic()
    with output.open("wb") as out, log.open("wb") as errors:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=env, process_group=0
        )
    try:
        peak = _watch(child.pid, began + seconds)
        wall = time.monotonic() - began
        # It has ended and is not reaped yet: the kernel still tells its times, and those of its
        # children apart, which wait4 would add up.
        own, children = _cpu(child.pid)
        code = child.wait()
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if code != 0:
        tail = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        raise BenchError("\n".join([f"{' '.join(argv)} ended with {code}:", *tail]))
    return Cost(wall, own, children, peak / 1e6, output.read_text(errors="replace"))


def _watch(pid: int, deadline: float) -> int:
    """Wait until the process has ended; return its peak of resident memory in bytes."""
    peak = 0
    handle = os.pidfd_open(pid)
    try:
        # The kernel keeps the high-water mark; only the last 50 ms may be missed.
        while not select.select([handle], [], [], _LOOK_SECONDS)[0]:
            peak = max(peak, _high_water(pid))
            if time.monotonic() > deadline:
                raise BenchError("what is measured took too long")
    finally:
        os.close(handle)
    return peak


def _high_water(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _cpu(pid: int) -> tuple[float, float]:
    """Return the CPU seconds of a process and those of its children that were waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, children_user, children_system = (int(one) for one in fields[11:15])
    return (user + system) / _TICKS, (children_user + children_system) / _TICKS
