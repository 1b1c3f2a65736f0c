"""The journal: everything that one run decided or confirmed, in one SQLite file on the volume.

It is also the queue of files to send: a file is to be sent where its row is not confirmed, so
memory does not grow with the number of files, sent or not.
"""

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backup_manager.errors import BackupError
from backup_manager.volume.directory import FileState
from backup_manager.volume.faults import journal_errors, not_of_the_content
from backup_manager.volume.rows import (
    READ_ALL,
    SCHEMA,
    SELECT_FILES,
    FileRow,
    PartRow,
    UploadRow,
    file_row,
)

# What may be lost of the newest confirmations, as the contract has it.
_BATCH_ROWS = 256
_BATCH_SECONDS = 1.0
_PAGE_ROWS = 500
FORMAT = "1"
# Dumpling writes this file last; it goes up last too, so it never waits in the queue.
METADATA = "metadata"


class DamagedJournalError(Exception):
    """The journal cannot be read; nothing in it may be believed."""


class Journal:
    """One run's journal; safe to use from every thread.

    Durable by SQLite's rollback journal with ``synchronous=FULL``. Confirmations are committed in
    batches of 256 or 1 s, everything else at once. Raises VolumeError where the volume refuses.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the journal; raise DamagedJournalError if it is none that can be read.

        Raises HeldError where another process has it open.
        """
        self._lock = threading.RLock()
        self._dirty = 0
        self._dirty_since = 0.0
        self._closed = False
        self.path = path
        uri = f"file:{_quoted(path)}?mode={'rwc' if create else 'rw'}"
        if not create and not path.exists():
            raise DamagedJournalError("there is none")
        with journal_errors(path):
            self._db = sqlite3.connect(
                uri, uri=True, check_same_thread=False, isolation_level=None, timeout=5
            )
        if create:
            self._create()
        else:
            self._check()
        self.waiting = self._count("SELECT count(*) FROM files WHERE confirmed = 0 AND name <> ?")

    def _configure(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA synchronous = FULL")
        # No temporary files: the root file system may be read-only.
        self._db.execute("PRAGMA temp_store = MEMORY")

    def _create(self) -> None:
        try:
            with journal_errors(self.path):
                self._configure()
                self._db.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            self.remember(format=FORMAT)
        except BackupError:
            self._db.close()
            raise

    def _check(self) -> None:
        try:
            self._configure()
            (verdict,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
            facts = dict(self._db.execute("SELECT key, value FROM facts"))
            # A damaged name of a column, or a text that is no UTF-8, shows only in reading.
            for statement in READ_ALL:
                for _ in self._db.execute(statement):
                    pass
        except sqlite3.Error as error:
            self._db.close()
            with journal_errors(self.path):
                # What the volume refuses, and what another process holds, says nothing about what
                # is in the journal.
                if not_of_the_content(error):
                    raise
            raise DamagedJournalError(str(error)) from error
        if verdict != "ok" or facts.get("format") != FORMAT:
            self._db.close()
            raise DamagedJournalError(f"{verdict}; format {facts.get('format')}")

    def _count(self, statement: str) -> int:
        with self._reading():
            return int(self._db.execute(statement, (METADATA,)).fetchone()[0])

    # Writing -------------------------------------------------------------------------------

    @contextmanager
    def _writing(self, *, now: bool) -> Iterator[None]:
        """Write in the open transaction; commit it if asked, or if the batch is full."""
        with self._lock, journal_errors(self.path):
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
                self._dirty, self._dirty_since = 0, time.monotonic()
            yield
            self._dirty += 1
            if now or self._dirty >= _BATCH_ROWS:
                self._commit()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, journal_errors(self.path):
            yield

    def _commit(self) -> None:
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def tick(self) -> None:
        """Commit what is older than a second; to be called at least that often."""
        with self._lock, journal_errors(self.path):
            if self._db.in_transaction and time.monotonic() - self._dirty_since >= _BATCH_SECONDS:
                self._commit()

    def commit(self) -> None:
        """Make everything durable now."""
        with self._lock, journal_errors(self.path):
            self._commit()

    def close(self) -> None:
        """Commit and close; closing twice is nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                with journal_errors(self.path):
                    self._commit()
            finally:
                self._db.close()

    # Facts ---------------------------------------------------------------------------------

    def remember(self, **facts: str) -> None:
        """Write facts durably; each replaces the one of the same name."""
        with self._writing(now=True):
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())

    def fact(self, key: str) -> str | None:
        with self._reading():
            row = self._db.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    # Files ---------------------------------------------------------------------------------

    def offer(self, names: Iterable[str]) -> None:
        """Put files on the queue: new ones, and confirmed ones that were written again."""
        statement = (
            "INSERT INTO files (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET confirmed = 0 "
            "WHERE confirmed = 1"
        )
        with self._writing(now=False):
            for name in names:
                done = self._db.execute(statement, (name,)).rowcount
                if name != METADATA:
                    self.waiting += done

    def queued(self, limit: int) -> list[str]:
        """Return the oldest names on the queue, ``metadata`` excepted."""
        statement = "SELECT name FROM files WHERE confirmed = 0 AND name <> ? ORDER BY id LIMIT ?"
        with self._reading():
            return [row[0] for row in self._db.execute(statement, (METADATA, limit))]

    def settle(self, name: str, state: FileState) -> None:
        """Record a file's final state; it is on the queue from now on."""
        statement = (
            "INSERT INTO files (name, inode, bytes, mtime_ns, ctime_ns) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET inode = excluded.inode, bytes = excluded.bytes, "
            "mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, confirmed = 0"
        )
        with self._writing(now=False):
            before = self.file(name)
            self._db.execute(statement, (name, *state))
            if name != METADATA and (before is None or before.confirmed):
                self.waiting += 1

    def confirm(self, name: str, state: FileState, *, read_ns: int, sha256: str, etag: str) -> None:
        """Record that the store has confirmed the file as it was in that state."""
        statement = (
            "UPDATE files SET inode = ?, bytes = ?, mtime_ns = ?, ctime_ns = ?, read_ns = ?, "
            "sha256 = ?, etag = ?, confirmed = 1 WHERE name = ? AND confirmed = 0"
        )
        with self._writing(now=False):
            done = self._db.execute(statement, (*state, read_ns, sha256, etag, name)).rowcount
            if name != METADATA:
                self.waiting -= done

    def forget_sent(self, name: str) -> None:
        """Forget what the store has of a file, since something else is about to be sent."""
        statement = "UPDATE files SET sha256 = NULL, etag = NULL WHERE name = ? AND confirmed = 0"
        with self._writing(now=False):
            self._db.execute(statement, (name,))

    def distrust(self, name: str) -> None:
        """Put a confirmed file on the queue again, to be sent whatever was sent of it."""
        statement = (
            "UPDATE files SET confirmed = 0, sha256 = NULL, etag = NULL "
            "WHERE name = ? AND confirmed = 1"
        )
        with self._writing(now=False):
            done = self._db.execute(statement, (name,)).rowcount
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
                rows = self._db.execute(statement, (last, _PAGE_ROWS)).fetchall()
            yield from map(file_row, rows)
            if len(rows) < _PAGE_ROWS:
                return
            last = rows[-1][0]

    def totals(self) -> tuple[int, int]:
        """Count the files and add up their bytes."""
        with self._reading():
            row = self._db.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM files").fetchone()
        return int(row[0]), int(row[1])

    # Multipart uploads ---------------------------------------------------------------------

    def begin_upload(self, name: str, upload: UploadRow) -> None:
        """Write down an upload's id before any part of it is sent."""
        with self._writing(now=True):
            self._forget_parts(name)
            self._db.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?)",
                (name, upload.upload_id, upload.part_bytes, *upload.state),
            )

    def upload(self, name: str) -> UploadRow | None:
        with self._reading():
            row = self._db.execute("SELECT * FROM uploads WHERE name = ?", (name,)).fetchone()
        return UploadRow(row[1], row[2], FileState(*row[3:])) if row else None

    def confirm_part(self, upload_id: str, part: PartRow) -> None:
        with self._writing(now=False):
            self._db.execute(
                "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)",
                (upload_id, part.number, part.bytes, part.sha256, part.etag),
            )

    def parts(self, upload_id: str) -> list[PartRow]:
        with self._reading():
            rows = self._db.execute(
                "SELECT number, bytes, sha256, etag FROM parts WHERE upload_id = ?", (upload_id,)
            ).fetchall()
        return [PartRow(*row) for row in rows]

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


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
