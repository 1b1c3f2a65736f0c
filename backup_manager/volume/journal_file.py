"""The SQLite file under a journal: opened, looked through for damage, written in transactions."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backup_manager.errors import BackupError
from backup_manager.volume.faults import journal_errors, not_of_the_content
from backup_manager.volume.rows import DamagedRowError, checksum, intact
from backup_manager.volume.statements import COLUMNS, SCHEMA, select

# What may be lost of the newest confirmations, as the contract has it.
_BATCH_ROWS = 256
_BATCH_SECONDS = 1.0
_FORMAT = "1"


class DamagedJournalError(Exception):
    """The journal cannot be read; nothing in it may be believed."""


class JournalFile:
    """One SQLite file that one process has open; safe to use from every thread.

    Durable by SQLite's rollback journal with ``synchronous=FULL``. Confirmations are committed in
    batches of 256 or 1 s, everything else at once. Raises VolumeError where the volume refuses.
    """

    def __init__(self, path: Path, *, create: bool = False, look_only: bool = False) -> None:
        """Open the journal; raise DamagedJournalError if it is none that can be read.

        Raises HeldError where another process has it open. ``look_only``: neither the journal nor
        a lock on it is written, and a change that was cut off is not undone, so what is there may
        look damaged.
        """
        self._lock = threading.RLock()
        self._dirty = 0
        self._dirty_since = 0.0
        self._closed = False
        self._refused: BackupError | None = None
        self.path = path
        mode = "ro&immutable=1" if look_only else "rwc" if create else "rw"
        uri = f"file:{_quoted(path)}?mode={mode}"
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

    def _configure(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA synchronous = FULL")
        # No temporary files: the root file system may be read-only.
        self._db.execute("PRAGMA temp_store = MEMORY")
        self._db.create_function("checksum", -1, checksum, deterministic=True)

    def _create(self) -> None:
        try:
            with journal_errors(self.path):
                self._configure()
                self._db.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            self.remember(format=_FORMAT)
        except BackupError:
            self._db.close()
            raise

    def _check(self) -> None:
        try:
            self._configure()
            (verdict,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
            # Damage inside a value shows only in reading.
            for table, columns in COLUMNS.items():
                for row in self._db.execute(select(table)):
                    intact(row, len(columns))
            written = self.fact("format")
        except (sqlite3.Error, DamagedRowError, UnicodeDecodeError) as error:
            # UnicodeDecodeError: a damaged name may stand in SQLite's own message.
            self._db.close()
            with journal_errors(self.path):
                # What the volume refuses, and what another process holds, says nothing about what
                # is in the journal.
                if isinstance(error, sqlite3.Error) and not_of_the_content(error):
                    raise
            raise DamagedJournalError(str(error)) from error
        if verdict != "ok" or written != _FORMAT:
            self._db.close()
            raise DamagedJournalError(f"{verdict}; format {written}")

    @contextmanager
    def _writing(self, *, now: bool) -> Iterator[None]:
        """Write in the open transaction; commit it if asked, or if the batch is full."""
        with self._lock, self._changing():
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
                self._dirty, self._dirty_since = 0, time.monotonic()
            yield
            self._dirty += 1
            if now or self._dirty >= _BATCH_ROWS:
                self._commit()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Refuse every change once one was refused.

        SQLite undoes the whole batch then: nothing may be built on what was in it.
        """
        if self._refused:
            raise self._refused
        try:
            with journal_errors(self.path):
                yield
        except BackupError as error:
            self._refused = error
            raise

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, journal_errors(self.path):
            yield

    def _commit(self) -> None:
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def tick(self) -> None:
        """Commit what is older than a second; to be called at least that often."""
        with self._lock, self._changing():
            if self._db.in_transaction and time.monotonic() - self._dirty_since >= _BATCH_SECONDS:
                self._commit()

    def commit(self) -> None:
        """Make everything durable now."""
        with self._lock, self._changing():
            self._commit()

    def close(self) -> None:
        """Commit and close; closing twice is nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                with journal_errors(self.path):
                    if not self._refused:
                        self._commit()
            finally:
                self._db.close()

    def remember(self, **facts: str) -> None:
        """Write facts durably; each replaces the one of the same name."""
        rows = [(key, value, checksum(key, value)) for key, value in facts.items()]
        with self._writing(now=True):
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", rows)

    def fact(self, key: str) -> str | None:
        with self._reading():
            row = self._db.execute(f"{select('facts')} WHERE key = ?", (key,)).fetchone()
            return str(intact(row, 2)[1]) if row else None


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
