"""Whether an --output-filename-template can make two files of one name.

It is a Go text/template whose body names data files; ``{{define "table"}}`` and its kin inside it
name the schema files (dumpling/export/prepare.go).
"""

import re

from backup_manager.errors import UsageError

_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_OPENS = frozenset({"if", "range", "with", "block"})
# What the name of each kind of file has to hold so that no two are the same.
_NEEDS = {
    "schema": (".DB",),
    "table": (".DB", ".Table"),
    "view": (".DB", ".Table"),
    "sequence": (".DB", ".Table"),
    "data": (".DB", ".Table"),
}
_OUTSIDE = ""
_WITHOUT_FN = (
    "the template uses names without fn: a schema or table name with a / or a dot in it makes a "
    "file of another name; write {{fn .DB}} and {{fn .Table}}"
)
_OBJECT_NAME = '"objectName"'


def check(text: str, *, splits: bool) -> list[str]:
    """Return warnings on the template; ``splits`` tells whether tables are split into files.

    Raises UsageError where files would overwrite each other (pingcap/tidb#68611) or lie outside
    the directory of the dump.
    """
    bodies = _bodies(text)
    for kind, needed in _NEEDS.items():
        if kind not in bodies:
            continue
        fields = _fields(bodies[kind], bodies)
        if missing := [field for field in needed if field not in fields]:
            raise _refused(f"the names of {kind} files lack {_shown(missing)}: files would collide")
        if kind == "data" and splits and ".Index" not in fields:
            raise _refused(
                "with --rows or --filesize a table becomes many files, and without {{.Index}} each "
                "overwrites the one before"
            )
    for body in bodies.values():
        literal = _ACTION.sub("x", body).strip()
        if literal.startswith("/") or re.search(r"(^|/)\.\.(/|$)", literal):
            raise _refused("a file would lie outside the directory of the dump")
    if re.search(r"\{\{-?\s*\.(DB|Table)\b", text):
        return [_WITHOUT_FN]
    return []


def _shown(fields: list[str]) -> str:
    return " and ".join("{{fn " + field + "}}" for field in fields)


def _refused(why: str) -> UsageError:
    return UsageError(
        "Dumpling option --output-filename-template is refused",
        why=why,
        fix="use {{fn .DB}}.{{fn .Table}}.{{.Index}}, or leave it out",
    )


def _bodies(text: str) -> dict[str, str]:
    """Return the text of each definition; what stands outside of all of them names data files."""
    bodies = {_OUTSIDE: ""}
    stack: list[str] = []
    at = 0
    for match in _ACTION.finditer(text):
        inside = next((name for name in reversed(stack) if name), _OUTSIDE)
        bodies[inside] = bodies.get(inside, "") + text[at : match.start()]
        at = match.end()
        words = match.group(2).split()
        if words[:1] == ["define"] and len(words) > 1:
            stack.append(words[1].strip('"`'))
            bodies.setdefault(stack[-1], "")
            continue
        bodies[inside] += match.group(0)
        if words and words[0] in _OPENS:
            stack.append("")
        elif words[:1] == ["end"] and stack:
            stack.pop()
    outside = bodies.pop(_OUTSIDE) + text[at:]
    # A text of nothing but definitions leaves Dumpling's own body, or the definition "data".
    if outside.strip():
        bodies["data"] = outside
    return bodies


def _fields(body: str, bodies: dict[str, str]) -> set[str]:
    """Return the fields that a body prints, those of the shared "objectName" included."""
    actions = [match.group(2) for match in _ACTION.finditer(body)]
    fields = {
        field
        for action in actions
        for field in (".DB", ".Table", ".Index")
        if re.search(rf"(?<![\w)]){re.escape(field)}\b", action)
    }
    if any(action.split()[:2] == ["template", _OBJECT_NAME] for action in actions):
        shared = bodies.get("objectName")
        fields |= {".DB", ".Table"} if shared is None else _fields(shared, {})
    return fields
