"""Dumpling's options and rclone's, held against what is known of them without a Dumpling."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from difflib import get_close_matches
from pathlib import Path

from backup_manager.dumpling import options
from backup_manager.dumpling.binary import COMMON_FLAGS, Binary, Flag
from backup_manager.errors import UsageError
from backup_manager.render.wanted import Wanted
from backup_manager.store import rclone

Refused = Callable[[str], AbstractContextManager[None]]
_COMMON = {flag.name: flag for flag in COMMON_FLAGS}


def check_options(wanted: Wanted, refused: Refused, keep_secret: Callable[[str], None]) -> None:
    """Let ``refused`` have what is wrong with an option, by the path of the document's field."""
    settings = wanted.settings
    if given := settings.get("s3_option"):
        _check_rclone(given[1].origin, tuple(given[1].value), refused, keep_secret)
    if given := settings.get("table_filter"):
        for number, rule in enumerate(given[1].value):
            with refused(f"{given[1].origin}[{number}]"):
                options.merge([], [rule], _any_dumpling([]))
    if given := settings.get("dumpling_option"):
        with refused(given[1].origin):
            options.merge(given[1].value, [], _any_dumpling(given[1].value))


def unusual(wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Yield the path and a caution for an option that few Dumplings have, and one has nearly."""
    given = wanted.settings.get("dumpling_option")
    for number, word in enumerate(given[1].value if given else ()):
        name = word.removeprefix("--").partition("=")[0]
        near = get_close_matches(name, _COMMON, n=1, cutoff=0.8)
        if given and word.startswith("--") and name not in _COMMON and near:
            path = f"{given[1].origin}[{number}]"
            yield path, f"--{name} is no option of every Dumpling: is --{near[0]} meant?"


def _check_rclone(
    path: str, words: Sequence[str], refused: Refused, keep_secret: Callable[[str], None]
) -> None:
    """Read them together, as a value may stand in a word of its own; then find the wrong one."""
    try:
        rclone.parse(words, keep_secret)
    except UsageError as whole:
        for number, word in enumerate(words):
            # Which of them it is: the first that is refused by itself, for the same reason.
            try:
                rclone.parse([word], keep_secret)
            except UsageError as error:
                if str(error) == str(whole):
                    path = f"{path}[{number}]"
                    break
        with refused(path):
            raise


def _any_dumpling(given: Sequence[str]) -> Binary:
    """Return a Dumpling that has what every one has, and whatever else it is asked for."""
    flags = dict(_COMMON)
    for word in given:
        name = word.removeprefix("--").partition("=")[0]
        if word.startswith("--") and name not in flags:
            flags[name] = Flag(name, None, "string" if "=" in word else "bool")
    return Binary(Path("/dumpling"), "of any version", flags)
