"""The journal: everything that one run decided or confirmed, in one SQLite file on the volume.

It is also the queue of files to send: a file is to be sent where its row is not confirmed, so
memory does not grow with the number of files, sent or not.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from backup_manager.volume.directory import FileState
from backup_manager.volume.journal_file import JournalFile
from backup_manager.volume.rows import FileRow, PartRow, UploadRow, checksum, file_row, intact
from backup_manager.volume.statements import (
    CONFIRM,
    DISTRUST,
    FORGET,
    HASH,
    OFFER,
    PUT_UPLOAD,
    SELECT_FILES,
    SETTLE,
    select,
)

_PAGE_ROWS = 500
# Dumpling writes this file last; it goes up last too, so it never waits in the queue.
METADATA = "metadata"


class Journal(JournalFile):
    """One run's journal: its facts (see JournalFile), its files and their multipart uploads."""

    def __init__(self, path: Path, *, create: bool = False, look_only: bool = False) -> None:
        super().__init__(path, create=create, look_only=look_only)
        statement = "SELECT count(*) FROM files WHERE confirmed = 0 AND name <> ?"
        with self._reading():
            self.waiting = int(self._db.execute(statement, (METADATA,)).fetchone()[0])

    # Files ---------------------------------------------------------------------------------

    def offer(self, names: Iterable[str]) -> None:
        """Put files on the queue: new ones, and confirmed ones that were written again."""
        with self._writing(now=False):
            for name in names:
                done = self._db.execute(OFFER, (name,)).rowcount
                if name != METADATA:
                    self.waiting += done

    def queued(self, limit: int) -> list[str]:
        """Return the oldest names on the queue, ``metadata`` excepted."""
        statement = "SELECT name FROM files WHERE confirmed = 0 AND name <> ? ORDER BY id LIMIT ?"
        with self._reading():
            return [row[0] for row in self._db.execute(statement, (METADATA, limit))]

    def settle(self, name: str, state: FileState) -> None:
        """Record a file's final state; it is on the queue from now on."""
        with self._writing(now=False):
            before = self.file(name)
            self._db.execute(SETTLE, (name, *state))
            if name != METADATA and (before is None or before.confirmed):
                self.waiting += 1

    def adopt(self, states: Iterable[tuple[str, FileState]]) -> None:
        """Take over the states of waiting files of which only owner or mode were changed.

        All of them or none: the digest of a finished dump goes with them.
        """
        with self._writing(now=False):
            for name, state in states:
                self._db.execute(SETTLE, (name, *state))
                upload = self.upload(name)
                if upload:
                    row = (name, upload.upload_id, upload.part_bytes, *state)
                    self._db.execute(PUT_UPLOAD, (*row, checksum(*row)))
        self.remember(digest=self.digest())

    def confirm(self, name: str, state: FileState, *, read_ns: int, sha256: str, etag: str) -> None:
        """Record that the store has confirmed the file as it was in that state."""
        row = (name, *state, read_ns, sha256, etag)
        with self._writing(now=False):
            done = self._db.execute(CONFIRM, row).rowcount
            if name != METADATA:
                self.waiting -= done

    def hash_file(self, name: str, sha256: str) -> None:
        """Record a file's hash, as it went into an archive; it stays unconfirmed."""
        with self._writing(now=False):
            self._db.execute(HASH, (name, sha256))

    def forget_sent(self, name: str) -> None:
        """Forget what the store has of a file, since something else is about to be sent."""
        with self._writing(now=False):
            self._db.execute(FORGET, (name,))

    def distrust(self, name: str) -> None:
        """Put a confirmed file on the queue again, to be sent whatever was sent of it."""
        with self._writing(now=False):
            done = self._db.execute(DISTRUST, (name,)).rowcount
            if name != METADATA:
                self.waiting += done

    def file(self, name: str) -> FileRow | None:
        with self._reading():
            row = self._db.execute(f"{SELECT_FILES} WHERE name = ?", (name,)).fetchone()
            return file_row(row) if row else None

    def files(self, *, waiting_only: bool = False) -> Iterator[FileRow]:
        """Walk the files by name in the order of their UTF-8 bytes, a page at a time."""
        only = "AND confirmed = 0" if waiting_only else ""
        statement = f"{SELECT_FILES} WHERE name > ? {only} ORDER BY name LIMIT ?"
        last = ""
        while True:
            with self._reading():
                rows = [file_row(row) for row in self._db.execute(statement, (last, _PAGE_ROWS))]
            yield from rows
            if len(rows) < _PAGE_ROWS:
                return
            last = rows[-1].name

    def totals(self) -> tuple[int, int]:
        """Count the files and add up their bytes."""
        with self._reading():
            row = self._db.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM files").fetchone()
        return int(row[0]), int(row[1])

    def unsent_bytes(self) -> int:
        """Add up what is still to be sent of the files whose state is recorded: not their parts."""
        with self._reading():
            row = self._db.execute(
                "SELECT coalesce(sum(bytes), 0) - (SELECT coalesce(sum(bytes), 0) FROM parts) "
                "FROM files WHERE confirmed = 0 AND name <> ?",
                (METADATA,),
            ).fetchone()
        return max(0, int(row[0]))

    def digest(self) -> str:
        """Return a SHA-256 of all names and states: no file was lost and none is an older row.

        A rollback journal that is damaged leaves whole rows of two ages side by side.
        """
        digest = hashlib.sha256()
        for row in self.files():
            digest.update(repr((row.name, row.state)).encode())
        return digest.hexdigest()

    # Multipart uploads ---------------------------------------------------------------------

    def begin_upload(self, name: str, upload: UploadRow) -> None:
        """Write down an upload's id before any part of it is sent."""
        row = (name, upload.upload_id, upload.part_bytes, *upload.state)
        with self._writing(now=True):
            self._forget_parts(name)
            self._db.execute(PUT_UPLOAD, (*row, checksum(*row)))

    def upload(self, name: str) -> UploadRow | None:
        """Return the upload that was begun for a file, unless it was ended."""
        with self._reading():
            row = self._db.execute(f"{select('uploads')} WHERE name = ?", (name,)).fetchone()
            if row is None:
                return None
            _, upload_id, part_bytes, *state = intact(row, 7)
            return UploadRow(upload_id, part_bytes, FileState(*state))

    def uploads(self) -> list[tuple[str, str]]:
        """Return the uploads that were begun and not ended: file and upload id."""
        with self._reading():
            return [intact(row, 7)[:2] for row in self._db.execute(select("uploads"))]

    def confirm_part(self, upload_id: str, part: PartRow) -> None:
        row = (upload_id, part.number, part.bytes, part.sha256, part.etag)
        with self._writing(now=False):
            self._db.execute(
                "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?)", (*row, checksum(*row))
            )

    def parts(self, upload_id: str) -> list[PartRow]:
        with self._reading():
            statement = f"{select('parts')} WHERE upload_id = ? ORDER BY number"
            rows = self._db.execute(statement, (upload_id,))
            return [PartRow(*intact(row, 5)[1:]) for row in rows]

    def end_upload(self, name: str) -> None:
        """Forget an upload that was completed or aborted."""
        with self._writing(now=False):
            self._forget_parts(name)
            self._db.execute("DELETE FROM uploads WHERE name = ?", (name,))

    def _forget_parts(self, name: str) -> None:
        self._db.execute(
            "DELETE FROM parts WHERE upload_id IN (SELECT upload_id FROM uploads WHERE name = ?)",
            (name,),
        )
