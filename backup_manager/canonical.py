"""How values are written where bytes must be the same each time: JSON and moments."""

import json
from datetime import UTC, datetime
from typing import Any


def canonical(value: Any) -> bytes:
    """Encode as canonical JSON: UTF-8, sorted keys, no spaces, not escaped to ASCII."""
    text = json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return text.encode()


def timestamp(moment: datetime) -> str:
    """Print a moment in whole seconds of UTC, with Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
