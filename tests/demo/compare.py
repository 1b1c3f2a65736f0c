"""What was in the first server and what came into the second, side by side."""

from tests.comparison import Contents, Item, differences

Row = tuple[str, ...]
_SHOWN_TABLES = 6


def by_schema(before: Contents, after: Contents) -> list[Row]:
    """A table of the schemas: how much is in each, and whether all of it is the same."""
    rows: list[Row] = [("schema", "tables", "views", "rows", "")]
    for schema in dict.fromkeys(schema for schema, _ in (*before, *after)):
        there, back = (
            {key: one[key] for key in one if key[0] == schema} for one in (before, after)
        )
        kinds = [item.kind for item in there.values()]
        total = sum(item.rows or 0 for item in there.values() if item.kind == "table")
        verdict = "DIFFERS" if differences(there, back) else "same"
        counts = (f"{kinds.count('table'):,}", f"{kinds.count('view'):,}", f"{total:,}")
        rows.append((schema, *counts, verdict))
    return rows


def biggest(before: Contents, after: Contents) -> list[Row]:
    """A table of the checksums of the tables with the most rows."""
    rows: list[Row] = [("some tables", "rows", "checksum before", "loaded back")]
    most = sorted(before.items(), key=lambda pair: -(pair[1].rows or 0))
    shown = [(key, item) for key, item in most if item.kind == "table"][:_SHOWN_TABLES]
    for (schema, name), item in shown:
        told = (_checksum(each) for each in (item, after.get((schema, name))))
        rows.append((f"{schema}.{name}", f"{item.rows:,}", *told))
    return rows


def _checksum(item: Item | None) -> str:
    return "missing" if item is None or item.checksum is None else f"{item.checksum:,}"
