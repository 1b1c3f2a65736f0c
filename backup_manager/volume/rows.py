"""The journal's tables and the rows that are read from them."""

from dataclasses import dataclass, field

from backup_manager.volume.directory import FileState

SCHEMA = """
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    inode INTEGER, bytes INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    read_ns INTEGER,
    sha256 TEXT, etag TEXT,
    confirmed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX waiting ON files (id) WHERE confirmed = 0;
CREATE TABLE uploads (
    name TEXT PRIMARY KEY, upload_id TEXT NOT NULL, part_bytes INTEGER NOT NULL,
    inode INTEGER NOT NULL, bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE parts (
    upload_id TEXT NOT NULL, number INTEGER NOT NULL, bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, etag TEXT NOT NULL,
    PRIMARY KEY (upload_id, number)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class FileRow:
    """A file: its state, when it was read (wall clock, ns), and what the store has of it."""

    name: str
    state: FileState | None
    read_ns: int
    sha256: str | None
    etag: str | None
    confirmed: bool
    id: int = field(default=0, compare=False)


@dataclass(frozen=True)
class UploadRow:
    """A multipart upload that was begun, for a file in that state."""

    upload_id: str
    part_bytes: int
    state: FileState


@dataclass(frozen=True)
class PartRow:
    """A part that the store has confirmed."""

    number: int
    bytes: int
    sha256: str
    etag: str


SELECT_FILES = (
    "SELECT name, inode, bytes, mtime_ns, ctime_ns, read_ns, sha256, etag, confirmed, id FROM files"
)
# Every column of every table, by name.
READ_ALL = (
    SELECT_FILES,
    "SELECT name, upload_id, part_bytes, inode, bytes, mtime_ns, ctime_ns FROM uploads",
    "SELECT upload_id, number, bytes, sha256, etag FROM parts",
)


def file_row(row: tuple[str, int, int, int, int, int, str, str, int, int]) -> FileRow:
    """Read one row of SELECT_FILES."""
    state = FileState(*row[1:5]) if row[1] is not None else None
    return FileRow(row[0], state, row[5] or 0, row[6], row[7], bool(row[8]), row[9])
