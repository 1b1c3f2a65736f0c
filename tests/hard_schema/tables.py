"""Tables whose making is hard: keys, generated columns, defaults, comments, partitions."""

import re
from pathlib import Path

from tests.servers.sql import quoted

from .common import HARD, LATIN, Execute, table_name

_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_VERB = re.compile(r"(CREATE TABLE|ALTER TABLE|INSERT INTO|UPDATE) ")


def create(execute: Execute, *, tidb: bool) -> None:
    # Its name is ASCII: under the SET NAMES binary of Dumpling's files a MariaDB misreads the name
    # that a foreign key refers to.
    parent = table_name("a parent", LATIN)
    execute(f"CREATE TABLE {parent} (id INT PRIMARY KEY)")
    execute(f"INSERT INTO {parent} VALUES (1)")
    _run(execute, "tables.sql")
    _chunks(execute)
    if not tidb:
        _run(execute, "tables_mariadb.sql")


def _run(execute: Execute, script: str) -> None:
    text = Path(__file__).with_name(script).read_text(encoding="utf-8")
    for statement in _COMMENT.sub("", text).split(";\n")[:-1]:
        # Each runs over a connection of its own, which has no schema.
        execute(_VERB.sub(rf"\1 {quoted(HARD)}.", statement.lstrip(), count=1))


def _chunks(execute: Execute) -> None:
    """Enough rows for chunks, with a gap between them that leaves chunks empty."""
    name = table_name("chunks")
    execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(200))")
    rows = [(number if number < 1000 else number + 3000) for number in range(2000)]
    values = ",".join(f"({number},'{'v' * 100}{number}')" for number in rows)
    execute(f"INSERT INTO {name} VALUES {values}")


def create_hidden_column(execute: Execute) -> None:
    name = table_name("hidden_column")
    execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, h INT INVISIBLE DEFAULT 5, v INT)")
    execute(f"INSERT INTO {name} (id, h, v) VALUES (1, 6, 7), (2, 5, NULL)")
