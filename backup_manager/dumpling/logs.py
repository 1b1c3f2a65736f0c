"""Dumpling's log lines: read (JSON or text), and freed of row data.

Formats: github.com/pingcap/log. Where row data gets into the log: a failed write logs the first
200 bytes of the statement ("string" in v5.3, "heading 200 characters" since), errors quote the
query with the bounds of its chunk, and server errors quote values.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

HIDDEN = "<hidden>"

_TEXT_LINE = re.compile(
    r"\[\d{4}/\d\d/\d\d [^\]]*\] \[(DEBUG|INFO|WARN|ERROR|DPANIC|PANIC|FATAL)\]"
    r" \[[^\]]*\] (\[.*)",
    re.DOTALL,
)
_STRING = r'"(?:[^"\\]|\\.)*"'
_TEXT_FIELD = re.compile(rf"\[({_STRING}|[^\]=\"]*)(?:=({_STRING}|[^\]]*))?\] ?", re.DOTALL)

# Fields that hold rows or the keys of rows; a failed write's other fields are treated so too.
_ROW_FIELDS = frozenset(
    {"string", "lower", "upper", "startkey", "start_key", "endkey", "pkval", "row", "rows data"}
    | {"values", "args"}
)
_WRITE_FAILED = frozenset({"writing failed", "fail to write"})
_SAFE_IN_FAILED_WRITE = frozenset({"error", "path", "database", "table", "file"})
# Noise: stack traces, and what structlog would take for its own.
_DROPPED_FIELDS = frozenset({"errorVerbose", "stack", "stacktrace"})

# A query's condition holds key values; what follows it, the driver's error, is kept.
_CONDITION = re.compile(r"\bWHERE\s")
_CAUSE = re.compile(
    r": (?:Error \d|invalid connection|bad connection|driver: |dial |read tcp|write tcp|context "
    r"|EOF|unexpected EOF|commands out of sync|packet )"
)
# Each takes all up to the last quote or the end: linear, whatever the line.
_ROW_DATA = (
    (re.compile(r"(?is)\b((?:INSERT|REPLACE)\s+(?:IGNORE\s+)?INTO)\b.*"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?is)\bVALUES\s*\(.*"), f"VALUES {HIDDEN}"),
    (re.compile(r"(?s)\b(near|[Vv]alue:?|entry) '.*'"), rf"\1 '{HIDDEN}'"),
)
# In a log line that was cut, and so is neither JSON nor text any more.
_CUT_FIELD = re.compile(
    r'(?is)((?:"|\[|\b)(?:string|heading 200 characters|query)"?\s*[:=]\s*"?).*'
)


@dataclass(frozen=True)
class Entry:
    """One log line: ``level`` in lower case, the message, the other fields."""

    level: str
    message: str
    fields: Mapping[str, object] = field(default_factory=dict)


def hide_rows(text: str) -> str:
    """Return the text without what may be row data."""
    for pattern, replacement in _ROW_DATA:
        text = pattern.sub(replacement, text)
    condition = _CONDITION.search(text)
    if not condition:
        return text
    # The last one: an earlier may be part of a value.
    causes = [match.start() for match in _CAUSE.finditer(text, condition.end())]
    cause = text[causes[-1] :] if causes else ""
    return f"{text[: condition.start()]}WHERE {HIDDEN}{cause}"


def hide_cut(text: str) -> str:
    """Return what is left of a log line that was cut, without what may be row data."""
    return hide_rows(_CUT_FIELD.sub(rf"\1{HIDDEN}", text))


def parse(text: str) -> Entry | None:
    """Return a log line's parts, freed of row data, or None where it is no log line."""
    entry = _parse_json(text) if text.startswith("{") else _parse_text(text)
    if entry is None:
        return None
    failed_write = entry.message.lower() in _WRITE_FAILED
    fields = {
        name: _field(name, value, failed_write=failed_write)
        for name, value in entry.fields.items()
        if name and name not in _DROPPED_FIELDS
    }
    return Entry(entry.level, hide_rows(entry.message), fields)


def _field(name: str, value: object, *, failed_write: bool) -> object:
    key = name.lower()
    holds_rows = key in _ROW_FIELDS or key.startswith("heading")
    if holds_rows or (failed_write and key not in _SAFE_IN_FAILED_WRITE):
        return HIDDEN
    return _hide_deep(value)


def _hide_deep(value: object) -> object:
    if isinstance(value, str):
        return hide_rows(value)
    if isinstance(value, list | dict):
        # Dumpling logs lists of names only; as text nothing in them can slip through.
        try:
            return hide_rows(json.dumps(value, ensure_ascii=False))
        except RecursionError:
            return HIDDEN
    return value


def _parse_json(text: str) -> Entry | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    level, message = data.get("level"), data.get("message", data.get("msg"))
    if not isinstance(level, str) or not isinstance(message, str):
        return None
    known = {"level", "message", "msg", "time", "caller"}
    return Entry(level.lower(), message, {k: v for k, v in data.items() if k not in known})


def _parse_text(text: str) -> Entry | None:
    match = _TEXT_LINE.fullmatch(text)
    if not match:
        return None
    level, rest = match.groups()
    message: str | None = None
    fields: dict[str, object] = {}
    at = 0
    while at < len(rest):
        part = _TEXT_FIELD.match(rest, at)
        if not part:
            # Not as zap writes it: the rest is one field, treated with suspicion.
            fields["rest"] = hide_cut(rest[at:])
            break
        at = part.end()
        name, value = _unquote(part.group(1)), part.group(2)
        if message is None:
            message = name if value is None else f"{name}={_unquote(value)}"
        else:
            fields[name] = None if value is None else _unquote(value)
    return Entry(level.lower(), message or "", fields)


def _unquote(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text[1:-1]
