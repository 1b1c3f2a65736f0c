"""How the text of a setting becomes a value.

Each function raises ValueError(why, what to do) where the text is wrong.
"""

import os
import re
import stat
from collections.abc import Callable, Collection
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from backup_manager.durations import parse_duration
from backup_manager.store.providers import PROVIDERS

_MAX_PORT = 65535
# General rules of S3; upper case and underscores were allowed once and still exist on Ceph.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
# An object's key has 1,024 bytes; our own part of it needs room too.
_MAX_PREFIX_BYTES = 512
_MAX_PATH = 4096
_DAY, _LEAST_LOCK, _MOST_LOCK = 86400.0, 3600.0, 876000 * 3600.0
_MOST_TTL = (1 << 31) - 1  # seconds: Kubernetes has 32 bits for them
ADDRESSING = ("virtual", "path")
FILES, ARCHIVE = "files", "archive"
FORMATS = (FILES, ARCHIVE)
S3 = "s3"
OUTPUTS = ("yaml", "json")


def is_utf8(text: str) -> bool:
    """Tell whether no bytes of the command line or the environment were lost in reading it."""
    return text.encode("utf-8", "replace").decode() == text


def boolean(text: str) -> bool:
    if text.lower() in {"true", "1", "yes", "on"}:
        return True
    if text.lower() in {"false", "0", "no", "off"}:
        return False
    raise ValueError(f"{text!r} is neither true nor false", "give true or false")


def port(text: str) -> int:
    # Five digits: Python reads no number of thousands of them.
    if not re.fullmatch("0*[0-9]{1,5}", text) or not 1 <= int(text[-5:]) <= _MAX_PORT:
        raise ValueError(f"{text!r} is no port", "give a number from 1 to 65535; TiDB's is 4000")
    return int(text)


def seconds(text: str) -> float:
    """Read a Go duration, or a plain number of seconds; return seconds, above zero."""
    fix = "give a duration such as 90s, 15m or 1h30m, above zero"
    try:
        nanoseconds = parse_duration(text if re.search("[a-zµμ]", text) else text + "s")
    except ValueError as error:
        raise ValueError(str(error), fix) from None
    if nanoseconds <= 0:
        raise ValueError(f"{text!r} is not above zero", fix)
    return nanoseconds / 1e9


def job_ttl(text: str) -> int:
    """Read a duration for ttlSecondsAfterFinished; return whole seconds, at least one."""
    found = max(1, round(seconds(text)))
    if found > _MOST_TTL:
        raise ValueError(f"{text!r} is longer than Kubernetes knows", "give 596523h at most")
    return found


def reserved_seconds(text: str) -> float:
    """Read how long something is kept: a Go duration of a second to 100 years; return seconds."""
    fix = "give a duration such as 72h or 1h30m, from 1s to 876000h (days are written in hours)"
    try:
        found = parse_duration(text) / 1e9
    except ValueError as error:
        raise ValueError(str(error), fix) from None
    if not 1 <= found <= _MOST_LOCK:
        raise ValueError(f"{text!r} is no time to keep something", fix)
    return found


def backups_kept(text: str) -> int:
    """Read how many backups are kept; 0 is no limit, as in TiDB Operator's BackupSchedule."""
    if not re.fullmatch("[0-9]{1,6}", text):
        raise ValueError(f"{text!r} is no number of backups", "give 1 to 999999; 0 is no limit")
    return int(text)


def one_of(words: Collection[str], kind: str) -> Callable[[str], str]:
    """Return a reader of these very words; ``kind`` is what a wrong one is said not to be."""
    *others, last = words

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is no {kind}", f"give {', '.join(others)} or {last}")
        return text

    return read


def bounded_wait(text: str, found: float) -> float:
    """Return the seconds; raise ValueError above a day: no request takes so long."""
    if found > _DAY:
        raise ValueError(f"{text!r} is longer than a day", "give 24h at most")
    return found


def wait_seconds(text: str) -> float:
    """Read a duration of at most a day; return seconds."""
    return bounded_wait(text, seconds(text))


def bounded_lock(text: str, found: float) -> float:
    """Return the seconds; raise ValueError for what no store can lock so long, or so short."""
    if not _LEAST_LOCK <= found <= _MOST_LOCK:
        raise ValueError(f"{text!r} is no time of Object Lock", "give 1h to 876000h (100 years)")
    return found


def lock_seconds(text: str) -> float:
    """Read for how long objects are locked; return seconds."""
    return bounded_lock(text, seconds(text))


def word(text: str) -> str:
    """Read what goes into a header as it is: printable ASCII without spaces."""
    if not re.fullmatch("[!-~]{1,2048}", text):
        raise ValueError(f"{text!r} is no plain word", "give printable ASCII without spaces")
    return text


def object_name(text: str) -> str:
    """Read a name that Kubernetes takes (RFC 1123, a subdomain): it becomes part of a path."""
    if not re.fullmatch("[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", text):
        raise ValueError(
            f"{text!r} is no name of an object",
            "give it as kubectl get shows it: small letters, digits, - and .",
        )
    return text


