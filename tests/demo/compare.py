"""Two databases side by side, table by table."""

from collections.abc import Iterable

from tests.servers import Database, ExternalTiDB
from tests.servers.sql import quoted


def compare(
    source: Database, target: Database, schemas: Iterable[str]
) -> tuple[list[tuple[str, ...]], bool]:
    """A table of every table's checksum here and there, and whether all are the same."""
    # A real TiDB has no CHECKSUM TABLE: then both sides compute theirs by plain SQL.
    plain = isinstance(source, ExternalTiDB)
    rows: list[tuple[str, ...]] = [("schema", "table", "rows", "before", "loaded back", "")]
    good = True
    for schema in schemas:
        sums = [_checksums(server, schema, plain=plain) for server in (source, target)]
        for table in sorted(sums[0].keys() | sums[1].keys()):
            before, after = (each.get(table) for each in sums)
            same = before is not None and before == after
            good = good and same
            shown = ["missing" if each is None else f"{each:,}" for each in (before, after)]
            verdict = "same" if same else "DIFFERS"
            rows.append((schema, table, _count(source, schema, table), *shown, verdict))
    return rows, good


def _checksums(server: Database, schema: str, *, plain: bool) -> dict[str, int | None]:
    like = ExternalTiDB(server.host, server.port) if plain else server
    return like.checksum_tables(schema)


def _count(server: Database, schema: str, table: str) -> str:
    if table not in server.tables(schema):
        return "-"
    ((count,),) = server.execute(f"SELECT COUNT(*) FROM {quoted(schema)}.{quoted(table)}")
    return f"{count:,}"
