"""One object of a user's file, with the line on which each of its fields stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Document:
    """An object as it was read; ``lines`` by paths such as spec.s3.options[0], from 1 on.

    ``spelled`` has what stands in the file for each value that is no text, as 012 for 10.
    """

    file: str
    body: Mapping[str, Any]
    lines: Mapping[str, int]
    spelled: Mapping[str, str]

    def line(self, path: str) -> int:
        """Return the line of a field; of what is around it where it is not there."""
        while path not in self.lines and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines[path]

    def get(self, path: str) -> Any:
        """Return a field; None where it, or what should hold it, is not there."""
        value: Any = self.body
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        return value

    @property
    def kind(self) -> str:
        return str(self.body.get("kind"))

    @property
    def name(self) -> str:
        return str(self.get("metadata.name"))

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
