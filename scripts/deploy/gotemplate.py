"""The tree of all that render may make, as templates of Helm.

``$env`` has the entries of spec.env by name there, ``$placed`` the names that are done with.
"""

import json
from collections.abc import Iterator
from typing import Any

from backup_manager.render.fields import Kind
from backup_manager.render.output import as_yaml

from .tree import Conditions, Node, Shape
from .worlds import FIELDS, JOB_SPEC, SLOT, TRUE, VARIABLE, slot, takes_zero

_STEP = "  "
_EXPRESSIONS = {
    "name": 'include "backup-manager.name" $',
    "chart": 'include "backup-manager.chart" $',
    "namespace": "$.Release.Namespace",
    "service": "$.Release.Service",
}
# What no dollar sign can be in.
_PLAIN = {"name"}
_MADE = "{{- /* Made by `make deploy` of what render makes: change that, and not this. */}}"
_SET_UP = """\
{{- include "backup-manager.checks" $ }}
{{- $env := dict }}
{{- $placed := dict }}
{{- range $.Values.env }}
{{- $_ := set $env .name . }}
{{- end -}}"""


def lines_of(node: Node, indent: str = "") -> Iterator[str]:
    """Yield the template's lines for what a mapping or a list has in it."""
    inner = _mapping if node.value is Shape.MAPPING else _sequence
    yield from inner(node, indent)


