"""A structural schema: what a kube-apiserver prunes, fills in and refuses before it stores."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Field:
    """One field's type; an object without `properties` is kept as it comes."""

    kind: str
    nullable: bool = False
    items: "Field | None" = None
    properties: Mapping[str, "Field"] | None = None
    required: tuple[str, ...] = ()
    default: Any = None
    enum: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong with an object."""

    field: str
    reason: str
    message: str


def listed(items: Field, *, nullable: bool = False) -> Field:
    return Field("array", items=items, nullable=nullable)


def record(*, required: tuple[str, ...] = (), **properties: Field) -> Field:
    """An object; a trailing underscore keeps a field's name out of Python's keywords."""
    named = {name.rstrip("_"): field for name, field in properties.items()}
    return Field("object", properties=named, required=required)


def pruned(value: Any, field: Field, path: str, unknown: list[str]) -> Any:
    """The value as it is stored; paths of what was dropped for being unknown go to `unknown`."""
    if field.kind == "integer" and isinstance(value, float) and value.is_integer():
        whole = int(value)
        return whole if whole in _INT64 else value
    if isinstance(value, list) and field.items:
        return [
            pruned(item, field.items, f"{path}[{number}]", unknown)
            for number, item in enumerate(value)
        ]
    if not isinstance(value, dict) or field.properties is None:
        return value
    kept = {}
    for name, item in value.items():
        where = f"{path}.{name}" if path else name
        inner = field.properties.get(name)
        if inner is None:
            unknown.append(where)
        elif item is not None or inner.nullable:
            kept[name] = pruned(item, inner, where, unknown)
    for name, inner in field.properties.items():
        if inner.default is not None:
            kept.setdefault(name, inner.default)
    return kept


def wrong(value: Any, field: Field, path: str) -> Iterator[Cause]:
    """What the schema says against a pruned value."""
    if value is None and field.nullable:
        return
    if not _fits(value, field.kind):
        shown = value if field.kind == "date-time" and isinstance(value, str) else _kind_of(value)
        if field.kind == "date-time" and shown == "integer":
            shown = "int64"
        told = f'Invalid value: "{shown}": {path} in body must be of type {field.kind}: "{shown}"'
        yield Cause(path, "FieldValueTypeInvalid", told)
        return
    if field.enum and value not in field.enum:
        supported = ", ".join(f'"{each}"' for each in field.enum)
        told = f'Unsupported value: "{value}": supported values: {supported}'
        yield Cause(path, "FieldValueNotSupported", told)
    if field.items:
        for number, item in enumerate(value):
            yield from wrong(item, field.items, f"{path}[{number}]")
    if field.properties is not None:
        prefix = f"{path}." if path else ""
        for name in field.required:
            if name not in value:
                yield Cause(prefix + name, "FieldValueRequired", "Required value")
        for name, item in value.items():
            yield from wrong(item, field.properties[name], prefix + name)


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if value in _INT64 else "number"
    kinds = {float: "number", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]


def _fits(value: Any, kind: str) -> bool:
    if kind == "date-time":
        return isinstance(value, str) and is_time(value)
    found = _kind_of(value)
    return found == kind or (kind == "number" and found == "integer")


def is_time(text: str) -> bool:
    """Whether this is a time of RFC 3339: with seconds and a zone, on a day that there is."""
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text[:19].upper())
    except ValueError:
        return False
    return True
