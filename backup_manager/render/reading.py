"""YAML or JSON as its author meant it: what is no YAML is told with its line, and what was meant.

It is read as the tools around Kubernetes do: no dates, no numbers to the base of sixty, and no key
twice.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml  # type: ignore[import-untyped]  # it has no annotations of its own

from backup_manager.render.document import Document
from backup_manager.render.indentation import misplaced
from backup_manager.render.mistakes import Mistakes

# As many as a sane file has, by far: aliases can make more of a few lines than fits into memory.
_MOST_NODES = 100_000
_DATE = "tag:yaml.org,2002:timestamp"
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # for want of PyYAML's annotations
    """Composes nodes; scalars become what they are to Kubernetes' tools."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)
        plain = kind is yaml.ScalarNode and implicit[0]
        if plain and (tag == _DATE or (tag in _NUMBERS and _SIXTIES.fullmatch(value))):
            return "tag:yaml.org,2002:str"
        return tag


class _StructureError(Exception):
    """What is valid YAML and yet no object of Kubernetes: the line, what, and what to do."""


class _Builder:
    """Makes one document's nodes into values, and keeps their lines."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self._around: list[Any] = []
        self._nodes = 0
        self.lines: dict[str, int] = {}

    def build(self, node: Any, path: str, line: int | None = None) -> Any:
        self.lines[path] = line or node.start_mark.line + 1
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise _StructureError(self.lines[path], "there is too much in it", "see to its aliases")
        if node in self._around:
            fix = "write out what is meant"
            raise _StructureError(self.lines[path], "an alias stands in what it names", fix)
        self._around.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                items = enumerate(node.value)
                return [self.build(item, f"{path}[{number}]") for number, item in items]
            return self._loader.construct_object(node)
        finally:
            self._around.pop()

    def _mapping(self, node: Any, path: str) -> dict[str, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                what = f"{name} is there twice; the first is on line {seen[name]}"
                raise _StructureError(line, what, "leave one of them")
            seen[name] = line
        self._loader.flatten_mapping(node)
        found = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                fix = "put quotes around a value that begins with { or ["
                raise _StructureError(line, "something that is no text is taken for a key", fix)
            inner = f"{path}.{key.value}" if path else key.value
            found[key.value] = self.build(value, inner, key.start_mark.line + 1)
        return found


def read(file: str, data: bytes, mistakes: Mistakes) -> Iterator[Document]:
    """Yield the objects in a file, those of a List too; what is wrong goes to ``mistakes``."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        mistakes.add(file, line, "this is no UTF-8", "save the file as UTF-8")
        return
    try:
        loader = _Loader(text)
        while loader.check_node():
            builder = _Builder(loader)
            node = loader.get_node()
            body = builder.build(node, "")
            if body is not None:
                yield from _objects(Document(file, body, builder.lines), mistakes)
    except _StructureError as error:
        mistakes.add(file, *error.args)
    except (yaml.YAMLError, ValueError) as error:
        _explain(file, text, error, mistakes)


def _objects(document: Document, mistakes: Mistakes) -> Iterator[Document]:
    if not isinstance(document.body, dict):
        what = "this is no object with apiVersion, kind, metadata and spec"
        fix = "give the YAML of a Backup or a BackupSchedule"
        mistakes.add(document.file, document.line(""), what, fix)
        return
    items = document.body.get("items")
    if "List" not in document.kind or not isinstance(items, list):
        yield document
        return
    for number, item in enumerate(items):
        begin = f"items[{number}]"
        lines = {
            path[len(begin) :].lstrip("."): line
            for path, line in document.lines.items()
            if re.match(rf"{re.escape(begin)}(\W|$)", path)
        }
        yield from _objects(Document(document.file, item, lines), mistakes)


def _explain(file: str, text: str, error: Exception, mistakes: Mistakes) -> None:
    """Say what is no YAML, and what was meant where that can be told."""
    lines = text.splitlines()
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 1
    tabs = [number for number, each in enumerate(lines, 1) if re.match(r" *\t[ \t]*[^\s#]", each)]
    if tabs and tabs[0] <= line + 1:
        many = f" (and on {len(tabs) - 1} more)" if tabs[1:] else ""
        what = f"a tab stands in the indentation{many}"
        mistakes.add(file, tabs[0], what, "indent with spaces: YAML takes no tabs there")
        return
    meant = list(misplaced(lines))
    if meant:
        for each in meant:
            mistakes.add(file, *each)
        return
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    shown = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    what = f"this is no YAML: {problem}" + (f", at {shown!r}" if shown else "")
    mistakes.add(file, line, what, _remedy(str(problem)))


def _remedy(problem: str) -> str:
    if "mapping values are not allowed" in problem:
        return (
            "see whether the line before is indented as this one is, and put quotes around a value "
            "that has a colon and a space in it"
        )
    if "block" in problem or "indent" in problem:
        return "indent it as far as its neighbours, or by two spaces more than what holds it"
    if "scan" in problem or "token" in problem or "quoted" in problem:
        return "put quotes around the value, and see that each quote is closed"
    return "mend the line, or the one before it"
