"""A Dumpling that outlived its manager must not write into a directory that is taken up again."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from backup_manager.dumpling.command import output_option
from backup_manager.errors import DumplingError

END_SECONDS = 10.0
# Longer than argv may be; a bound all the same.
_CMDLINE_BYTES = 4 << 20


def end_leftover(output: Path) -> list[int]:
    """Kill every process whose command line names exactly this --output; return their ids.

    Waits up to 10 s until they are gone. Raises DumplingError where one does not go, or belongs
    to another user.
    """
    option = os.fsencode(output_option(output))
    ended: set[int] = set()
    deadline = time.monotonic() + END_SECONDS
    while found := _named(option):
        for pid in found:
            _kill(pid, output)
        ended.update(found)
        if time.monotonic() > deadline:
            raise DumplingError(
                f"a Dumpling of an earlier run does not end: process {found[0]}",
                why=f"it was sent SIGKILL and still writes into {output}",
                fix="see what it waits for (its volume?); then run the same command again",
            )
        time.sleep(0.02)
    return sorted(ended)


def writers(output: Path) -> list[int]:
    """Return the processes, ours apart, that have a file under ``output`` open.

    Once Dumpling has ended there must be none: a wrapper may have left one that still writes.
    """
    below = f"{output.absolute()}{os.sep}"
    ours = os.getpid()
    return [
        int(entry.name)
        for entry in os.scandir("/proc")
        if entry.name.isdigit() and int(entry.name) != ours and _has_open(entry.path, below)
    ]


def _has_open(process: str, below: str) -> bool:
    try:
        descriptors = list(Path(process, "fd").iterdir())
    except OSError:
        return False  # it is gone, or another user's
    for each in descriptors:
        with suppress(OSError):  # closed meanwhile
            if str(each.readlink()).startswith(below):
                return True
    return False


def _named(option: bytes) -> list[int]:
    ours = {os.getpid(), os.getppid()}
    return [
        int(entry.name)
        for entry in os.scandir("/proc")
        if entry.name.isdigit() and int(entry.name) not in ours and option in _arguments(entry.path)
    ]


def _arguments(directory: str) -> list[bytes]:
    """Return a process's argv; none for one that is gone, or dead and not yet reaped."""
    try:
        with Path(directory, "cmdline").open("rb") as file:
            return file.read(_CMDLINE_BYTES).split(b"\0")
    except OSError:
        return []


def _kill(pid: int, output: Path) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise DumplingError(
            f"a Dumpling of an earlier run cannot be ended: process {pid}",
            why="it belongs to another user",
            fix=f"end it: it still writes into {output}",
        ) from error
