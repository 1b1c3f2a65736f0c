"""What is known of one setting."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Definition:
    """One setting: its flag without dashes, how its text is read, and what it is without one.

    ``choices`` are the values to offer where a shell completes it; others may be right too.
    ``go``: a switch that is spelled as Go's, ``--flag=true``.
    """

    flag: str
    help: str
    parse: Callable[[str], Any] = str
    default: str | None = None
    variable: str | None = None
    metavar: str = "TEXT"
    repeated: bool = False
    switch: bool = False
    go: bool = False
    choices: Collection[str] = ()

    @property
    def name(self) -> str:
        return self.flag.replace("-", "_")

    @property
    def own_variable(self) -> str:
        return f"BACKUP_MANAGER_{self.name.upper()}"
