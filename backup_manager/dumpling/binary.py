"""The Dumpling binary: which one, its version, and the options that its own help names."""

import errno
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backup_manager.errors import DumplingError, Reason

# Where the operator's init container copies it to, where the image has it, and PATH.
DEFAULT_PLACES = (Path("/var/lib/dumpling-bin/dumpling"), Path("/dumpling"))
# Each of two; both together stay below what SIGTERM may take.
PROBE_SECONDS = 8.0
PROBE_BYTES = 1 << 20

# The options that every command of ours uses: a program without them is no Dumpling.
_ESSENTIAL = frozenset(
    {"consistency", "filter", "host", "logfmt", "output", "password", "port"}
    | {"rows", "snapshot", "status-addr", "threads", "user"}
)
# A line of pflag's FlagUsages: "  -r, --rows uint   text"; a boolean has no type word.
_HELP_LINE = re.compile(r"^ {2,8}(?:-(\w), +)?--([A-Za-z0-9][\w.-]*)(?: (\S+))?(?: {2,}.*)?$")
_PASSWORD_VARIABLE = re.compile(r"\bMYSQL_PWD\b")
_OWN_NAME = re.compile(r"(?i)\bdumpling\b")
_VERSION_LINE = re.compile(r"(?im)^Release version:\s*(\S+)")
# Names of variables that hold secrets, whatever their value.
_SECRET_NAME = re.compile(
    r"(?i)password|passwd|secret|private_key|access_key|session_token|_auth(orization)?_token"
    r"|_pwd$|^mysql_pwd$|^backup_manager_s3_option$"  # which may hold a key of SSE-C
)
# Kept even where a short secret happens to be part of the value ("root" in /root).
_NEVER_SECRET = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH"})


@dataclass(frozen=True)
class Flag:
    """An option of Dumpling: ``kind`` is pflag's word for its type, or "bool"."""

    name: str
    short: str | None = None
    kind: str = "bool"

    @property
    def takes_value(self) -> bool:
        """Whether the next argument is its value (a boolean's value only follows ``=``)."""
        return self.kind != "bool"

    @property
    def is_list(self) -> bool:
        """Whether repeated uses add up (pflag's StringSlice)."""
        return self.kind == "strings"


# Other words for the same types (pflag's UnquoteUsage shortens them).
_KINDS = {"uint64": "uint", "int64": "int", "stringSlice": "strings"}

# What every version has (dumpling/export/config.go).
COMMON_FLAGS = tuple(
    Flag(name, short or None, kind)
    for kind, names in {
        "string": "host:h user:u password:p filesize:F output:o loglevel: logfile:L logfmt: "
        "consistency: snapshot: where: filetype: compress:c output-filename-template: "
        "status-addr: ca: cert: key: csv-null-value: csv-separator: csv-delimiter:",
        "int": "port:P threads:t",
        "uint": "rows:r statement-size:s tidb-mem-quota-query:",
        "strings": "database:B tables-list:T filter:f",
        "stringToString": "params:",
        "bool": "case-sensitive: no-views:W no-header: no-schemas:m no-data:d no-sequences: "
        "escape-backslash: order-by-primary-key: dump-empty-database: complete-insert: "
        "allow-cleartext-passwords: version:V help:",
    }.items()
    for name, _, short in (word.partition(":") for word in names.split())
)
# Not in the help, but parsed (MarkHidden in dumpling/export/config.go).
HIDDEN_FLAGS = (
    Flag("sql", "S", "string"),
    Flag("read-timeout", None, "duration"),
    Flag("transactional-consistency"),
)


@dataclass(frozen=True)
class Binary:
    """A Dumpling that answered: its absolute path, version, and options by long name.

    ``password_by_environment``: its help names MYSQL_PWD (pingcap/tidb#70907).
    """

    path: Path
    version: str
    flags: Mapping[str, Flag]
    password_by_environment: bool = False


def find(setting: str | None, env: Mapping[str, str] | None = None) -> Binary:
    """Find Dumpling and ask it once for its version and options; takes at most 16 s.

    ``env`` is the environment that it is asked in: ours less secrets unless given. Raises
    DumplingError (DUMPLING_UNUSABLE) where there is none that can be run.
    """
    path = _locate(setting)
    env = child_environment(os.environ, str) if env is None else env
    text = _ask(path, "--help", env)
    flags = parse_help(text)
    if missing := sorted(_ESSENTIAL - flags.keys()):
        if not _OWN_NAME.search(text.replace(str(path), "")):
            raise _unusable(
                f"{path} is not Dumpling",
                f"its --help names no {', '.join('--' + name for name in missing[:3])}",
            )
        # A build whose help is laid out in another way: it has what every version has.
        flags = {flag.name: flag for flag in COMMON_FLAGS} | flags
    found = _VERSION_LINE.search(_ask(path, "--version", env))
    version = found.group(1)[:100] if found else "unknown"
    return Binary(path, version, flags, bool(_PASSWORD_VARIABLE.search(text)))


