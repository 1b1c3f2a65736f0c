"""The runs that earlier attempts left on the volume."""

from dataclasses import dataclass, field

from backup_manager.database.lease_document import Original
from backup_manager.volume.lock import IdentityLock
from backup_manager.volume.runs import Place, Run


@dataclass
class Dead:
    """A run that nobody holds; ``run`` is None where its journal is damaged."""

    place: Place
    run: Run | None


@dataclass
class Found:
    """The runs of earlier attempts that nobody holds.

    ``taken`` is the one that this command goes on with; the others are dead.
    """

    taken: Run | None = None
    dead: list[Dead] = field(default_factory=list)
    locks: list[IdentityLock] = field(default_factory=list)

    @property
    def lease_ids(self) -> set[str]:
        """The ids of the leases on the GC life time that these runs may have left."""
        taken = {self.taken.short_id} if self.taken else set()
        return taken | {dead.place.short_id for dead in self.dead}

    def gc_original(self, source: str) -> Original | None:
        """Return what the newest of these runs on ``source`` knows of the row before all leases."""
        for run in (self.taken, *(dead.run for dead in self.dead)):
            if run and run.fact("source_address") == source and run.journal.fact("gc_original"):
                if run.journal.fact("gc_returned"):
                    return None
                return Original(**run.load("gc_original"))
        return None

    def close(self) -> None:
        """Let go of the dead ones, which others may want to take up."""
        for dead in self.dead:
            if dead.run:
                dead.run.close()
        while self.locks:
            self.locks.pop().release()
