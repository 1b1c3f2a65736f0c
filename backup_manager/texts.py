"""The summary as one line of JSON, whole and shortened, and texts that no stream chokes on."""

import json
import re
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

# Kubernetes cuts the termination message at 4,096 bytes.
TERMINATION_BYTES = 4096
# All but tabs and ends of lines: they move cursors, ring bells and change colours.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(value: object) -> object:
    """Return a structure whose texts can be encoded: what was no UTF-8 is escaped."""
    return _deep(value, _encodable)


def visible(value: object) -> object:
    """Return the same for a terminal: control characters are escaped too."""
    return _deep(value, lambda text: _CONTROL.sub(_escaped, _encodable(text)))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _escaped(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}"


def _deep(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _deep(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_deep(item, change) for item in value]
    return value


def encode(facts: dict[str, Any]) -> str:
    """Return facts as one line of JSON."""
    return json.dumps(printable(facts), ensure_ascii=False, separators=(",", ":"))


def cut(text: str, limit: int) -> str:
    """Return a text that has no more bytes than ``limit``; one that was longer ends in dots."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - 3].decode("utf-8", "ignore") + "..."


def shorten(facts: dict[str, Any], limit: int = TERMINATION_BYTES) -> str:
    """Encode the summary within ``limit`` bytes: fewer warnings first, then shorter texts."""
    warnings = facts["warnings"]
    facts = dict(facts)

    def size(**changed: Any) -> int:
        return len(encode(facts | changed).encode())

    if size() > limit:
        # The most of each that fits, by halving: what a character takes depends on its escape.
        fit = bisect_right(range(len(warnings)), limit, key=lambda n: size(warnings=warnings[:n]))
        facts["warnings"] = warnings[: max(0, fit - 1)]
    for key in ("message", "name", "backup"):
        text = facts[key]
        if text and size() > limit:
            keep = bisect_right(
                range(len(text)),
                limit,
                key=lambda n, key=key, text=text: size(**{key: f"{text[:n]}..."}),  # type: ignore[misc]  # mypy has no type for it
            )
            facts[key] = f"{text[: keep - 1]}..." if keep else ""
    if size() > limit:
        facts["snapshot"] = None
    return encode(facts)
