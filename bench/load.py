"""The files that are measured with: Dumpling's double makes them, in its replay mode."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.doubles import __file__ as _doubles

DOUBLE = Path(_doubles).with_name("dumpling")
KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True)
class Load:
    """So many small files, and big ones spread among them; ``rate`` in bytes a second."""

    files: int = 0
    bytes: int = 0
    big_files: int = 0
    big_bytes: int = 0
    rate: int | None = None

    @property
    def total(self) -> int:
        return self.files * self.bytes + self.big_files * self.big_bytes

    def control(self) -> dict[str, str]:
        """Return the variable that asks the double for these files; the same ones each time."""
        replay = {
            "files": self.files,
            "bytes": self.bytes,
            "big": {"files": self.big_files, "bytes": self.big_bytes},
            "rate": self.rate,
            "seed": 1,
        }
        return {"DUMPLING_DOUBLE": json.dumps({"replay": replay})}

    def __str__(self) -> str:
        groups = [(self.files, self.bytes), (self.big_files, self.big_bytes)]
        text = " and ".join(f"{count:,} x {_size(size)}" for count, size in groups if count)
        return text + (f" at {self.rate / 1e6:g} MB/s" if self.rate else "")


def _size(count: int) -> str:
    return f"{count / MIB:g} MiB" if count >= MIB else f"{count / KIB:g} KiB"
