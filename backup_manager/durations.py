"""Go's durations, as TiDB keeps its GC life time and as people write them: 72h, 10m0s, 1h30m."""

import re
from decimal import Decimal

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter: Go takes both
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PIECE = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = 1024  # characters: the column of the GC life time has no more
_MAX = (1 << 63) - 1  # Go holds a duration in a signed 64-bit count of nanoseconds


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a Go duration.

    Raises ValueError where Go's time.ParseDuration would refuse: no unit, a space, an overflow.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"a text of {len(text)} characters is no duration")
    sign, rest = 1, text
    if rest[:1] in {"-", "+"}:
        sign, rest = (-1 if rest[0] == "-" else 1), rest[1:]
    if rest == "0":
        return 0
    total = Decimal(0)
    position = 0
    while position < len(rest):
        piece = _PIECE.match(rest, position)
        if not piece:
            raise ValueError(
                f"{text!r} is no duration such as 72h, 10m0s or 1h30m (days are not known)"
            )
        total += Decimal(piece[1]) * _UNITS[piece[2]]
        position = piece.end()
    if not rest or total > _MAX:
        raise ValueError(
            f"{text!r} is no duration such as 72h, 10m0s or 1h30m (days are not known)"
        )
    return sign * int(total)


def format_duration(nanoseconds: int) -> str:
    """Print nanoseconds as Go's Duration.String does: 72h0m0s, 10m0s, 1.5s, 15ms, 0s."""
    if nanoseconds == 0:
        return "0s"
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if left < _UNITS["s"]:
        unit = next(unit for unit in ("ms", "µs", "ns") if left >= _UNITS[unit])
        return f"{sign}{_fraction(left, _UNITS[unit])}{unit}"
    minutes, rest = divmod(left, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{_fraction(rest, _UNITS['s'])}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    if hours:
        text = f"{hours}h{text}"
    return sign + text


def _fraction(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    if not rest:
        return str(whole)
    digits = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0")
    return f"{whole}.{digits}"
