"""What the journal of a run that has ended holds as confirmed."""

import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Confirmed:
    """Bytes by the name of a file, and by the name of a file and the number of a part."""

    dumped: bool = False
    files: dict[str, int] = field(default_factory=dict)
    parts: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        parts = (size for (name, _), size in self.parts.items() if name not in self.files)
        return sum(self.files.values()) + sum(parts)


def read(volume: Path) -> Confirmed:
    """What the newest journal on the volume holds; nothing where none can be read.

    It is read in a copy, with the rollback journal beside it: a transaction that was under way is
    undone there, as the next run will.
    """
    journals = sorted(volume.glob("*.backup-*/journal.sqlite"), key=lambda path: path.parent.name)
    if not journals:
        return Confirmed()
    with tempfile.TemporaryDirectory(prefix="journal-") as name:
        for ending in ("", "-journal"):
            with suppress(FileNotFoundError):
                shutil.copy(f"{journals[-1]}{ending}", name)
        with (
            closing(sqlite3.connect(Path(name) / journals[-1].name)) as journal,
            suppress(sqlite3.DatabaseError),  # killed before there was a table
        ):
            return _read(journal)
    return Confirmed()


def _read(journal: sqlite3.Connection) -> Confirmed:
    files = journal.execute("SELECT name, bytes FROM files WHERE confirmed = 1")
    parts = journal.execute(
        "SELECT uploads.name, parts.number, parts.bytes FROM parts JOIN uploads USING (upload_id)"
    )
    dumped = journal.execute("SELECT count(*) FROM facts WHERE key = 'dumped'").fetchone()[0]
    return Confirmed(
        bool(dumped), dict(files), {(file, number): size for file, number, size in parts}
    )
