"""How the files of a backup come into a directory: each from its object, or out of the archive."""

import hashlib
import threading
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import NamedTuple

from backup_manager.ahead import ahead
from backup_manager.catalog.backups import Backup
from backup_manager.catalog.catalog import Catalog
from backup_manager.catalog.contents import Contents
from backup_manager.catalog.formats import ArchiveFacts
from backup_manager.catalog.layout import ARCHIVE_SUFFIX
from backup_manager.catalog.manifest import ManifestRow
from backup_manager.download.staging import Part
from backup_manager.download.target import Target
from backup_manager.download.unpack import ArchiveError, unpack
from backup_manager.download.wanted import Wanted
from backup_manager.errors import BackupError, MismatchError
from backup_manager.progress import Figures, Progress
from backup_manager.store.reader import RANGE_BYTES

_OTHER = "its bytes are not those that were written: other SHA-256"


class Outcome(NamedTuple):
    """What became of a file: it is in its place, or ``wrong`` says why not.

    ``there``: it was in the directory before, and if it is wrong, that is the directory's fault.
    """

    row: ManifestRow
    there: bool = False
    wrong: str = ""


class Fetcher:
    """Brings what is wanted of a backup into a directory that this process holds."""

    def __init__(
        self, catalog: Catalog, backup: Backup, wanted: Wanted, target: Target, progress: Progress
    ) -> None:
        self.took_up = False  # a file that an earlier run had begun
        self._catalog = catalog
        self._layout = backup.layout
        self._url = backup.url
        self._wanted = wanted
        self._target = target
        self._progress = progress
        self._contents = Contents(catalog)
        # Without a file that is missing the archive is not needed.
        self._archive = wanted.manifest.record.archive if wanted.missing else None
        self._known = self._archive.bytes if self._archive else wanted.bytes
        self._lock = threading.Lock()
        self._files = self._bytes = self._moved = 0
        self._failure: BackupError | None = None

    def outcomes(self) -> Generator[Outcome]:
        """Yield what became of each file.

        Raises VolumeError, StoreError, and MismatchError for an archive that is damaged; at once,
        though files before that one may still be under way.
        """
        if self._archive:
            found: Generator[Outcome] = self._unpacked(self._archive)
        else:
            at_once = self._catalog.store.options.pace.requests_at_once
            found = ahead(self._guarded, self._wanted.rows(), at_once=at_once, look=self._look)
        with closing(found):
            for outcome in found:
                self._files += 1
                self._look()
                yield outcome

    # From objects ---------------------------------------------------------------------------

    def _guarded(self, row: ManifestRow) -> Outcome:
        try:
            return self._there(row) or self._fetched(row)
        except BackupError as error:
            # Others need not wait for their turn to hear of a full disk.
            self._failure = self._failure or error
            raise

    def _there(self, row: ManifestRow) -> Outcome | None:
        """Hash a file that is there already."""
        if not self._target.has(row.name, row.bytes):
            return None
        seen = self._passing if self._archive else self._count
        fits = self._target.sha256(row.name, seen) == row.sha256
        return Outcome(row, there=True, wrong="" if fits else "it has other bytes")

    def _fetched(self, row: ManifestRow) -> Outcome:
        with self._target.part(row.name) as part:
            # Of what comes in one piece a beginning is worth nothing.
            if row.bytes > RANGE_BYTES:
                part.take_up(row.bytes, self._count)
            else:
                part.restart()
            begun = part.bytes
            try:
                self._fill(part, row)
                if begun and part.sha256 != row.sha256:
                    # It may be the beginning, which a crash of the machine can spoil.
                    begun = 0
                    self._count(-row.bytes)
                    part.restart()
                    self._fill(part, row)
            except MismatchError as error:
                self._target.drop(row.name)
                return Outcome(row, wrong=error.why)
            self.took_up |= begun > 0
            return self._placed(row, part)

    def _fill(self, part: Part, row: ManifestRow) -> None:
        blocks = self._contents.blocks(self._layout.key(row.name), row.bytes, part.bytes)
        with closing(blocks):
            for block in blocks:
                part.write(block)
                self._count(len(block))

    def _placed(self, row: ManifestRow, part: Part) -> Outcome:
        if part.sha256 != row.sha256:
            self._target.drop(row.name)
            return Outcome(row, wrong=_OTHER)
        self._target.place(row.name, part)
        return Outcome(row)

    # From an archive ------------------------------------------------------------------------

    def _unpacked(self, archive: ArchiveFacts) -> Generator[Outcome]:
        digest = hashlib.sha256()
        record = self._wanted.manifest.record
        top = archive.key.removesuffix(ARCHIVE_SUFFIX)
        moment = int(record.started.timestamp())
        with closing(self._stream(archive, digest)) as stream:
            files = unpack(stream, self._wanted.manifest.rows(), top=top, moment=moment)
            try:
                for row, pieces in files:
                    if self._wanted.selection.takes(row.name):
                        yield self._there(row) or self._written(row, pieces)
            except ArchiveError as error:
                raise self._damaged(str(error)) from error
        if digest.hexdigest() != archive.sha256:
            raise self._damaged("its SHA-256 is not the one that the record has")

    def _stream(self, archive: ArchiveFacts, digest: "hashlib._Hash") -> Generator[bytes]:
        with closing(self._contents.blocks(self._layout.root, archive.bytes)) as blocks:
            for block in blocks:
                digest.update(block)
                yield block
                self._count(len(block))
                self._look()

    def _written(self, row: ManifestRow, pieces: Iterable[bytes]) -> Outcome:
        with self._target.part(row.name) as part:
            part.restart()
            for piece in pieces:
                part.write(piece)
                self._passing(len(piece))
            return self._placed(row, part)

    def _damaged(self, why: str) -> MismatchError:
        return MismatchError(
            f"the archive {self._url} is damaged",
            why=why,
            fix="take another backup; what has its place in the directory was hashed and is whole",
        )

    # How far it is --------------------------------------------------------------------------

    def _count(self, count: int) -> None:
        """Count bytes of what is known; raise what ends it all."""
        self._passing(count)
        with self._lock:
            self._bytes += count
            self._moved += max(0, count)

    def _passing(self, _count: int) -> None:
        self._catalog.stop.check()
        if self._failure:
            raise self._failure

    def _look(self) -> None:
        self._passing(0)
        self._progress.show(
            "downloading",
            Figures(
                verb="fetch",
                files_sent=self._files,
                files_waiting=self._wanted.files - self._files,
                sent_bytes=self._bytes,
                known_bytes=self._known,
                moved_bytes=self._moved,
                complete=True,
            ),
        )