def guarded(conditions: Conditions, lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines, for where the conditions hold."""
    if conditions:
        yield f"{{{{- if {_all(conditions)} }}}}"
    yield from lines
    if conditions:
        yield "{{- end }}"


def _mapping(node: Node, indent: str, first: str | None = None) -> Iterator[str]:
    """``first`` stands before the first key, where that is one of a list's item."""
    names = list(node.children)
    fixed = [name for name in names if not SLOT.fullmatch(name)]
    for place, (name, child) in enumerate(node.children.items()):
        if found := SLOT.fullmatch(name):
            lines = _own(_value(found["path"]), indent, fixed, before=place == 0)
            yield from guarded(child.conditions, lines)
            continue
        before = indent if first is None or place else first
        lines = guarded(child.conditions, _entry(name, child, before, indent))
        if found := SLOT.fullmatch(names[-1]):
            # What the user says comes later, so it takes the place of this.
            own = f"{_value(found['path'])} | default dict"
            yield f'{{{{- if not (hasKey ({own}) "{name}") }}}}'
            yield from lines
            yield "{{- end }}"
        else:
            yield from lines


def _own(own: str, indent: str, fixed: list[str], *, before: bool) -> Iterator[str]:
    """Yield the user's keys, which stand before or behind what is fixed."""
    if not fixed:
        yield f"{{{{- toYaml {own} | nindent {len(indent)} }}}}"
        return
    if before:
        # What is fixed comes later, so it takes their place.
        own = f"omit {own} {' '.join(json.dumps(name) for name in fixed)}"
    yield f"{{{{- range $key, $value := {own} }}}}"
    # A null only takes away what would be there else.
    yield '{{- if not (kindIs "invalid" $value) }}'
    yield f"{{{{- dict $key $value | toYaml | nindent {len(indent)} }}}}"
    yield "{{- end }}"
    yield "{{- end }}"


def _entry(name: str, node: Node, before: str, indent: str) -> Iterator[str]:
    key = as_yaml({name: 0}).partition(": 0")[0]
    if node.value == slot(JOB_SPEC):
        yield f"{before}{key}:"
        yield f'{{{{- include "backup-manager.{JOB_SPEC}" $ | nindent {len(indent + _STEP)} }}}}'
    elif not isinstance(node.value, Shape):
        yield from _leaf(node, f"{before}{key}: ")
    elif not node.children:
        yield f"{before}{key}: {'{}' if node.value is Shape.MAPPING else '[]'}"
    else:
        yield f"{before}{key}:"
        deeper = indent + _STEP if node.value is Shape.MAPPING else indent
        yield from lines_of(node, deeper) if name != "env" else _variables(node, deeper)


def _sequence(node: Node, indent: str) -> Iterator[str]:
    for name, child in node.children.items():
        yield from guarded(child.conditions, _item(name, child, indent))


def _item(name: str, node: Node, indent: str) -> Iterator[str]:
    own = SLOT.fullmatch(name)
    if own and not own["many"]:
        yield f"{{{{- toYaml {_value(own['path'])} | nindent {len(indent)} }}}}"
    elif isinstance(node.value, Shape):
        yield from _mapping(node, indent + _STEP, f"{indent}- ")
    else:
        yield from _leaf(node, f"{indent}- ")


def _variables(node: Node, indent: str) -> Iterator[str]:
    """As render has it: the user's take the place of their namesakes, and the others follow."""
    for name, child in node.children.items():
        if SLOT.fullmatch(name):
            yield "{{- range $.Values.env }}"
            yield "{{- if not (hasKey $placed .name) }}"
            yield f"{indent}- {{{{ get $env .name | toJson }}}}"
            yield "{{- $_ := set $placed .name true }}"
            yield "{{- end }}"
            yield "{{- end }}"
        else:
            yield from guarded(child.conditions, _variable(name, child, indent))


def _variable(name: str, node: Node, indent: str) -> Iterator[str]:
    yield f'{{{{- if hasKey $env "{name}" }}}}'
    yield f'{indent}- {{{{ get $env "{name}" | toJson }}}}'
    yield f'{{{{- $_ := set $placed "{name}" true }}}}'
    yield "{{- else }}"
    yield from _item(name, node, indent)
    yield "{{- end }}"


def _leaf(node: Node, before: str) -> Iterator[str]:
    if node.unless:
        yield f"{{{{- if {_all(node.unless)} }}}}"
        yield f"{before}{_text(node.value)}"
        yield "{{- else }}"
        yield f"{before}{_text(node.other)}"
        yield "{{- end }}"
        return
    many = SLOT.search(node.value) if isinstance(node.value, str) else None
    if many and many["many"]:
        yield f"{{{{- range {_value(many['path'])} }}}}"
        yield f"{before}{_text(node.value)}"
        yield "{{- end }}"
    else:
        yield f"{before}{_text(node.value)}"


def _text(value: Any) -> str:
    """Return what stands for a leaf: JSON is YAML, and leaves nothing to be guessed."""
    found = SLOT.search(value) if isinstance(value, str) else None
    if not found:
        text = as_yaml([value]).removeprefix("- ").rstrip("\n")
        if "{{" in text:
            raise ValueError(f"Helm would take this for a template: {text}")
        return text
    expression = "." if found["many"] else _value(found["path"])
    if found["number"]:
        expression = f"int64 {expression}"
    elif len(found["dollars"]) > 1 and found["path"] not in _PLAIN:
        expression = f'replace "$" "$$" {expression}'
    if found[0] == value:
        return f"{{{{ {expression} | toJson }}}}"
    before, _, after = value.replace("%", "%%").partition(found[0])
    mark = "%d" if found["number"] else "%s"
    expression = expression if expression == "." else f"({expression})"
    form = json.dumps(before + mark + after, ensure_ascii=False)
    return f"{{{{ printf {form} {expression} | toJson }}}}"


def _value(path: str) -> str:
    return _EXPRESSIONS.get(path) or f"$.Values.{path}"


def _all(conditions: Conditions) -> str:
    """Return the conditions as one; what is true is given, which goes without saying."""
    parts = [
        _condition(name, wanted)
        for name, wanted in conditions.items()
        if not conditions.get(f"{name}{TRUE}")
    ]
    if len(parts) == 1:
        return parts[0]
    return f"and {' '.join(f'({part})' if ' ' in part else part for part in parts)}"


def _condition(name: str, wanted: bool) -> str:
    variable = name.removeprefix(VARIABLE)
    if variable != name:
        on = f'hasKey $env "{variable}"'
        return on if wanted else f"not ({on})"
    path = name.removesuffix(TRUE)
    kind = FIELDS.get(path)
    if (kind is Kind.NUMBER and takes_zero(path)) or (kind is Kind.BOOLEAN and path == name):
        # Zero and false say something too.
        off = f'kindIs "invalid" {_value(path)}'
        return f"not ({off})" if wanted else off
    return _value(path) if wanted else f"not {_value(path)}"


def template(node: Node) -> str:
    """Return the template of one object."""
    return "\n".join([_MADE, *guarded(node.conditions, lines_of(node))]) + "\n"


def named_template(name: str, node: Node) -> str:
    """Return the template of what others include."""
    begin = [_MADE, f'{{{{- define "backup-manager.{name}" -}}}}', _SET_UP]
    return "\n".join([*begin, *lines_of(node), "{{- end }}"]) + "\n"
