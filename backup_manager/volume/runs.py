"""The runs on a volume: one directory each, named after its identity and its backup.

<volume>/<identity>.backup-2026-11-22T10:00:00Z-1a2b3c4d/
    journal.sqlite
    dump/                  Dumpling's files
    manifest.jsonl.gz
<volume>/<identity>.lock
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from backup_manager.canonical import canonical, timestamp
from backup_manager.errors import BackupError
from backup_manager.volume.directory import remove_tree, sync_directory, volume_errors
from backup_manager.volume.journal import Journal
from backup_manager.volume.journal_file import DamagedJournalError

_NAME = re.compile(r"([0-9a-f]{16})\.(backup-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ-([0-9a-f]{8}))")
_JOURNAL = "journal.sqlite"
_SHORT = 8  # hex digits of the run's id in names and leases


def identity_of(facts: dict[str, Any]) -> str:
    """Return 16 hex digits that two runs share only if they make the same backup."""
    return hashlib.sha256(canonical(facts)).hexdigest()[:16]


@dataclass(frozen=True)
class Place:
    """Where a run keeps its things on the volume."""

    path: Path
    identity: str
    backup: str
    short_id: str

    @property
    def dump(self) -> Path:
        return self.path / "dump"

    @property
    def journal(self) -> Path:
        return self.path / _JOURNAL

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.jsonl.gz"

    def remove(self) -> None:
        """Remove all of it, the journal last: until then the next run knows what this one was."""
        remove_tree(self.dump)
        with volume_errors(f"{self.manifest} cannot be removed"):
            self.manifest.unlink(missing_ok=True)
        remove_tree(self.path)
        sync_directory(self.path.parent)


def find(volume: Path) -> list[Place]:
    """List the runs on the volume, newest first."""
    found = []
    with volume_errors(f"the volume {volume} cannot be listed"):
        for path in volume.iterdir():
            match = _NAME.fullmatch(path.name)
            # A link to a directory is not ours, and what it leads to still less.
            if match and path.is_dir() and not path.is_symlink():
                found.append(Place(path, match[1], match[2], match[3]))
    return sorted(found, key=lambda place: place.backup, reverse=True)


def lock_path(volume: Path, identity: str) -> Path:
    return volume / f"{identity}.lock"


class Run:
    """One attempt at a backup: its place on the volume and what its journal says."""

    def __init__(self, place: Place, journal: Journal) -> None:
        self.place = place
        self.journal = journal

    @classmethod
    def create(
        cls, volume: Path, identity: str, *, key: Callable[[str], str], facts: dict[str, str]
    ) -> "Run":
        """Begin a run: a new directory and journal that hold ``facts``. Raises VolumeError.

        ``key`` makes the key of the backup's directory in the bucket of its name.
        """
        run_id = uuid.uuid4().hex
        started = timestamp(datetime.now(UTC))
        backup = f"backup-{started}-{run_id[:_SHORT]}"
        place = Place(volume / f"{identity}.{backup}", identity, backup, run_id[:_SHORT])
        try:
            with volume_errors(f"{place.path} cannot be made"):
                place.path.mkdir(mode=0o700)
                place.dump.mkdir(mode=0o700)
            journal = Journal(place.journal, create=True)
            home = str(place.journal.stat().st_ino)
            journal.remember(id=run_id, started=started, directory=key(backup), home=home, **facts)
            sync_directory(place.path)
            sync_directory(volume)
        except BackupError:
            with suppress(BackupError):
                remove_tree(place.path)
            raise
        return cls(place, journal)

    @classmethod
    def open(cls, place: Place, *, look_only: bool = False) -> "Run":
        """Open a run that is there; raises DamagedJournalError. ``look_only``: see the journal."""
        run = cls(place, Journal(place.journal, look_only=look_only))
        if run.journal.fact("id") is None:
            run.close()
            raise DamagedJournalError("it was never begun")
        return run

    def fact(self, key: str) -> str:
        """Return a fact that every run has."""
        value = self.journal.fact(key)
        if value is None:
            raise KeyError(key)
        return value

    @property
    def id(self) -> str:
        return self.fact("id")

    @property
    def short_id(self) -> str:
        return self.place.short_id

    @property
    def directory(self) -> str:
        """The key of the backup's directory in the bucket, without a slash at its end."""
        return self.fact("directory")

    @property
    def dumped(self) -> bool:
        """Whether Dumpling has ended well and every file's final state is in the journal."""
        return self.journal.fact("dumped") is not None

    @property
    def at_home(self) -> bool:
        """Whether this journal was made here: a copied volume has the same, and others' things."""
        return self.journal.fact("home") == str(self.place.journal.stat().st_ino)

    @cached_property
    def whole(self) -> bool:
        """Whether the finished dump's files are still in the journal, all and as they were."""
        return self.journal.fact("digest") == self.journal.digest()

    @property
    def record(self) -> bytes | None:
        """The commit record, if its writing was begun."""
        text = self.journal.fact("record")
        return text.encode() if text is not None else None

    @property
    def snapshot_age_seconds(self) -> float:
        """How long ago the snapshot was taken, or the run begun, by this machine's clock."""
        moment = self.journal.fact("snapshot_taken") or self.fact("started")
        return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()

    def load(self, key: str) -> Any:
        """Return a fact that is JSON."""
        return json.loads(self.fact(key))

    def close(self) -> None:
        self.journal.close()
