"""Names of files: Dumpling's escaping and the forms of its Go templates."""

import re
from dataclasses import dataclass

# prepare.go: control characters and %"*./:<>?\| become %XX, and so does the dash of -schema,
# which would make a table's data look like another table's schema.
_ESCAPED = re.compile(r"[\x00-\x1f%\"*./:<>?\\|]|-(?=schema)", re.IGNORECASE)
_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_DEFINE = re.compile(
    r"\{\{-?\s*define\s+[\"`](\w+)[\"`]\s*-?\}\}(.*?)\{\{-?\s*end\s*-?\}\}", re.DOTALL
)
_FIELD = re.compile(r"(fn\s+)?\.(DB|Table|Index)|(fn\s+)?\(\s*(fn\s+)?\.(DB|Table|Index)\s*\)")
_DEFAULTS = {
    "schema": "{{fn .DB}}-schema-create",
    "table": "{{fn .DB}}.{{fn .Table}}-schema",
    "view": "{{fn .DB}}.{{fn .Table}}-schema-view",
    "sequence": "{{fn .DB}}.{{fn .Table}}-schema-sequence",
    "data": "{{fn .DB}}.{{fn .Table}}.{{.Index}}",
}


class TemplateError(Exception):
    """A template beyond the forms known here; the real binary panics on a bad one."""


def escaped(name: str) -> str:
    return _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", name)


@dataclass(frozen=True)
class Index:
    """The number in a data file's name."""

    chunk: int
    file: int
    by_rows: bool
    by_size: bool

    def __str__(self) -> str:
        if self.by_rows and self.by_size:
            return f"{self.chunk:09d}{self.file:04d}"
        return f"{self.file if self.by_size else self.chunk:09d}"


class Names:
    """Renders file names without their extension."""

    def __init__(self, template: str = "") -> None:
        self._templates = dict(_DEFAULTS)
        rest = _DEFINE.sub(self._define, template)
        if rest.strip():
            self._templates["data"] = rest
        for kind in self._templates:
            self.render(kind, "d", "t", "0")

    def _define(self, match: re.Match[str]) -> str:
        if match[1] in self._templates:
            self._templates[match[1]] = match[2].strip()
        return ""

    def render(self, kind: str, db: str, table: str = "", index: str = "") -> str:
        values = {"DB": db, "Table": table, "Index": index}

        def value(action: re.Match[str]) -> str:
            field = _FIELD.fullmatch(action[1])
            if field is None:
                raise TemplateError(
                    f'template: data:1: unexpected "{action[1]}" in operand'
                    " (the test double knows {{.DB}}, {{.Table}}, {{.Index}}, fn and define)"
                )
            text = values[field[2] or field[5]]
            return escaped(text) if field[1] or field[3] or field[4] else text

        template = self._templates[kind]
        rendered = _ACTION.sub(value, template)
        if "{{" in _ACTION.sub("", template):
            raise TemplateError("template: data:1: unclosed action")
        return rendered
