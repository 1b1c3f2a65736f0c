"""Figures as Markdown, and what may be said of the machine that they come from."""

import os
import platform
import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from statistics import median

from tests.servers import program


@dataclass(frozen=True)
class Bound:
    """What a figure must not exceed."""

    what: str
    figure: float
    limit: float

    @property
    def kept(self) -> bool:
        return self.figure <= self.limit

    def __str__(self) -> str:
        verdict = "kept" if self.kept else "BROKEN"
        return f"{self.what}: {self.figure:.2f}, bound {self.limit:g}: {verdict}"


@dataclass
class Result:
    """One benchmark's outcome."""

    title: str
    lines: list[str] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(
            [f"## {self.title}", "", *self.lines, "", *(f"- {one}" for one in self.bounds)]
        )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table: the first column is text, the others are figures."""
    rule = ["---", *("---:" for _ in head[1:])]
    return ["| " + " | ".join(row) + " |" for row in (head, rule, *rows)]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Print a median and, in brackets, the least and the most."""
    low, middle, high = min(values), median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def load_average() -> str:
    return " / ".join(f"{one:.1f}" for one in os.getloadavg())


def machine() -> list[str]:
    """Return the machine's and the programs' public facts as Markdown."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    hardware = f"{os.cpu_count()} cores ({platform.machine()}), {memory / 1e9:.0f} GB of memory"
    packages = ", ".join(f"{name} {version(name)}" for name in ("boto3", "botocore", "urllib3"))
    return [
        f"- {hardware}, Linux {platform.release()}",
        f"- Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, {packages}",
        f"- {_first_line('radosgw', '--version')}; {_first_line('rclone', 'version')}",
        f"- load average at the start: {load_average()}",
    ]


def _first_line(name: str, argument: str) -> str:
    done = subprocess.run([program(name), argument], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
