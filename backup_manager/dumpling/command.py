"""Dumpling's whole command line: the managed options before the user's."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from backup_manager.database.source import Source
from backup_manager.dumpling.binary import Binary
from backup_manager.dumpling.options import Options
from backup_manager.errors import UsageError

# Port 0: the kernel picks a free one, which metrics.py finds. 127.0.0.1: the status server shows
# argv, and so the password, under /debug/pprof/cmdline.
STATUS_ADDRESS = "127.0.0.1:0"
_PASSWORD = "--password="  # noqa: S105 - the option, not one
_OUTPUT = "--output="
_URL = "file://"
_MASK = "***"


def check_user(user: str) -> None:
    """Raise UsageError for a user name that Dumpling would cut.

    It writes ``user:password@tcp(…)`` for its driver, which ends the name at the first colon.
    """
    if ":" in user:
        raise UsageError(
            "a user name with a colon does not work with Dumpling",
            why="it is cut at the colon",
            fix="create an account without a colon in its name for backups",
        )


def command(
    binary: Binary, options: Options, source: Source, output: Path, snapshot: str | None
) -> list[str]:
    """Return the argv; ``snapshot`` is the manager's own, None where there is none.

    The snapshot is left out where the user gave --consistency or --snapshot. The password is in
    argv where Dumpling has no other way (pingcap/tidb#70907): show only ``public_argv``. Where it
    has one, it wants ``secret_environment``. Raises UsageError for a value that cannot be passed.
    """
    check_user(source.user)
    if "\0" in source.password or "\0" in source.user or "\0" in source.host:
        raise UsageError("host, user or password holds a NUL character")
    argv = [
        str(binary.path),
        f"--host={source.host}",
        f"--port={source.port}",
        f"--user={source.user}",
    ]
    if source.password and not binary.password_by_environment:
        argv.append(_PASSWORD + source.password)
    argv += [
        output_option(output),
        f"--status-addr={STATUS_ADDRESS}",
        "--logfmt=json",
    ]
    for name in ("ca", "cert", "key"):
        if path := getattr(source, f"tls_{name}"):
            argv.append(f"--{name}={path.absolute()}")
    if snapshot is not None and options.pins_snapshot:
        argv += ["--consistency=snapshot", f"--snapshot={snapshot}"]
    return argv + list(options.argv)


def secret_environment(binary: Binary, source: Source) -> dict[str, str]:
    """Return the variables for Dumpling that hold a secret: everybody may read an argv."""
    by_environment = binary.password_by_environment and source.password
    return {"MYSQL_PWD": source.password} if by_environment else {}


def output_option(output: Path) -> str:
    """Return the option that names the directory; leftovers.py knows a Dumpling by it.

    Dumpling reads it as a URL: a % that escapes nothing and control characters are refused there,
    so such a path is written as one (seen with v5.3).
    """
    path = str(output.absolute())
    if re.search(r"[%\x00-\x1f\x7f]", path):
        path = _URL + quote(os.fsencode(path))
    return _OUTPUT + path


def public_argv(argv: Sequence[str]) -> list[str]:
    """Return the argv as it may be shown: the password masked."""
    return [_PASSWORD + _MASK if item.startswith(_PASSWORD) else item for item in argv]
