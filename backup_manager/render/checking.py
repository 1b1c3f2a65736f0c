"""The form of an object: its fields, their types, and what the user was to fill in."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from backup_manager import values
from backup_manager.render.document import Document
from backup_manager.render.fields import (
    ELSEWHERE,
    KINDS,
    OBJECTS,
    Fields,
    Ignored,
    Kind,
    fields_of,
    holders_of,
)
from backup_manager.render.indentation import misplaced
from backup_manager.render.mistakes import Mistakes

API_VERSION = "pingcap.com/v1alpha1"
# Names become labels, which are shorter than names may be (RFC 1123), and a CronJob's Jobs get
# eleven characters behind its own (k8s.io/kubernetes, pkg/apis/batch/validation).
_LONGEST = {"Backup": 63, "BackupSchedule": 52}
_MAKES = {"Backup": "a Job", "BackupSchedule": "a CronJob"}
_PLACEHOLDER = re.compile(r"\$\{[^{}\n]*\}")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_TYPES: dict[Kind, type] = {
    Kind.TEXT: str,
    Kind.NUMBER: int,
    Kind.BOOLEAN: bool,
    Kind.TEXTS: list,
    Kind.NAMED: dict,
    Kind.OBJECT: dict,
    Kind.LIST: list,
}


def check_form(document: Document, text: str, mistakes: Mistakes) -> bool:
    """Tell whether the object has the form of its kind; what has not goes to ``mistakes``.

    ``text`` is the file that it comes from.
    """
    form = _Form(document, mistakes)
    if _lost_its_indentation(document, text, mistakes) or not form.is_known():
        return False
    before = len(mistakes.found)
    form.walk(document.body, fields_of(document.kind), "")
    form.check_name()
    return len(mistakes.found) == before


def _lost_its_indentation(document: Document, text: str, mistakes: Mistakes) -> bool:
    """Look for valid YAML in which an object is empty, with its fields beside it."""
    emptied = any(_emptied(document.body))
    begin = document.line("")
    mine = [each for each in misplaced(text.splitlines()) if each[0] >= begin] if emptied else []
    for each in mine:
        mistakes.add(document.file, *each)
    return bool(mine)


def _emptied(body: Any) -> Iterator[str]:
    for key, value in body.items() if isinstance(body, dict) else ():
        if key in OBJECTS and value is None:
            yield key
        elif key in OBJECTS:
            yield from _emptied(value)


class _Form:
    def __init__(self, document: Document, mistakes: Mistakes) -> None:
        self._document = document
        self._mistakes = mistakes

    def _wrong(self, path: str, what: str, fix: str) -> None:
        self._mistakes.add(self._document.file, self._document.line(path), what, fix)

    def is_known(self) -> bool:
        kind, version = self._document.body.get("kind"), self._document.body.get("apiVersion")
        if not isinstance(kind, str) or kind not in KINDS:
            what = f"kind {kind} is not rendered" if kind else "there is no kind"
            if kind and not isinstance(kind, str):
                what = f"kind is {shown(kind, self._document.spelled.get('kind', ''))}"
            near = get_close_matches(str(kind), KINDS, n=1)
            hint = f"is {near[0]} meant? Else " if near else ""
            fix = f"{hint}give a Backup or a BackupSchedule here, and apply all else by itself"
            self._wrong("kind", what, fix)
            return False
        if version != API_VERSION:
            what = f"apiVersion {version} has no {kind} with Dumpling"
            if version is None:
                what = "there is no apiVersion"
            elif not isinstance(version, str):
                what = (
                    f"apiVersion is {shown(version, self._document.spelled.get('apiVersion', ''))}"
                )
            self._wrong("apiVersion", what, f"give apiVersion: {API_VERSION}")
        return True

    def walk(self, body: Mapping[str, Any], fields: Fields, path: str) -> None:
        for name, value in body.items():
            inner = f"{path}.{name}" if path else name
            kind = fields.get(name)
            if kind is None:
                self._unknown(name, fields, path)
            elif value is None or isinstance(kind, Ignored):
                self._ignored(inner, value, kind)
            elif isinstance(kind, Mapping):
                if not isinstance(value, dict):
                    self._wrong(inner, f"{inner} is {shown(value)}", f"give {Kind.OBJECT}")
                else:
                    self.walk(value, kind, inner)
            else:
                self._check_type(inner, value, kind)

    def _ignored(self, path: str, value: Any, kind: Any) -> None:
        if isinstance(kind, Ignored) and kind.why and value not in (None, kind.default):
            said = f"{self._document.file}, line {self._document.line(path)}: {path} is ignored"
            self._mistakes.cautions.append(f"{said}: {kind.why}")

    def _unknown(self, name: str, fields: Fields, path: str) -> None:
        inner = f"{path}.{name}" if path else name
        what = f"{inner} is no field of a {self._document.kind}"
        holders = holders_of(name, self._document.kind)
        near = get_close_matches(name, fields, n=1)
        others = [each for each in KINDS if holders_of(name, each) and not path.startswith("meta")]
        odd = next((each for each in name if not "!" <= each <= "~"), None)
        if odd:
            fix = f"U+{ord(odd):04X} stands in its name: type the line anew"
        elif holders:
            fix = f"it belongs into {' or '.join(holders)}: move it there"
        elif name in fields_of(self._document.kind):
            fix = "it belongs beside kind and metadata: indent it, and what it holds, as them"
        elif others:
            fix = f"it is one of a {others[0]}: leave it away, or give such a one"
        elif near:
            fix = f"is {near[0]} meant?"
        elif name in ELSEWHERE:
            fix = ELSEWHERE[name]
        else:
            fix = "leave it away, or see whether it is spelled right"
        self._wrong(inner, what, fix)

    def _check_type(self, path: str, value: Any, kind: Kind) -> None:
        if self._has_placeholder(path, value, kind):
            return
        sound = isinstance(value, _TYPES[kind])
        if kind is Kind.NUMBER and isinstance(value, bool):
            sound = False
        if not sound:
            fix = f"give {kind}"
            spelled = self._document.spelled.get(path, "")
            if kind is Kind.TEXT and value is not None and not isinstance(value, dict | list):
                key = "-" if path.endswith("]") else f"{path.rpartition('.')[2]}:"
                fix = f'put quotes around it: {key} "{spelled}"'
            self._wrong(path, f"{path} is {shown(value, spelled)}", fix)
        elif kind in {Kind.TEXTS, Kind.LIST}:
            for number, item in enumerate(value):
                inner = Kind.TEXT if kind is Kind.TEXTS else Kind.OBJECT
                self._check_type(f"{path}[{number}]", item, inner)
        elif kind in {Kind.OBJECT, Kind.NAMED}:
            self._check_inside(path, value, kind)

    def _check_inside(self, path: str, value: Mapping[str, Any], kind: Kind) -> None:
        for name, item in value.items():
            inner = f"{path}.{name}"
            if kind is Kind.NAMED and not name.startswith("kubectl.kubernetes.io/"):
                self._check_type(inner, item, Kind.TEXT)
            elif kind is Kind.OBJECT:
                self._look_for_placeholders(inner, item)

    def _look_for_placeholders(self, path: str, value: Any) -> None:
        if isinstance(value, dict):
            self._check_inside(path, value, Kind.OBJECT)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                self._look_for_placeholders(f"{path}[{number}]", item)
        else:
            self._has_placeholder(path, value, Kind.TEXT)

    def _has_placeholder(self, path: str, value: Any, kind: Kind) -> bool:
        """Tell of what no text may have in it: a placeholder, or a NUL, which ends it for Linux."""
        found = isinstance(value, str) and _PLACEHOLDER.search(value)
        if found:
            what = f"{path} still has the placeholder {found[0]}"
            self._wrong(path, what, f"put there what is meant: {_example(path, kind)}")
            return True
        if isinstance(value, str) and "\0" in value:
            self._wrong(path, f"{path} has the character NUL in it", "take it away")
            return True
        return False

    def check_name(self) -> None:
        document, name = self._document, self._document.get("metadata.name")
        if name is None:
            if isinstance(document.body.get("metadata", {}), dict | None):
                self._wrong("metadata", "there is no metadata.name", "give it a name")
            return
        for path in ("metadata.name", "metadata.namespace"):
            self._check_name_of(path)
        longest = _LONGEST[document.kind]
        if isinstance(name, str) and len(name) > longest:
            what = f"metadata.name has {len(name)} characters, and becomes {_MAKES[document.kind]}"
            self._wrong("metadata.name", what, f"give one of {longest} at most")

    def _check_name_of(self, path: str) -> None:
        name = self._document.get(path)
        if not isinstance(name, str) or _PLACEHOLDER.search(name):
            return  # that is told already
        read = values.namespace if path == "metadata.namespace" else values.object_name
        try:
            read(name)
        except ValueError as error:
            self._wrong(path, f"{path}: {error.args[0]}", error.args[1])
            return
        if not _SUBDOMAIN.fullmatch(name):
            fix = "give small letters and digits before and behind each full stop"
            self._wrong(path, f"{path}: {name!r} is no name of an object", fix)


def shown(value: Any, spelled: str = "") -> str:
    """Name a value's type, with the value where it is short, as it is ``spelled`` in the file."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"{spelled}, which YAML reads as true or false"
    if isinstance(value, int | float):
        read = "" if spelled in {"", str(value)} else f"{spelled}, which YAML reads as "
        return f"{read}the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}"
    return "a list" if isinstance(value, list) else "an object"


def _example(path: str, kind: Kind) -> str:
    examples = {
        "host": "the host of TiDB, such as demo1-tidb",
        "port": "the port of TiDB as a number, such as 4000",
        "user": "the account that backs up",
        "bucket": "the bucket's name alone",
        "endpoint": "scheme, host and port, such as http://rgw.ceph:7480",
        "region": "a region, such as eu-central-1",
        "prefix": "a path in the bucket",
    }
    return examples.get(path.rpartition(".")[2].partition("[")[0], str(kind))
