"""Where the things of one backup lie in the bucket: under a directory, or beside an archive."""

from dataclasses import dataclass

from backup_manager.catalog.formats import MANIFEST, RECORD, TOMBSTONE

ARCHIVE_SUFFIX = ".tgz"


@dataclass(frozen=True)
class Layout:
    """The keys of one backup.

    ``root`` is the key of its directory, without a slash at its end, or of its archive, which is
    told by its ``.tgz``: the name of a directory ends with hex digits.
    """

    root: str

    @property
    def archived(self) -> bool:
        return self.root.endswith(ARCHIVE_SUFFIX)

    @property
    def record(self) -> str:
        return self._own(RECORD)

    @property
    def manifest(self) -> str:
        return self._own(MANIFEST)

    @property
    def tombstone(self) -> str:
        """The object that tells that the backup's removal was begun; see ``condemns``."""
        return self._own(TOMBSTONE)

    def condemns(self, key: str, size: int) -> bool:
        """Tell of a listed object whether it says that the backup is being removed.

        An empty tombstone is one that was taken back by a key that may not delete.
        """
        return key == self.tombstone and size > 0

    @property
    def prefix(self) -> str:
        """What the keys of all the backup's objects begin with, and no other backup's."""
        return self.root if self.archived else f"{self.root}/"

    def owns(self, key: str) -> bool:
        """Tell of a key that begins with the prefix whether its object is part of the backup.

        Beside an archive there may lie what others have put there: a copy of it, or a directory
        into which it was unpacked. Its upload by TiDB Operator ends in .tmp.
        """
        own = {self.root, f"{self.root}.tmp", self.record, self.manifest, self.tombstone}
        return not self.archived or key in own

    def key(self, name: str) -> str:
        """Return the key of the object that a file of the dump lies in."""
        return self.root if self.archived else f"{self.root}/{name}"

    def name(self, key: str) -> str:
        """Return a key as messages name it: relative to the directory, or to the archive's own."""
        return key[key.rfind("/") + 1 :] if self.archived else key.removeprefix(self.prefix)

    def _own(self, name: str) -> str:
        return f"{self.root}.{name}" if self.archived else f"{self.root}/{name}"


def relative(key: str) -> str:
    """Return a key relative to the record, which lies beside it."""
    return key.rpartition("/")[2]
