"""rclone's own syntax of sizes, times and bandwidths (its documentation; fs/sizesuffix.go and kin).

Each function raises ValueError(why, what to do) where the text is wrong.
"""

import math
import re

from backup_manager.durations import parse_duration
from backup_manager.store.bandwidth import Timetable

_UNITS = {"": 10, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([kmgtpe])(?:i|ib)?|(b))?", re.IGNORECASE)
_MOST = 1 << 63
_SIZE_FIX = "give a size such as 512k, 64M or 1.5G: powers of 1024, KiB without a letter"
# Seconds; M and y as rclone has them.
_AGES = {
    "": 1.0,
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 7 * 86400.0,
    "M": 30 * 86400.0,
    "y": 365 * 86400.0,
}
_AGE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|s|m|h|d|w|M|y)?")
_TIME_FIX = "give a time such as 30s, 5m, 1h30m or 1d"
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SLOT = re.compile(r"(?:([A-Za-z]{3})[A-Za-z]*-)?([0-9]{1,2}):([0-9]{2}),(.+)")
_BANDWIDTH_FIX = "give a rate such as 10M, an upload:download pair, or '08:00,512k 18:00,off'"
_OFF = "off"


def size(text: str) -> int:
    """Read a size; return bytes. KiB where there is no letter."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is no size", _SIZE_FIX)
    number, unit, plain = match.groups()
    count = float(number) * (1 << _UNITS[(unit or plain or "").upper()])
    if count >= _MOST:
        raise ValueError(f"{text!r} is more than 8 EiB", _SIZE_FIX)
    return int(count)


def _exact(text: str) -> float:
    """Read a size, of which a part of a byte is left too."""
    return size(text) or (0.5 if any(digit in "123456789" for digit in text) else 0.0)


def seconds(text: str) -> float:
    """Read a time; return seconds. Go's durations, or one number with ms to y; seconds without."""
    match = _AGE.fullmatch(text.strip())
    if match:
        found = float(match[1]) * _AGES[match[2] or ""]
        if math.isfinite(found):
            return found
    try:
        return parse_duration(text.strip()) / 1e9
    except ValueError as error:
        raise ValueError(f"{text!r} is no time", _TIME_FIX) from error


def bandwidth(text: str) -> Timetable | None:
    """Read a limit of bandwidth, or a timetable of them; None for none at all."""
    if "," not in text:
        rate = _rate(text)
        return Timetable(((0, rate),)) if rate is not None else None
    slots = dict(pair for slot in text.split() for pair in _slots(slot))
    return Timetable(tuple(sorted(slots.items())))


def _slots(text: str) -> list[tuple[int, float | None]]:
    match = _SLOT.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no time with a rate", _BANDWIDTH_FIX)
    day, hour, minute, rate = match.groups()
    if int(hour) > 23 or int(minute) > 59 or (day and day.lower() not in _DAYS):  # noqa: PLR2004 - a clock
        raise ValueError(f"{text!r} is no time of the week", _BANDWIDTH_FIX)
    days = [_DAYS.index(day.lower())] if day else list(range(7))
    parsed = _rate(rate)
    return [((number * 24 + int(hour)) * 60 + int(minute), parsed) for number in days]


def _rate(text: str) -> float | None:
    """Read a rate of sending, the first of a pair with that of receiving; bytes per second."""
    sending, _, receiving = text.partition(":")
    rates = []
    for one in (sending, receiving or sending):
        try:
            rates.append(None if one.lower() == _OFF else _exact(one))
        except ValueError as error:
            raise ValueError(str(error.args[0]), _BANDWIDTH_FIX) from error
    return max(1.0, rates[0]) if rates[0] else None


def boolean(text: str) -> bool:
    """Read what Go's flags take for a boolean."""
    if text in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if text in {"0", "f", "F", "false", "FALSE", "False"}:
        return False
    raise ValueError(f"{text!r} is neither true nor false", "give true or false")


def count(text: str) -> int:
    """Read a number above zero."""
    if not re.fullmatch("[0-9]{1,9}", text.strip()) or int(text) == 0:
        raise ValueError(f"{text!r} is no number above zero", "give a plain number, such as 4")
    return int(text)
