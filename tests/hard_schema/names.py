"""Names of tables and columns that are hard to quote, to escape and to tell apart."""

from tests.servers.sql import quoted

from .common import HARD, ODD, Execute, table_name

ODD_TABLE = 'we/ird %name*".\\x:<>?|'
_COLUMN = "co`l.u mn %s'\""
_TABLES = (
    ODD_TABLE,
    "a b:c",
    "t-schema",
    "t-schema-view",
    "t.000000000.sql",
    "dash-ed--",
    "--",
    "'; DROP TABLE x; #",
    "%41 %2E%zz",
    "\\N",
    "tab\tand\nline",
    "..",
    "表 é",
    "e\N{COMBINING ACUTE ACCENT} is no é",
    "back`quote",
    "select",
    "123",
    "1e5",
    "n" * 64,
)
_CASES = ("case", "Case", "CASE")
_EMOJI = "pile of \N{PILE OF POO}"
_COLUMNS = (_COLUMN, "select", "a.b", "`", " front", "é 表", "#", "c" * 64)


def create(execute: Execute, *, tidb: bool) -> None:
    column = quoted(_COLUMN)
    for name in (*_TABLES, *([_EMOJI] if tidb else _CASES)):
        for schema in (HARD, ODD):
            table = table_name(name, schema)
            execute(f"CREATE TABLE {table} ({column} INT PRIMARY KEY, v TEXT)")
            execute(f"INSERT INTO {table} VALUES (1, 'one'), (2, {len(name)})")
    table = table_name("columns")
    execute(f"CREATE TABLE {table} ({', '.join(f'{quoted(name)} INT' for name in _COLUMNS)})")
    execute(f"INSERT INTO {table} VALUES ({', '.join(map(str, range(len(_COLUMNS))))})")
