"""What is no YAML, told with what was meant, where that can be told."""

import re
from collections.abc import Sequence

import yaml  # type: ignore[import-untyped]  # it has no annotations of its own

from backup_manager.render.indentation import misplaced
from backup_manager.render.mistakes import Mistakes

_NEIGHBOURS = "indent it as far as its neighbours, or by two spaces more than what holds it"
# What PyYAML says, a part of it, and what to do.
_REMEDIES = (
    (
        "mapping values are not allowed",
        "indent it as its neighbours; put quotes around a value that has a colon and a space",
    ),
    (
        "alphabetic or numeric",
        "put quotes around a value that begins with * or &",
    ),
    ("undefined alias", "put quotes around a value that begins with *"),
    ("could not find expected ':'", "put a colon and a space behind a key, - before an item"),
    ("but found '?'", _NEIGHBOURS),
    ("for merging", "give << an object, or leave it away"),
    ("document start", "begin each object with a line of three dashes"),
    ("block", _NEIGHBOURS),
    ("indent", _NEIGHBOURS),
    ("scan", "put quotes around the value, and see that each quote is closed"),
    ("token", "put quotes around the value, and see that each quote is closed"),
    ("quoted", "put quotes around the value, and see that each quote is closed"),
)
# Where PyYAML notices such a slip is far behind it.
_BEGINS_BEFORE = {"while scanning a quoted scalar", "while scanning a simple key"}
_FLOW = {"while parsing a flow mapping", "while parsing a flow sequence"}


def explain(file: str, text: str, error: yaml.YAMLError, mistakes: Mistakes) -> None:
    """Keep what is no YAML in ``mistakes``, and what was meant where that can be told."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        what = f"the character U+{error.character:04X} stands in it"
        mistakes.add(file, line, what, "take it away: YAML takes no such characters")
        return
    lines = text.splitlines()
    line = _line_of(error)
    problem = getattr(error, "problem", None) or str(error)
    if told := _tab(lines, line, problem) or _no_space(lines, line, problem):
        mistakes.add(file, *told)
        return
    if meant := list(misplaced(lines)):
        for each in meant:
            mistakes.add(file, *each)
        return
    shown = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    what = f"this is no YAML: {problem}" + (f", at {shown!r}" if shown else "")
    mistakes.add(file, line, what, _remedy(error, problem))


def _line_of(error: yaml.YAMLError) -> int:
    mark = getattr(error, "problem_mark", None)
    if getattr(error, "context", None) in _BEGINS_BEFORE:
        mark = error.context_mark
    return mark.line + 1 if mark else 1


def _tab(lines: Sequence[str], line: int, problem: str) -> tuple[int, str, str] | None:
    tabs = [number for number, each in enumerate(lines, 1) if re.match(r" *\t[ \t]*[^\s#]", each)]
    if tabs and tabs[0] <= line + 1:
        many = f" (and on {len(tabs) - 1} more)" if tabs[1:] else ""
        fix = "indent with spaces: YAML takes no tabs there"
        return tabs[0], f"a tab stands in the indentation{many}", fix
    if "'\\t'" in problem:
        return line, "a tab stands where YAML takes none", "put a space there, or nothing"
    return None


def _no_space(lines: Sequence[str], line: int, problem: str) -> tuple[int, str, str] | None:
    """Look for a line such as host:tidb, which PyYAML takes for the beginning of a text."""
    if "mapping values are not allowed" not in problem or line < 2:  # noqa: PLR2004 - the line before
        return None
    found = re.match(r"\s*(?:- )?([A-Za-z]\w*):[^\s/]", lines[line - 2])
    if not found:
        return None
    return line - 1, f"no space stands behind {found[1]}:", f"write {found[1]}: and the value"


def _remedy(error: yaml.YAMLError, problem: str) -> str:
    context = getattr(error, "context", None)
    if context in _FLOW:
        begin = error.context_mark.line + 1
        return (
            f"see to the bracket of line {begin} and its commas; put quotes around a value that "
            "begins with { or ["
        )
    if context == "while scanning a quoted scalar":
        return "close the quote that stands there"
    remedies = (remedy for part, remedy in _REMEDIES if part in problem)
    return next(remedies, "mend the line, or the one before it")
