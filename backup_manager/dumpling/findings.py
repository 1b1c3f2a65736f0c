"""What a run of Dumpling said that matters for its outcome."""

import errno
import re
import threading
from dataclasses import dataclass, field

WORD_CHARS = 1000
WORDS = 6

# The lines that Dumpling prints before it ends (cmd/dumpling/main.go), pflag's, and Go's.
LAST_WORDS = re.compile(
    r"(?:dump failed|create dumper failed|parse arguments failed|meet some unparsed arguments"
    r"|unknown (?:shorthand )?flag|invalid argument|flag needs an argument|bad flag syntax"
    r"|panic|fatal error|runtime|SIG[A-Z]+)[:, ].*|.*error while loading shared libraries.*"
)
# What Go says of a file that it cannot write. Names on the volume may hold colons.
_FILE_ERRORS = {
    "no space left on device": errno.ENOSPC,
    "disk quota exceeded": errno.EDQUOT,
    "read-only file system": errno.EROFS,
    "permission denied": errno.EACCES,
    "operation not permitted": errno.EPERM,
    "input/output error": errno.EIO,
    "structure needs cleaning": errno.EUCLEAN,
    "cannot send after transport endpoint shutdown": errno.ESHUTDOWN,
    "no such file or directory": errno.ENOENT,
    "stale file handle": errno.ESTALE,
    "stale nfs file handle": errno.ESTALE,
    "transport endpoint is not connected": errno.ENOTCONN,
}
_PHRASES = "|".join(map(re.escape, _FILE_ERRORS))
# Said of other things than files too, but never of the files that are ours to blame.
_NO_SPACE = re.compile(r"(?i)(no space left on device|disk quota exceeded|read-only file system)")
_VERBS = "open|mkdir|write|close|sync|stat|lstat|fsync|truncate"
# A database server whose own disk is full says the same words, after an error number.
_SERVERS_OWN = re.compile(r"(?i)\bError \d+|errcode")
_GC_PASSED = re.compile(
    r"GC life time is shorter than transaction duration|Error (?:9006|8055)\b"
    r"|snapshot is older than GC safe point"
)


@dataclass
class Findings:
    """Kept while Dumpling runs; safe to fill from both streams' threads.

    ``retries`` counts chunks dumped again: their files were rewritten. ``unclosed`` counts files
    whose close failed. ``metadata_error`` is why the position is missing from ``metadata``.
    ``file_error`` is the errno of the first file under ``output`` that could not be written, or 0.
    """

    output: str = ""

    retries: int = 0
    unclosed: int = 0
    metadata_error: str = ""
    gc_passed: bool = False
    file_error: int = 0
    _words: list[str] = field(default_factory=list)
    _errors: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        own = rf"(?is)(?:{_VERBS}) {re.escape(self.output)}.{{0,4096}}?: ({_PHRASES})"
        self._own_file = re.compile(own) if self.output else None

    def log(self, message: str, error: str, *, is_error: bool) -> None:
        """Take a log line's message and its error field; both without secrets and rows."""
        text = f"{message}: {error}" if error else message
        with self._lock:
            self.retries += message.startswith("fail to dumping table(chunk)")
            self.unclosed += message in {"fail to close file", "close file failed"}
            if message.startswith("get global metadata failed"):
                self.metadata_error = (error or message)[:WORD_CHARS]
            if is_error:
                self._remember(self._errors, text)
        self._scan(text)

    def plain(self, text: str) -> bool:
        """Take a line that is no log line; True if these are last words."""
        self._scan(text)
        if not LAST_WORDS.fullmatch(text):
            return False
        with self._lock:
            self._remember(self._words, text)
        return True

    @property
    def words(self) -> str:
        """Dumpling's last words; its last logged error where it left none."""
        with self._lock:
            return "; ".join(self._words or self._errors[-1:])

    def _scan(self, text: str) -> None:
        found = self._file_error(text)
        with self._lock:
            self.file_error = self.file_error or found
            self.gc_passed |= bool(_GC_PASSED.search(text))

    def _file_error(self, text: str) -> int:
        if _SERVERS_OWN.search(text):
            return 0
        match = _NO_SPACE.search(text)
        if not match and self._own_file:
            match = self._own_file.search(text)
        return _FILE_ERRORS[match.group(1).lower()] if match else 0

    @staticmethod
    def _remember(kept: list[str], text: str) -> None:
        text = text.strip()
        text = text if len(text) <= WORD_CHARS else text[:WORD_CHARS] + "..."
        if text not in kept:  # both streams carry "unknown flag"
            kept.append(text)
            del kept[:-WORDS]
