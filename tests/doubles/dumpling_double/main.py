"""The command line; ``running`` does the rest, and is imported where there is a rest to do."""

import os
import signal
from datetime import datetime
from typing import NoReturn

from . import controls as control
from . import flags as flag_table
from .controls import Controls
from .log import complain, leave, say
from .pflag import FlagError, FlagSet
from .versions import NEW, OLD, WHAT, Version


def _signals(controls: Controls) -> None:
    """No handling: a signal kills. What the parent ignores stays ignored (facts)."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if controls.has("ignore-sigterm"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _controls() -> Controls:
    try:
        return control.from_environment()
    except control.ControlError as error:
        complain(f"{WHAT}: {control.VARIABLE}: {error}")
        leave(2)


def _take_password(flags: FlagSet) -> None:
    """As pingcap/tidb#70908 has it, but stricter: on the command line it is refused."""
    if flags.values["password"]:
        say("\nparse arguments failed: the password must come by MYSQL_PWD")
        leave(1)
    flags.values["password"] = os.environ.get("MYSQL_PWD", "")


def _flags(arguments: list[str], version: Version, *, by_environment: bool) -> FlagSet:
    flags = flag_table.flag_set(version, datetime.now().astimezone())
    try:
        flags.parse(arguments)
    except FlagError as error:
        complain(f"{error}\n{flag_table.help_text(flags)}")
        say(str(error))
        leave(2)
    if flags.values["help"]:
        complain(flag_table.help_text(flags, password_by_environment=by_environment))
        leave(0)
    if by_environment:
        _take_password(flags)
    complain(version.long())
    if flags.values["version"]:
        complain(f"This is a {WHAT}.")
        leave(0)
    return flags


def main(argv: list[str]) -> NoReturn:
    controls = _controls()
    _signals(controls)
    version = OLD if controls.has("old-version") else NEW
    by_environment = controls.has("password-by-environment")
    flags = _flags(argv[1:], version, by_environment=by_environment)
    # A program asks for version and help before each dump: they come in a third of the time.
    from .running import run  # noqa: PLC0415 - for the reason above

    run(flags, controls, version)
