"""Fields that stand beside what should hold them: which lines are to be indented.

TiDB Operator's own guide has two examples like that, where all that belongs into metadata and spec
stands below them at their own level; it is copied from there.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from backup_manager.render.fields import children_of

_ROW = re.compile(r"( *)(?:([A-Za-z][\w-]*):(?:\s+(.*))?$|\S)")


@dataclass(frozen=True)
class _Row:
    """A line that says something: where it begins, and its key, if it has one."""

    line: int
    indent: int
    key: str | None
    empty: bool


def misplaced(lines: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Yield line, what is wrong and what to do, for each block that was not indented."""
    rows = list(_rows(lines))
    for number, (row, below) in enumerate(pairwise(rows)):
        holds, beside = children_of(row.key or "")
        lost = below.key in holds and below.key not in beside
        if row.empty and lost and below.indent == row.indent:
            last = _last(rows[number + 1 :], holds - beside)
            many = f"lines {below.line} to {last}" if last > below.line else f"line {last}"
            what = f"{row.key} is empty: what belongs into it ({below.key} ...) stands beside it"
            yield row.line, what, f"indent {many} by two more spaces"


def _rows(lines: Sequence[str]) -> Iterator[_Row]:
    for number, line in enumerate(lines, 1):
        text = line.rstrip()
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        found = _ROW.match(text)
        if found:
            value = (found[3] or "").strip()
            empty = found[2] is not None and (not value or value.startswith("#"))
            yield _Row(number, len(found[1]), found[2], empty)


def _last(rows: Sequence[_Row], lost: frozenset[str]) -> int:
    """Return the last line of a block that begins with these rows."""
    base, inner, last = rows[0].indent, None, rows[0].line
    for row in rows:
        if row.indent == base:
            if row.key not in lost:
                break
            inner = None
        elif inner is None:
            inner = row.indent
        if row.indent != base and (row.indent < base or row.indent < (inner or 0)):
            break  # it stands right already
        last = row.line
    return last
