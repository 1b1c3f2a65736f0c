"""What a run of Dumpling said that matters for its outcome."""

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
_NO_SPACE = re.compile(r"(?i)no space left on device|disk quota exceeded")
_NOT_WRITABLE = re.compile(
    r"(?i)read-only file system"
    r"|(?:open|mkdir|write) [^:]{1,300}: (?:permission denied|input/output error)"
)
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
    """

    retries: int = 0
    unclosed: int = 0
    metadata_error: str = ""
    gc_passed: bool = False
    no_space: bool = False
    not_writable: bool = False
    _words: list[str] = field(default_factory=list)
    _errors: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

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
        ours = not _SERVERS_OWN.search(text)
        with self._lock:
            self.no_space |= ours and bool(_NO_SPACE.search(text))
            self.not_writable |= ours and bool(_NOT_WRITABLE.search(text))
            self.gc_passed |= bool(_GC_PASSED.search(text))

    @staticmethod
    def _remember(kept: list[str], text: str) -> None:
        text = text.strip()
        text = text if len(text) <= WORD_CHARS else text[:WORD_CHARS] + "..."
        if text not in kept:  # both streams carry "unknown flag"
            kept.append(text)
            del kept[:-WORDS]
