"""From the options to the exit code."""

from typing import NoReturn

from . import options as option_values
from . import replay, status
from .controls import Controls
from .dump import Dump
from .errors import BadUsageError, DumpError
from .log import LEVELS, Log, complain, leave, say
from .metrics import Metrics
from .misdeeds import Misdeeds
from .options import Options
from .output import Output
from .pflag import FlagSet
from .server import detect, prepare
from .stage import Stage
from .versions import WHAT, Version

_FORMATS = ("text", "json")


def _options(flags: FlagSet, version: Version) -> Options:
    try:
        options = option_values.from_flags(flags, version)
    except BadUsageError as error:
        complain(str(error))
        leave(2)
    except DumpError as error:
        say(f"\nparse arguments failed: {error}")
        leave(1)
    if flags.arguments:
        words = " ".join(flags.arguments)
        say(f"\nmeet some unparsed arguments, please check again: [{words}]")
        leave(1)
    return options


def _log(options: Options, version: Version) -> Log:
    if options.log_format not in _FORMATS:
        complain(f"panic: unsupported log format: {options.log_format}\n\ngoroutine 1 [running]:")
        leave(2)
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


def run(flags: FlagSet, controls: Controls, version: Version) -> NoReturn:
    options = _options(flags, version)
    try:
        log = _run(options, controls, version)
    except DumpError as error:
        say(f"\n{error}")
        leave(1)
    failure = controls.find("exit-1-at-end")
    if failure:
        say("\ndump failed: " + failure.get("words", "context canceled"))
        leave(failure.get("code", 1))
    log.write("info", "main.go:83", "dump data successfully, dumpling will exit now")
    leave(0)
