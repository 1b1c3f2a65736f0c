"""The form of an object: its fields, their types, and what the user was to fill in."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from backup_manager import values
from backup_manager.render.document import Document
from backup_manager.render.fields import KINDS, Fields, Ignored, Kind, fields_of, holders_of
from backup_manager.render.indentation import misplaced
from backup_manager.render.mistakes import Mistakes

API_VERSION = "pingcap.com/v1alpha1"
# Names become labels, which are shorter than names may be (RFC 1123), and a CronJob's Jobs get
# eleven characters behind its own (k8s.io/kubernetes, pkg/apis/batch/validation).
_LONGEST = {"Backup": 63, "BackupSchedule": 52}
_MAKES = {"Backup": "a Job", "BackupSchedule": "a CronJob"}
_PLACEHOLDER = re.compile(r"\$\{\w+\}")
_TYPES: dict[Kind, type] = {
    Kind.TEXT: str,
    Kind.NUMBER: int,
    Kind.BOOLEAN: bool,
    Kind.TEXTS: list,
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
    """Look for valid YAML in which ``metadata`` or ``spec`` is empty, with its fields beside it."""
    emptied = [key for key in ("metadata", "spec") if document.body.get(key, "") is None]
    begin = document.line("")
    mine = [each for each in misplaced(text.splitlines()) if each[0] >= begin] if emptied else []
    for each in mine:
        mistakes.add(document.file, *each)
    return bool(mine)


class _Form:
    def __init__(self, document: Document, mistakes: Mistakes) -> None:
        self._document = document
        self._mistakes = mistakes

    def _wrong(self, path: str, what: str, fix: str) -> None:
        self._mistakes.add(self._document.file, self._document.line(path), what, fix)

    def is_known(self) -> bool:
        kind, version = self._document.body.get("kind"), self._document.body.get("apiVersion")
        if kind not in KINDS:
            what = f"kind {kind} is not rendered" if kind else "there is no kind"
            near = get_close_matches(str(kind), KINDS, n=1)
            hint = f"is {near[0]} meant? Else " if near else ""
            fix = f"{hint}give a Backup or a BackupSchedule here, and apply all else by itself"
            self._wrong("kind", what, fix)
            return False
        if version != API_VERSION:
            what = f"apiVersion {version} has no {kind} with Dumpling"
            if version is None:
                what = "there is no apiVersion"
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
        if near:
            fix = f"is {near[0]} meant?"
        elif holders:
            fix = f"it belongs into {' or '.join(holders)}: move it there"
        else:
            fix = "leave it away, or see whether it is spelled right"
        self._wrong(inner, what, fix)

    def _check_type(self, path: str, value: Any, kind: Kind) -> None:
        filled_in = isinstance(value, str) and _PLACEHOLDER.search(value)
        if filled_in:
            what = f"{path} still has the placeholder {filled_in[0]}"
            self._wrong(path, what, f"put there what is meant: {_example(path, kind)}")
            return
        sound = isinstance(value, _TYPES[kind])
        if kind is Kind.NUMBER and isinstance(value, bool):
            sound = False
        if not sound:
            fix = f"give {kind}"
            if kind is Kind.TEXT and not isinstance(value, (dict, list)):
                fix = f'put quotes around it: {path.rpartition(".")[2]}: "{_spelled(value)}"'
            self._wrong(path, f"{path} is {shown(value)}", fix)
            return
        if kind is Kind.TEXTS:
            for number, item in enumerate(value):
                self._check_type(f"{path}[{number}]", item, Kind.TEXT)

    def check_name(self) -> None:
        document, name = self._document, self._document.get("metadata.name")
        if name is None:
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
        try:
            values.object_name(name)
        except ValueError as error:
            self._wrong(path, f"{path}: {error.args[0]}", error.args[1])


def shown(value: Any) -> str:
    """Name a value's type, with the value where it is short."""
    if isinstance(value, bool):
        return f"{_spelled(value)}, which YAML reads as true or false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}"
    return "a list" if isinstance(value, list) else "an object"


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


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
