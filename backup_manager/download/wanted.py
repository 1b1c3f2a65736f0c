"""The files of a backup that are to be in a directory in the end, and which of them are there."""

from collections.abc import Callable, Iterator

from backup_manager.catalog import tar
from backup_manager.catalog.contents import Manifest
from backup_manager.catalog.manifest import ManifestRow
from backup_manager.download.room import Room
from backup_manager.download.selection import Selection
from backup_manager.download.target import Target
from backup_manager.errors import MismatchError


class Wanted:
    """What a selection takes of a manifest: ``files``, ``directories`` and ``bytes`` in all.

    ``missing`` is how many files were not there when they were looked at. Memory does not grow with
    the files.
    """

    def __init__(self, manifest: Manifest, selection: Selection) -> None:
        self.manifest = manifest
        self.selection = selection
        self.files = self.directories = self.bytes = self.missing = 0

    def rows(self) -> Iterator[ManifestRow]:
        return (row for row in self.manifest.rows() if self.selection.takes(row.name))

    def names(self) -> Iterator[str]:
        """Yield the names of all files and of the directories that they are in."""
        before = ""
        for row in self.rows():
            yield from tar.new_directories(row.name, before)
            yield row.name
            before = row.name

    def look(self, target: Target, check: Callable[[], None]) -> Room:
        """Count what is wanted, and return the room that what is missing of it needs.

        ``check`` is called for each file, and may raise to end it. Raises UsageError where the
        target holds anything else, or another file or link is in the place of one.
        """
        room = Room(target.path)
        there, before = 0, ""
        for row in self.rows():
            check()
            if target.is_own(row.name):
                raise _no_file_of_a_dump(row.name)
            for directory in tar.new_directories(row.name, before):
                self.directories += 1
                if target.has_directory(directory):
                    there += 1
                else:
                    room.directory()
            before = row.name
            self.files += 1
            self.bytes += row.bytes
            if target.has(row.name, row.bytes):
                there += 1
            else:
                self.missing += 1
                room.file(row.name, row.bytes, target.begun_bytes(row.name))
        target.expect(there, self.names)
        return room


def _no_file_of_a_dump(name: str) -> MismatchError:
    return MismatchError(
        f"the manifest names {name}",
        why="no file of a dump is called so",
        fix="find out who wrote it: this backup cannot be trusted",
    )
