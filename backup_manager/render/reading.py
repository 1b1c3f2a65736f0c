"""YAML or JSON as its author meant it: what is no YAML is told with its line, and what was meant.

It is read as the tools around Kubernetes do: no dates, no numbers to the base of sixty, and no key
twice.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import yaml  # type: ignore[import-untyped]  # it has no annotations of its own

from backup_manager.render.document import Document
from backup_manager.render.mistakes import Mistakes
from backup_manager.render.slips import explain

# Without aliases there are no more nodes than characters: with them a few lines can make more than
# fits into memory. So many may be in any file.
_NODES = 10_000
# Far deeper than any object of Kubernetes, and less than Python's stack holds.
_DEEPEST = 100
_TAG = "tag:yaml.org,2002:"
_DATE = f"{_TAG}timestamp"
_NUMBERS = {f"{_TAG}int", f"{_TAG}float"}
_SCALARS = {*_NUMBERS, f"{_TAG}str", f"{_TAG}bool", f"{_TAG}null"}
# A plain = or << has a meaning as a key alone.
_PLAIN = {f"{_TAG}merge", f"{_TAG}value"}
_ITEM = re.compile(r"items\[([0-9]+)\]\.?")
T = TypeVar("T")
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # for want of PyYAML's annotations
    """Composes nodes; scalars become what they are to Kubernetes' tools."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)
        plain = kind is yaml.ScalarNode and implicit[0]
        if plain and (tag == _DATE or (tag in _NUMBERS and _SIXTIES.fullmatch(value))):
            return f"{_TAG}str"
        return tag


class _StructureError(Exception):
    """What is valid YAML and yet no object of Kubernetes: the line, what, and what to do."""


class _Builder:
    """Makes one document's nodes into values, and keeps their lines."""

    def __init__(self, loader: _Loader, most: int) -> None:
        self._loader = loader
        self._most = most
        self._around: list[Any] = []
        self._nodes = 0
        self.lines: dict[str, int] = {}
        self.spelled: dict[str, str] = {}

    def build(self, node: Any, path: str, line: int | None = None) -> Any:
        self.lines[path] = line or node.start_mark.line + 1
        self._nodes += 1
        if self._nodes > self._most:
            raise _StructureError(self.lines[path], "there is too much in it", "see to its aliases")
        if node in self._around:
            fix = "write out what is meant"
            raise _StructureError(self.lines[path], "an alias stands in what it names", fix)
        if len(self._around) >= _DEEPEST:
            raise _too_deep(self.lines[path])
        self._around.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                self._check_tag(node, {f"{_TAG}map"})
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                self._check_tag(node, {f"{_TAG}seq"})
                items = enumerate(node.value)
                return [self.build(item, f"{path}[{number}]") for number, item in items]
            return self._scalar(node, path)
        finally:
            self._around.pop()

    def _check_tag(self, node: Any, known: set[str]) -> None:
        if node.tag not in known:
            shown = node.tag.replace(_TAG, "!!")
            fix = "put quotes around a value that begins with !, and leave tags of YAML away"
            line = node.start_mark.line + 1
            raise _StructureError(line, f"{shown} is taken for a tag, and none is known here", fix)

    def _scalar(self, node: Any, path: str) -> Any:
        if node.tag in _PLAIN:
            return str(node.value)
        self._check_tag(node, _SCALARS)
        try:
            value = self._loader.construct_object(node)
            if isinstance(value, str):
                # JSON has what lies beyond U+FFFF as two halves.
                return value.encode("utf-16", "surrogatepass").decode("utf-16")
        # What PyYAML raises for a tag's value that is none.
        except (ValueError, KeyError, AttributeError):
            line, shown = node.start_mark.line + 1, node.value[:40]
            what = f"{shown!r} is no {node.tag.removeprefix(_TAG)} that could be read"
            raise _StructureError(line, what, "write it anew, with quotes around a text") from None
        self.spelled[path] = node.value
        return value

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
        loader = _Loader(_without_tabs(text))
    except yaml.YAMLError as error:
        explain(file, text, error, mistakes)
        return
    try:
        while loader.check_node():
            builder = _Builder(loader, max(len(text), _NODES))
            node = loader.get_node()
            body = builder.build(node, "")
            if body is not None:
                yield from _objects(Document(file, body, builder.lines, builder.spelled), mistakes)
    except _StructureError as error:
        mistakes.add(file, *error.args)
    except yaml.YAMLError as error:
        explain(file, text, error, mistakes)
    except RecursionError:
        mistakes.add(file, *_too_deep(loader.line + 1).args)


def _too_deep(line: int) -> _StructureError:
    return _StructureError(line, "too much stands in one another", "see to the brackets")


def _without_tabs(text: str) -> str:
    """JSON may be indented with tabs, which YAML may not; in its texts there are none."""
    if "\t" not in text or not text.lstrip().startswith("{"):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


def _objects(document: Document, mistakes: Mistakes) -> Iterator[Document]:
    if not isinstance(document.body, dict):
        what = "this is no object with apiVersion, kind, metadata and spec"
        fix = "give the YAML of a Backup or a BackupSchedule"
        mistakes.add(document.file, document.line(""), what, fix)
        return
    items = document.body.get("items")
    kind = document.body.get("kind")
    if not isinstance(kind, str) or not kind.endswith("List") or not isinstance(items, list):
        yield document
        return
    lines, spelled = _by_item(document.lines), _by_item(document.spelled)
    for number, item in enumerate(items):
        inner = Document(document.file, item, lines[number], spelled.get(number, {}))
        yield from _objects(inner, mistakes)


def _by_item(paths: Mapping[str, T]) -> dict[int, dict[str, T]]:
    """Return what is known of each item of a List, by the paths inside of it."""
    found: dict[int, dict[str, T]] = {}
    for path, each in paths.items():
        if item := _ITEM.match(path):
            found.setdefault(int(item[1]), {})[path[item.end() :]] = each
    return found
