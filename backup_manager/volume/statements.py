# ruff: noqa: S608 - every piece of these statements is a constant of this module
"""The journal's SQL: its tables, each row with its checksum, and what is done to ``files``."""

# Each table's columns in the order in which its checksum takes them.
COLUMNS = {
    "facts": ("key", "value"),
    "files": (
        "name", "inode", "bytes", "mtime_ns", "ctime_ns", "read_ns", "sha256", "etag", "confirmed",
    ),
    "uploads": (
        "name", "upload_id", "part_bytes", "inode", "bytes", "mtime_ns", "ctime_ns",
    ),
    "parts": ("upload_id", "number", "bytes", "sha256", "etag"),
}  # fmt: skip
SCHEMA = """
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    inode INTEGER, bytes INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    read_ns INTEGER,
    sha256 TEXT, etag TEXT,
    confirmed INTEGER NOT NULL DEFAULT 0,
    crc INTEGER NOT NULL
);
CREATE INDEX waiting ON files (id) WHERE confirmed = 0;
CREATE TABLE uploads (
    name TEXT PRIMARY KEY, upload_id TEXT NOT NULL, part_bytes INTEGER NOT NULL,
    inode INTEGER NOT NULL, bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL, crc INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE parts (
    upload_id TEXT NOT NULL, number INTEGER NOT NULL, bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, etag TEXT NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (upload_id, number)
) WITHOUT ROWID;
"""


def select(table: str, *more: str) -> str:
    """Return the query of a table's columns, then its checksum, then ``more`` columns."""
    return f"SELECT {', '.join((*COLUMNS[table], 'crc', *more))} FROM {table}"


def _crc(**new: str) -> str:
    """Return the SQL of the checksum of a row of ``files`` whose columns ``new`` are set to that.

    ``checksum`` is a function that the connection must have.
    """
    return f"checksum({', '.join(new.get(name, name) for name in COLUMNS['files'])})"


def _new_crc(name: str, *state: str) -> str:
    """Return the same for a new row, of that name and state (nothing else is known of it)."""
    values = [name, *(state or ["NULL"] * 4), "NULL", "NULL", "NULL", "0"]
    return f"checksum({', '.join(values)})"


SELECT_FILES = select("files", "id")
OFFER = (
    f"INSERT INTO files (name, crc) VALUES (?1, {_new_crc('?1')}) "
    f"ON CONFLICT (name) DO UPDATE SET confirmed = 0, crc = {_crc(confirmed='0')} "
    "WHERE confirmed = 1"
)
_STATE = {"inode": "?2", "bytes": "?3", "mtime_ns": "?4", "ctime_ns": "?5"}
SETTLE = (
    "INSERT INTO files (name, inode, bytes, mtime_ns, ctime_ns, crc) "
    f"VALUES (?1, ?2, ?3, ?4, ?5, {_new_crc('?1', *_STATE.values())}) "
    "ON CONFLICT (name) DO UPDATE SET inode = ?2, bytes = ?3, mtime_ns = ?4, ctime_ns = ?5, "
    f"confirmed = 0, crc = {_crc(**_STATE, confirmed='0')}"
)
CONFIRM = (
    "UPDATE files SET inode = ?2, bytes = ?3, mtime_ns = ?4, ctime_ns = ?5, read_ns = ?6, "
    "sha256 = ?7, etag = ?8, confirmed = 1, crc = "
    f"{_crc(**_STATE, read_ns='?6', sha256='?7', etag='?8', confirmed='1')} "
    "WHERE name = ?1 AND confirmed = 0"
)
HASH = f"UPDATE files SET sha256 = ?2, crc = {_crc(sha256='?2')} WHERE name = ?1"
FORGET = (
    "UPDATE files SET sha256 = NULL, etag = NULL, "
    f"crc = {_crc(sha256='NULL', etag='NULL')} WHERE name = ? AND confirmed = 0"
)
PUT_UPLOAD = "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
DISTRUST = (
    "UPDATE files SET confirmed = 0, sha256 = NULL, etag = NULL, "
    f"crc = {_crc(confirmed='0', sha256='NULL', etag='NULL')} "
    "WHERE name = ? AND confirmed = 1"
)
