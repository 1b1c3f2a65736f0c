"""What was dumped, judged by file names and sizes alone; no file is opened.

Names are those of dumpling/export/prepare.go: ``{db}-schema-create.sql``,
``{db}.{table}-schema[-view|...].sql``, ``{db}.{table}.{index}.{sql|csv}``; in names, ``%XX`` stands
for marks and for the dash of "-schema". Chunks' numbers have gaps: they say nothing.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from backup_manager.dumpling.rules import Literals, fold
from backup_manager.errors import DumpInvalidError
from backup_manager.volume.directory import full, is_full
from backup_manager.volume.journal import METADATA

_ENDING = re.compile(r"\.(?:sql|csv|parquet)(?:\.(?:gz|gzip|snappy|zst|zstd))?\Z")
_SCHEMA = re.compile(r"(.+)-schema-create", re.DOTALL)
_TABLE = re.compile(r"(.+)-schema(?:-view|-sequence|-post|-triggers)?", re.DOTALL)
# Dumped whatever the filter says (TiDB 6.0 and later): no sign that it matched anything.
_POLICY = re.compile(r"-placement-policy-create\.sql(?:\.\w+)?\Z")
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_SHOWN = 5
# The schemas that hold no user's data (the filter of dumpling/export/config.go).
SYSTEM_SCHEMAS = frozenset(
    {"mysql", "sys", "information_schema", "performance_schema", "metrics_schema"}
    | {"inspection_schema"}
)


def unescape(name: str) -> str:
    """Return a schema's or table's name as it is in the database."""
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), name)


def parse_name(name: str) -> tuple[str, str | None] | None:
    """Return (schema, table or None) of a file, or None where its name is neither's."""
    ending = _ENDING.search(name)
    if not ending:
        return None
    # Dots in names are escaped, so these separate.
    parts = name[: ending.start()].split(".")
    if len(parts) == 1:
        match = _SCHEMA.fullmatch(parts[0])
        return (unescape(match.group(1)), None) if match else None
    if len(parts) == 2:  # noqa: PLR2004 - schema and table
        match = _TABLE.fullmatch(parts[1])
        return (unescape(parts[0]), unescape(match.group(1))) if match and parts[0] else None
    if len(parts) == 3 and parts[0] and parts[1] and parts[2].isdigit():  # noqa: PLR2004 - and index
        return unescape(parts[0]), unescape(parts[1])
    return None


class Content:
    """What a dump holds; memory grows with schemas and literal rules, not with files."""

    def __init__(
        self, literals: Literals, *, case_sensitive: bool = False, names_readable: bool = True
    ) -> None:
        """``names_readable`` is False with a user's template for file names."""
        self.files = 0
        self.schemas: set[str] = set()
        self._literals = literals
        self._case_sensitive = case_sensitive
        self.names_readable = names_readable
        self._missing = {self._key(*pair) for pair in literals.tables}
        self._empty: list[str] = []
        self._empty_count = 0

    def add(self, name: str, size: int | None = None) -> None:
        """Take a file: its name relative to the dump's directory, and its bytes if known."""
        if name == METADATA:
            return
        self.files += not _POLICY.search(name)
        if size == 0:
            self._empty_count += 1
            if len(self._empty) < _SHOWN:
                self._empty.append(name)
        if self.names_readable and (parsed := parse_name(name)):
            schema, table = parsed
            self.schemas.add(schema)
            if table is not None and self._missing:
                self._missing.discard(self._key(schema, table))

    def check(self, volume: Path | None = None) -> None:
        """Raise DumpInvalidError where the dump is not what was asked for.

        Nothing in it, a file without a byte (Dumpling never writes one: a close failed), or nothing
        of a schema or table that a rule names literally. With ``volume``, an empty file on a full
        one is VolumeError.
        """
        self._check_empty_files(volume)
        if not self.files:
            raise DumpInvalidError(
                "the dump is empty",
                why="the filter matches nothing, or the account sees none of what it names",
                fix="check --table-filter and the Dumpling options (a filter needs a rule that "
                "includes something), and grant the account SELECT",
            )
        if missing := self._unseen():
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            raise DumpInvalidError(
                f"nothing was dumped of {', '.join(missing[:_SHOWN])}{more}",
                why="a filter rule or option names it, and Dumpling found none: it does not exist, "
                "is a view or sequence, or the account may not see it",
                fix="mend the name (or --case-sensitive), grant SELECT on it, or drop the rule; "
                "views need --no-views=false",
            )

    def _check_empty_files(self, volume: Path | None) -> None:
        if not self._empty_count:
            return
        more = self._empty_count - len(self._empty)
        shown = ", ".join(self._empty) + (f" and {more} more" if more else "")
        if volume is not None and is_full(volume):
            raise full(f"Dumpling could not write into {volume}", f"files without a byte: {shown}")
        raise DumpInvalidError(
            f"files of the dump have no byte: {shown}",
            why="Dumpling never writes an empty file: closing it failed",
            fix="see that the volume has room and is healthy, then run the same command again",
        )

    def _unseen(self) -> list[str]:
        """Return the literal schemas and tables of which nothing was dumped, sorted."""
        if not self.names_readable:
            return []
        seen = {fold(schema, self._case_sensitive) for schema in self.schemas}
        schemas = [x for x in self._literals.schemas if fold(x, self._case_sensitive) not in seen]
        tables = [pair for pair in self._literals.tables if self._key(*pair) in self._missing]
        return sorted(schemas) + sorted(f"{schema}.{table}" for schema, table in tables)

    def left_out(self, visible_schemas: Iterable[str]) -> list[str]:
        """Return the visible schemas, system schemas apart, of which nothing was dumped, sorted.

        Empty with a template for file names: it cannot be told.
        """
        if not self.names_readable:
            return []
        return sorted(
            schema
            for schema in visible_schemas
            if schema not in self.schemas and schema.lower() not in SYSTEM_SCHEMAS
        )

    def _key(self, schema: str, table: str) -> tuple[str, str]:
        return fold(schema, self._case_sensitive), fold(table, self._case_sensitive)
