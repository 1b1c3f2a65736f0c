"""Cron expressions, as CronJobs take them (github.com/robfig/cron/v3, ParseStandard).

What is a slip by its looks is refused here, where that takes it: an item that is empty, as in
``1,,2``, ends of a range behind ``*``, signs before a number, and times below a second.
"""

import re

from backup_manager.durations import parse_duration

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# What it is, the least, the most, and names for the numbers from the least on.
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_SECOND = 10**9


def check_cron(text: str) -> None:
    """Raise ValueError, which says what is wrong, for what no CronJob takes."""
    if text.startswith(("TZ=", "CRON_TZ=")):
        raise ValueError("a time zone has a field of its own: spec.timeZone")
    if text in _WORDS:
        return
    if text.startswith("@every "):
        if parse_duration(text.removeprefix("@every ")) < _SECOND:
            raise ValueError(f"{text!r} is less than a second")
        return
    if text.startswith("@"):
        raise ValueError(f"{text!r} is none of {', '.join(_WORDS)} and @every DURATION")
    fields = text.split()
    if len(fields) != len(_FIELDS) or not text.replace("\t", " ").isprintable():
        has = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
        raise ValueError(
            f"{text!r} has {has}, and not minute, hour, day of the month, month and day of the week"
        )
    for field, (name, least, most, names) in zip(fields, _FIELDS, strict=True):
        for item in field.split(","):
            _check_item(item, name, least, most, names)


def _check_item(item: str, name: str, least: int, most: int, names: tuple[str, ...]) -> None:
    span, slash, step = item.partition("/")
    first, dash, last = span.partition("-")
    if first in {"*", "?"}:
        if dash:
            raise ValueError(f"{item!r} is no {name}")
        low, high = least, most
    else:
        low = _number(first, name, least, names)
        high = _number(last, name, least, names) if dash else low
    if slash and not (re.fullmatch("[0-9]{1,4}", step) and int(step)):
        raise ValueError(f"{item!r} has no step above zero for the {name}")
    if low < least or high > most:
        raise ValueError(f"{item!r} is no {name}: that goes from {least} to {most}")
    if low > high:
        raise ValueError(f"{item!r} ends before it begins")


def _number(text: str, name: str, least: int, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return least + names.index(text.lower())
    if not re.fullmatch("[0-9]{1,4}", text):
        raise ValueError(f"{text!r} is no {name}")
    return int(text)
