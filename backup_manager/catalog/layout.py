"""Where the things of one backup lie in the bucket: under a directory, or beside an archive."""

from dataclasses import dataclass

from backup_manager.catalog.formats import MANIFEST, RECORD

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
    def prefix(self) -> str:
        """What the keys of all the backup's objects begin with, and no other backup's."""
        return self.root if self.archived else f"{self.root}/"

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
