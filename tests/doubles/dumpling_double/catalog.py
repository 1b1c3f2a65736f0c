"""What there is to dump: databases, tables, their columns and keys."""

import re
from dataclasses import dataclass, field

from .errors import DumpError
from .formatting import Column
from .options import Options
from .session import Session, literal, quoted

_INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint"}
_BASE = {"BASE TABLE", "SYSTEM VERSIONED"}
_GENERATED = re.compile(r"\b(STORED|VIRTUAL|PERSISTENT)\b")


@dataclass
class Table:
    """A base table, view or sequence; columns and keys are filled in when its turn comes."""

    schema: str
    name: str
    kind: str
    estimate: int
    columns: list[Column] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    split_by: str = ""
    lists_columns: bool = False

    @property
    def quoted(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"


Catalog = dict[str, list[Table]]


def databases(session: Session, options: Options) -> list[str]:
    """Those that the account sees and the filter lets through; the others go unsaid (facts)."""
    seen = [name for (name,) in session.query("SHOW DATABASES")]
    chosen = [name for name in seen if options.filter.schema(name)]
    if not options.databases:
        return chosen
    unknown = [name for name in options.databases if name not in chosen]
    if unknown:
        raise DumpError(f"Unknown databases [{','.join(unknown)}]")
    return options.databases


def _kinds(options: Options) -> dict[str, str]:
    kinds = dict.fromkeys(_BASE, "table")
    if not options.no_views:
        kinds["VIEW"] = "view"
    if not options.no_sequences:
        kinds["SEQUENCE"] = "sequence"
    return kinds


def read(session: Session, options: Options) -> Catalog:
    catalog: Catalog = {}
    kinds = _kinds(options)
    for schema in databases(session, options):
        rows = session.query(
            "SELECT TABLE_NAME, TABLE_TYPE, TABLE_ROWS FROM information_schema.TABLES"
            f" WHERE TABLE_SCHEMA = {literal(schema)} ORDER BY TABLE_NAME"
        )
        tables = [
            Table(schema, name, kinds[kind], int(count or 0))
            for name, kind, count in rows
            if kind in kinds and options.filter.table(schema, name)
        ]
        if tables or options.dump_empty_database:
            catalog[schema] = tables
    return catalog


def describe(session: Session, table: Table, options: Options, *, tidb: bool) -> None:
    """Fill in what is needed to read the table."""
    where = f" WHERE TABLE_SCHEMA = {literal(table.schema)} AND TABLE_NAME = {literal(table.name)}"
    rows = session.query(
        "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, EXTRA"
        f" FROM information_schema.COLUMNS{where} ORDER BY ORDINAL_POSITION"
    )
    table.columns = [
        Column(
            name=name,
            type=kind.lower(),
            width=_bits(column_type),
            has_charset=charset is not None,
            generated=bool(_GENERATED.search((extra or "").upper())),
        )
        for name, kind, column_type, charset, extra in rows
    ]
    hidden = any("INVISIBLE" in (extra or "").upper() for *_, extra in rows)
    generated = any(column.generated for column in table.columns)
    table.lists_columns = generated or hidden or options.complete_insert
    keys = session.query(
        "SELECT INDEX_NAME, NON_UNIQUE, SEQ_IN_INDEX, COLUMN_NAME"
        f" FROM information_schema.STATISTICS{where} ORDER BY INDEX_NAME, SEQ_IN_INDEX"
    )
    primary = [column for index, _, _, column in keys if index == "PRIMARY"]
    integers = {column.name for column in table.columns if column.type in _INTEGERS}
    unique = [column for _, loose, place, column in keys if not int(loose) and int(place) == 1]
    table.split_by = next((name for name in primary + unique if name in integers), "")
    table.order = primary if options.order_by_primary_key else []
    if tidb and not primary and _has_row_id(session, table):
        table.split_by = "_tidb_rowid"
        table.order = ["_tidb_rowid"] if options.order_by_primary_key else []


def _bits(column_type: str) -> int:
    matched = re.match(r"bit\((\d+)\)", column_type)
    return int(matched[1]) if matched else 1


def _has_row_id(session: Session, table: Table) -> bool:
    try:
        session.query(f"SELECT _tidb_rowid FROM {table.quoted} LIMIT 0")
    except DumpError as error:
        if "Error 1054" in str(error):
            return False
        raise
    return True


def create_database(session: Session, schema: str) -> str:
    ((_, sql),) = session.query(f"SHOW CREATE DATABASE {quoted(schema)}")
    return f"{sql};\n"


def create_table(session: Session, table: Table) -> str:
    ((_, sql, *_),) = session.query(f"SHOW CREATE TABLE {table.quoted}")
    return f"{sql};\n"


def create_sequence(session: Session, table: Table) -> str:
    ((_, sql, *_),) = session.query(f"SHOW CREATE SEQUENCE {table.quoted}")
    return f"{sql};\n"


def create_view(session: Session, table: Table) -> tuple[str, str]:
    """The dummy table that holds the view's place, and the view itself (sql.go)."""
    fields = [row[0] for row in session.query(f"SHOW FIELDS FROM {table.quoted}")]
    ((_, sql, client, collation),) = session.query(f"SHOW CREATE VIEW {table.quoted}")
    columns = ",\n".join(f"{quoted(name)} int" for name in fields)
    name = quoted(table.name)
    dummy = f"CREATE TABLE {name}(\n{columns}\n)ENGINE=MyISAM;\n"
    settings = ("CHARACTER_SET_CLIENT", "CHARACTER_SET_RESULTS", "COLLATION_CONNECTION")
    saved = "".join(f"SET @PREV_{setting}=@@{setting};\n" for setting in settings)
    restored = "".join(f"SET {setting.lower()} = @PREV_{setting};\n" for setting in settings)
    view = (
        f"DROP TABLE IF EXISTS {name};\nDROP VIEW IF EXISTS {name};\n{saved}"
        f"SET character_set_client = {client};\nSET character_set_results = {client};\n"
        f"SET collation_connection = {collation};\n{sql};\n{restored}"
    )
    return dummy, view
