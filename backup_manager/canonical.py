"""How values are written where bytes must be the same each time: JSON and moments."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


def canonical(value: Any) -> bytes:
    """Encode as canonical JSON: UTF-8, sorted keys, no spaces, not escaped to ASCII."""
    text = json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return text.encode()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands in it twice")
    return fields


def _no_number(text: str) -> None:
    raise ValueError(f"{text[:20]} is no whole number")


# Reads JSON of strings, whole numbers, booleans and null, each field once; for what others wrote.
# Raises ValueError, and RecursionError where it is nested too deeply.
decode: Callable[[str], Any] = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_no_number
).decode


def timestamp(moment: datetime) -> str:
    """Print a moment in whole seconds of UTC, with Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_timestamp(text: str) -> datetime | None:
    """Read a moment as `timestamp` prints it, and in no other way; None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo and timestamp(moment) == text else None
    except (ValueError, OverflowError):
        return None