def namespace(text: str) -> str:
    """Read the name of a namespace (RFC 1123, a label)."""
    if not re.fullmatch("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text):
        raise ValueError(
            f"{text!r} is no name of a namespace",
            "give 63 characters at most: small letters, digits and -",
        )
    return text


def region(text: str) -> str:
    # As botocore has it.
    if not re.fullmatch("(?![0-9]+$)(?!-)[a-zA-Z0-9-]{1,63}(?<!-)", text):
        raise ValueError(f"{text!r} is no region", "give a name such as eu-central-1")
    return text


def regular_file(text: str) -> Path:
    """Read a path of a file that can be read again, and to its end."""
    path = existing_file(text)
    if not path.is_file():
        raise ValueError(f"{text} is no regular file", "name one that is no pipe and no device")
    return path


def existing_file(text: str) -> Path:
    path = Path(text)
    if "\n" in text or "\0" in text or len(text) > _MAX_PATH or not _is_path(text):
        # Perhaps the file's content, a private key: it is not repeated.
        raise ValueError("the text is no path", "name the file; its content has no place here")
    try:
        state = path.stat()
    except FileNotFoundError:
        raise ValueError(f"there is no file {text}", "check the path and the mount") from None
    except OSError as error:
        raise ValueError(f"{text}: {error.strerror}", "check the path and the mount") from None
    if stat.S_ISDIR(state.st_mode):
        raise ValueError(f"{text} is a directory", "name the file in it")
    return path


def _is_path(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def provider(text: str) -> str:
    name = text.lower()
    if name not in PROVIDERS:
        near = get_close_matches(name, PROVIDERS, n=1)
        hint = f"{near[0]} is meant?" if near else ""
        raise ValueError(
            f"{text!r} is no provider that is known here",
            f"{hint} Give one of {', '.join(PROVIDERS)}".strip(),
        )
    return name


def storage_type(text: str) -> str:
    if text != S3:
        raise ValueError(
            f"{text!r} is no store that is known here",
            "backups go to S3-compatible stores only: give spec.s3 in the Backup object",
        )
    return text


def metrics_file(text: str) -> Path:
    if not text.endswith(".prom"):
        raise ValueError(f"{text!r} does not end in .prom", "node-exporter reads no other files")
    return Path(text)


def bucket(text: str) -> str:
    if not _BUCKET.fullmatch(text) or ".." in text:
        fix = "give the bucket's name alone; what follows a slash belongs in --prefix"
        raise ValueError(f"{text!r} is no name of a bucket", fix)
    return text


def prefix(text: str) -> str:
    """Normalise: no slash at the ends, none doubled."""
    pieces = [piece for piece in text.split("/") if piece]
    if any(piece in {".", ".."} for piece in pieces):
        raise ValueError(f"{text!r} has a part '.' or '..'", "give the plain path of the prefix")
    joined = "/".join(pieces)
    if any(ord(character) < ord(" ") or character == "\x7f" for character in joined):
        raise ValueError(f"{text!r} has a control character", "give printable characters only")
    if not is_utf8(joined):
        raise ValueError(f"{text!r} is no UTF-8", "give the prefix as UTF-8")
    if len(joined.encode()) > _MAX_PREFIX_BYTES:
        raise ValueError("the prefix has more than 512 bytes", "give a shorter one")
    return joined


def endpoint(text: str, default_scheme: str) -> str:
    """Complete an endpoint's scheme and refuse what is no plain scheme, host and port."""
    url = text if "://" in text else f"{default_scheme}://{text}"
    fix = "give scheme, host and port only, such as https://rgw.example.com:7443"
    try:
        parts = urlsplit(url)
        number = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is no address: {error}", fix) from None
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"{parts.scheme!r} is neither http nor https", fix)
    if parts.username is not None or parts.password is not None:
        raise ValueError("an endpoint holds no credentials", fix)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            f"{text!r} has a path or a query",
            f"{fix}; --bucket and --prefix are flags of their own",
        )
    # Not of parts.netloc: urlsplit leaves tabs and newlines out.
    if not parts.hostname or re.search(r"\s", text):
        raise ValueError(f"{text!r} names no host", fix)
    if number == 0:
        raise ValueError(f"{text!r} has no port that could be connected to", fix)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{number}" if number is not None else "")


def gateway(text: str) -> str:
    """Check the address of a Pushgateway: scheme, host, and perhaps a port and a path."""
    fix = "give an address such as http://pushgateway.monitoring:9091"
    try:
        parts = urlsplit(text)
        sound = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        sound = False
    # First of all, and without the text: it may hold a password.
    if "@" in text:
        raise ValueError(
            "an address holds no credentials",
            "put user:password into a file, and name it by --pushgateway-auth-file",
        )
    if not sound or parts.scheme not in {"http", "https"} or re.search(r"[\s?#]", text):
        raise ValueError(f"{text!r} is no address of a Pushgateway", fix)
    return text.rstrip("/")
