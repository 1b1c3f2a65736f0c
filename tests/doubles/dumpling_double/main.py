"""From the command line to the exit code."""

import os
import signal
from datetime import datetime
from typing import NoReturn

from . import controls as control
from . import flags as flag_table
from . import options as option_values
from . import replay, status
from .controls import Controls
from .dump import Dump
from .errors import BadUsageError, DumpError
from .log import LEVELS, Log, complain, say
from .metrics import Metrics
from .misdeeds import Misdeeds
from .options import Options
from .output import Output
from .pflag import FlagError, FlagSet
from .server import detect, prepare
from .stage import Stage
from .versions import NEW, OLD, WHAT, Version

_FORMATS = ("text", "json")


def _exit(code: int) -> NoReturn:
    """Leave at once: a worker may wait for the server, or for a gate."""
    os._exit(code)


def _signals(controls: Controls) -> None:
    """No handling: a signal kills. What the parent ignores stays ignored (facts)."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
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
        _exit(2)


def _take_password(flags: FlagSet) -> None:
    """As pingcap/tidb#70908 has it, but stricter: on the command line it is refused."""
    if flags.values["password"]:
        say("\nparse arguments failed: the password must come by MYSQL_PWD")
        _exit(1)
    flags.values["password"] = os.environ.get("MYSQL_PWD", "")


def _flags(arguments: list[str], version: Version, *, by_environment: bool) -> FlagSet:
    flags = flag_table.flag_set(version, datetime.now().astimezone())
    try:
        flags.parse(arguments)
    except FlagError as error:
        complain(f"{error}\n{flag_table.help_text(flags)}")
        say(str(error))
        _exit(2)
    if flags.values["help"]:
        complain(flag_table.help_text(flags, password_by_environment=by_environment))
        _exit(0)
    if by_environment:
        _take_password(flags)
    complain(version.long())
    if flags.values["version"]:
        complain(f"This is a {WHAT}.")
        _exit(0)
    return flags


def _options(flags: FlagSet, version: Version) -> Options:
    try:
        options = option_values.from_flags(flags, version)
    except BadUsageError as error:
        complain(str(error))
        _exit(2)
    except DumpError as error:
        say(f"\nparse arguments failed: {error}")
        _exit(1)
    if flags.arguments:
        words = " ".join(flags.arguments)
        say(f"\nmeet some unparsed arguments, please check again: [{words}]")
        _exit(1)
    return options


def _log(options: Options, version: Version) -> Log:
    if options.log_format not in _FORMATS:
        complain(f"panic: unsupported log format: {options.log_format}\n\ngoroutine 1 [running]:")
        _exit(2)
    if options.log_level not in LEVELS:
        raise DumpError(f'unrecognized level: "{options.log_level}"')
    try:
        log = Log(options.log_level, options.log_format, options.log_file)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise DumpError(f"open {options.log_file}: {reason}") from None
    log.write("info", "versions.go:54", "Welcome to dumpling", version.fields())
    return log


def _check(options: Options, version: Version) -> None:
    account = options.account
    if "://" in options.output:
        raise DumpError(f"the {WHAT} writes to local directories only")
    if options.file_type.lower() not in ("", "sql", "csv"):
        raise DumpError(f"unknown config.FileType '{options.file_type}'")
    if version.old and account.ca and not (account.cert and account.key):
        raise DumpError("could not load client key pair: open : no such file or directory")


def _status_kind(controls: Controls) -> str:
    for kind in ("foreign", "silent", "none"):
        if controls.has(f"status-{kind}"):
            return kind
    return "own"


def _run(options: Options, controls: Controls, version: Version) -> Log:
    """Raise DumpError with the whole of the last words."""
    try:
        log = _log(options, version)
        metrics = Metrics()
        misdeeds = Misdeeds(log, options.account.password)
        stage = Stage(controls, misdeeds)
        output = Output(options.output, gzip=options.gzip, stage=stage, log=log, metrics=metrics)
        misdeeds.output = output
        stage.gates("start")
        hang = controls.find("hang-at-start")
        if hang:
            misdeeds.hang(hang)
        kind = _status_kind(controls)
        if options.status_addr and kind != "none":
            status.start(options.status_addr, metrics, log, kind)
        _check(options, version)
        replayed = controls.settings.get("replay")
        if replayed is None:
            server = detect(options, log)
            prepare(options, server, log, version)
    except DumpError as error:
        raise DumpError(f"create dumper failed: {error}") from None
    try:
        if replayed is not None:
            replay.run(replayed, options, output, controls)
        else:
            Dump(options, server, output, controls, version).run()
    except DumpError as error:
        fields = {"error": str(error)}
        log.write("error", "main.go:86", "dump failed error stack info", fields)
        raise DumpError(f"dump failed: {error}") from None
    except OSError as error:
        raise DumpError(f"dump failed: {(error.strerror or str(error)).lower()}") from None
    stage.gates("exit")
    return log


def main(argv: list[str]) -> NoReturn:
    controls = _controls()
    _signals(controls)
    version = OLD if controls.has("old-version") else NEW
    by_environment = controls.has("password-by-environment")
    options = _options(_flags(argv[1:], version, by_environment=by_environment), version)
    try:
        log = _run(options, controls, version)
    except DumpError as error:
        say(f"\n{error}")
        _exit(1)
    failure = controls.find("exit-1-at-end")
    if failure:
        say("\ndump failed: " + failure.get("words", "context canceled"))
        _exit(failure.get("code", 1))
    log.write("info", "main.go:83", "dump data successfully, dumpling will exit now")
    _exit(0)
