"""The backups that are tortured: what is dumped, and what must come out of it."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.command import CANARY_PASSWORD, DOUBLE, find_dumpling
from tests.restore import Fetched
from tests.servers import Database

ACCOUNT = "backup"
SCHEMA = "torture"
_DATA_FILE = re.compile(r"(?P<table>.+)\.\d+\.sql")

# What is in a backup: of a table the number of its rows and a hash of all of them, of any other
# file a hash of what it holds.
Contents = dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Shape:
    """A kind of backup: the settings of its command, and the variables."""

    name: str
    settings: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    # The rows of the database's tables are in it, so that they can be counted there.
    real: bool = False
    # Nothing of the dump gets to the store before the dump is finished, and whoever strikes waits
    # for the journal's next commit: what was confirmed then is all but what it strikes at.
    late: bool = False


# A real dump, of small files only; with --rows=200 a table comes in several.
REAL = Shape(
    "real",
    {
        "dumpling": find_dumpling(),
        "dumpling_option": ["--threads=4", "--rows=200"],
        "table_filter": [f"{SCHEMA}.*"],
    },
    real=True,
)


def _replay(files: int, size: int) -> dict[str, str]:
    """Files of that size, and among them one of three parts: it goes up by a multipart upload."""
    plan = {"files": files, "bytes": size, "big": {"files": 1, "bytes": 40_000_000}}
    return {"DUMPLING_DOUBLE": json.dumps({"replay": plan})}


PARTS = Shape("parts", {"dumpling": DOUBLE, "table_filter": []}, _replay(6, 20_000))
LATE = Shape("late", PARTS.settings, _replay(12, 20_000), late=True)
SHAPES = {shape.name: shape for shape in (REAL, PARTS, LATE)}


def prepare(database: Database) -> None:
    """Make the schema and the account."""
    database.execute(f"CREATE DATABASE {SCHEMA}")
    for number, rows in enumerate((450, 90, 1), start=1):
        table = f"{SCHEMA}.table_{number}"
        database.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, note VARCHAR(200))")
        values = ", ".join(f"({row}, 'row {row} of {number}, ✓')" for row in range(rows))
        database.execute(f"INSERT INTO {table} VALUES {values}")
    database.create_account(ACCOUNT, CANARY_PASSWORD)


def source_rows(database: Database) -> dict[str, int]:
    """The number of rows of each table of the schema, as the dump's files name it."""
    return {
        f"{SCHEMA}.{table}": database.execute(f"SELECT COUNT(*) FROM {SCHEMA}.{table}")[0][0]
        for table in database.tables(SCHEMA)
    }


def contents(fetched: Fetched) -> Contents:
    """What is in a backup, whatever the order of rows and how tables are cut into files.

    ``metadata`` is left out, as it holds times.
    """
    found: Contents = {}
    rows: defaultdict[str, list[bytes]] = defaultdict(list)
    for row in fetched.rows:
        match = _DATA_FILE.fullmatch(row["name"])
        if match:
            lines = (fetched.files / row["name"]).read_bytes().splitlines()
            rows[match["table"]] += [line[:-1] for line in lines if line.startswith(b"(")]
        elif row["name"] != "metadata":
            found[row["name"]] = (0, row["sha256"])
    for table, lines in rows.items():
        found[table] = (len(lines), hashlib.sha256(b"\n".join(sorted(lines))).hexdigest())
    return found