def parse_help(text: str) -> dict[str, Flag]:
    """Return the options that a help text in pflag's layout names, with the hidden ones."""
    flags = {flag.name: flag for flag in HIDDEN_FLAGS}
    for line in text.splitlines():
        if match := _HELP_LINE.match(line):
            short, name, kind = match.groups()
            # Optional values are shown as [=...]: such a flag does not take the next argument.
            is_bool = kind is None or kind.startswith("[=")
            flags[name] = Flag(name, short, "bool" if is_bool else _KINDS.get(kind, kind))
    return flags


def child_environment(environ: Mapping[str, str], redact: Callable[[str], str]) -> dict[str, str]:
    """Return the environment for Dumpling: ours less the variables that hold secrets.

    ``redact`` knows the secrets: a variable whose value it changes holds one.
    """
    return {
        name: value
        for name, value in environ.items()
        if not _SECRET_NAME.search(name) and (name in _NEVER_SECRET or redact(value) == value)
    }


def _locate(setting: str | None) -> Path:
    if setting and os.sep in setting:
        return _checked(Path(os.path.abspath(setting)))  # noqa: PTH100 - a symbolic link stays one
    for place in () if setting else DEFAULT_PLACES:
        if place.exists() and not place.is_dir():
            return _checked(place)
    # A name without a slash is looked for as a shell does; a file there that cannot be executed
    # deserves its own message.
    name = setting or "dumpling"
    found = shutil.which(name) or shutil.which(name, mode=os.F_OK)
    if found is None:
        elsewhere = "" if setting else f"no {' and no '.join(map(str, DEFAULT_PLACES))}, and "
        raise _unusable(f"Dumpling is missing: {elsewhere}no {name} on PATH")
    return _checked(Path(os.path.abspath(found)))  # noqa: PTH100 - as above


def _checked(path: Path) -> Path:
    if path.is_dir():
        raise _unusable(f"{path} is a directory, not the Dumpling binary")
    if not path.exists():
        raise _unusable(f"Dumpling is missing: there is no {path}")
    if not os.access(path, os.X_OK):
        if os.statvfs(path).f_flag & os.ST_NOEXEC:
            raise _unusable(
                f"{path} cannot be run",
                "the volume that it lies on is mounted noexec",
                "copy Dumpling to another volume, or mount this one without noexec",
            )
        raise _unusable(f"{path} is not executable", fix=f"chmod 755 {path}")
    return path


def _unusable(what: str, why: str = "", fix: str = "") -> DumplingError:
    return DumplingError(
        what,
        why=why,
        fix=fix or "install Dumpling for this machine's architecture and name it with --dumpling",
        reason=Reason.DUMPLING_UNUSABLE,
    )


def _ask(path: Path, option: str, env: Mapping[str, str]) -> str:
    """Run ``path option`` and return what it said on both streams."""
    try:
        code, output = _capture([str(path), option], env)
    except OSError as error:
        raise exec_failure(path, error.errno or 0) from error
    text = output.decode("utf-8", "replace")
    last = text.strip().splitlines()[-1][:200] if text.strip() else "it said nothing"
    if code is None:
        raise _unusable(
            f"{path} {option} did not end", f"no end within {PROBE_SECONDS:g} s, or endless output"
        )
    if code < 0:
        raise _unusable(f"{path} {option} crashed with {signal_name(-code)}", last)
    if code != 0:
        raise _unusable(f"{path} {option} ended with exit code {code}", last)
    return text


def exec_failure(path: Path | str, number: int) -> DumplingError:
    """Return the error for an exec of Dumpling that the kernel refused with ``number``."""
    why = os.strerror(number)
    if number == errno.ENOEXEC:
        why += ": it is built for another architecture, or cut"
    elif number == errno.EACCES:
        why += ": its file, a directory above it, or a volume mounted noexec forbids it"
    elif number == errno.ENOENT:
        why += ": the file, or the loader or interpreter that it needs, is missing"
    return _unusable(f"{path} cannot be run", why)


def signal_name(number: int) -> str:
    """Return SIGKILL for 9, and "signal 99" for one that has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _capture(argv: Sequence[str], env: Mapping[str, str]) -> tuple[int | None, bytes]:
    """Run to the end within the bounds; the exit code is None where it had to be killed."""
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        process_group=0,
    )
    deadline = time.monotonic() + PROBE_SECONDS
    try:
        output, ended = _read_bounded(child, deadline)
        if not ended:
            return None, output
        return child.wait(max(0.1, deadline - time.monotonic())), output
    except subprocess.TimeoutExpired:
        return None, output
    finally:
        # Whatever it left behind in its group goes too; the leader is not reaped before that.
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if child.stdout:
            child.stdout.close()


def _read_bounded(child: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bool]:
    """Read until the pipe is closed; False where time or room ran out before."""
    if child.stdout is None:  # never: asked for with PIPE
        return b"", True
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0 and len(output) < PROBE_BYTES:
            if selector.select(left):
                block = os.read(child.stdout.fileno(), 65536)
                if not block:
                    return bytes(output), True
                output += block
    return bytes(output), False
