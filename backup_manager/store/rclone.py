"""The words of a user in rclone's spelling, read by the table of its options."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from backup_manager.errors import UsageError
from backup_manager.store.rclone_options import HARMLESS, HARMLESS_SWITCHES, OPTIONS

_SECRETS = {
    "s3-access-key-id": "use the variable AWS_ACCESS_KEY_ID",
    "s3-secret-access-key": "use the variable AWS_SECRET_ACCESS_KEY",
    "s3-session-token": "use the variable AWS_SESSION_TOKEN",
}
_BY_NAME = {option.name: option for option in OPTIONS}
_SHORT = {"v": "verbose", "q": "quiet", "P": "progress", "c": "checksum", "I": "ignore-times"}


@dataclass(frozen=True)
class Given:
    """What the options say: values by what they set, the option's name of each, what is ignored."""

    values: dict[str, Any]
    names: dict[str, str]
    ignored: tuple[str, ...]


def parse(words: Iterable[str], keep_secret: Callable[[str], None]) -> Given:
    """Read rclone's options; of one that is repeated the last counts, but headers add up.

    ``keep_secret`` is told each secret before anything else is done with it. Raises UsageError.
    """
    found: dict[str, Any] = {}
    names: dict[str, str] = {}
    ignored: list[str] = []
    waiting = [word.strip() for word in words if word.strip()]
    while waiting:
        name, text = _split(waiting)
        option = _BY_NAME.get(name)
        if option is None:
            ignored.append(f"--{name}")
            continue
        if option.secret:
            keep_secret(text)
        try:
            value = option.parse(text)
        except ValueError as error:
            why, fix = error.args[0], error.args[1] if len(error.args) > 1 else "see the README"
            raise UsageError(f"--s3-option=--{name} is wrong", why=why, fix=fix) from None
        found[option.sets] = (*found.get(option.sets, ()), value) if option.repeated else value
        names[option.sets] = f"--s3-option=--{name}"
    return Given(found, names, tuple(ignored))


def _split(waiting: list[str]) -> tuple[str, str]:
    """Take the next option and its value, which may stand in the next word."""
    word = waiting.pop(0)
    if short := re.fullmatch("-([vqPcI])\\1*", word):
        return _SHORT[short[1]], "true"
    begin = re.match("-*[A-Za-z0-9_-]*", word)
    shown = begin[0] if begin else ""
    name = shown.removeprefix("--").replace("_", "-")
    # What follows is not repeated where it is refused: it may be a secret.
    equals, text = word[len(shown) : len(shown) + 1], word[len(shown) + 1 :]
    if not word.startswith("--") or equals.strip() not in {"", "="} or not _is_known(name):
        raise _refused(shown, name)
    switch = name in HARMLESS_SWITCHES or (name in _BY_NAME and _BY_NAME[name].switch)
    if equals:
        return name, text.strip()
    if switch:
        return name, "true"
    if not waiting or waiting[0].startswith("--"):
        raise UsageError(f"--s3-option=--{name} is wrong", why="it has no value", fix="give one")
    return name, waiting.pop(0)


def _is_known(name: str) -> bool:
    return name in _BY_NAME or name in HARMLESS or name in HARMLESS_SWITCHES


def _refused(shown: str, name: str) -> UsageError:
    what = f"--s3-option={shown}"
    if name in _SECRETS:
        return UsageError(
            f"{what} is refused", why="a secret in an option would be seen", fix=_SECRETS[name]
        )
    near = get_close_matches(name, {*_BY_NAME, *HARMLESS, *HARMLESS_SWITCHES}, n=1, cutoff=0.5)
    hint = f"is --{near[0]} meant? " if near else ""
    return UsageError(
        f"{what} is unknown to backup-manager",
        why="it would be ignored, and the backup not what was asked for",
        fix=f"{hint}docs/providers.md lists all that are known; else leave it out",
    )
