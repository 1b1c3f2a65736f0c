"""Files as Dumpling's local storage writes them: under the final name, no rename, no fsync."""

import errno
import os
import zlib
from pathlib import Path

from .errors import DumpError
from .log import Field, Log
from .metrics import Metrics
from .stage import Stage, wait_as_told

# os.Create with Go's close-on-exec (facts: the flags of the one openat a file).
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_SPOILT = b"-- an attempt that failed and will be written again --\n"


def write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def fill_disk() -> None:
    """Fail as a write to a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Output:
    """The output directory."""

    def __init__(
        self, directory: str, *, gzip: bool, stage: Stage, log: Log, metrics: Metrics
    ) -> None:
        self.directory = Path(directory)
        self.gzip = gzip
        self.stage = stage
        self.log = log
        self.metrics = metrics

    def prepare(self) -> None:
        """Make the directory; that it is not empty does not matter (facts)."""
        try:
            self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise DumpError(f"mkdir {self.directory}: {reason}") from None

    def open(self, name: str) -> int:
        path = self.directory / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            return os.open(path, _FLAGS, 0o666)
        except OSError as error:
            raise DumpError(f"open {path}: {(error.strerror or '').lower()}") from None

    def write_whole(self, name: str, data: bytes, *, plain: bool = False) -> None:
        """A file in one write: a schema, or with `plain` one that is never compressed."""
        if self.gzip and not plain:
            name += ".gz"
            packer = zlib.compressobj(wbits=31)
            data = packer.compress(data) + packer.flush()
        self.stage.checkpoint()
        fd = self.open(name)
        try:
            if not self.stage.discards:
                self.store(fd, name, data)
        finally:
            os.close(fd)

    def store(self, fd: int, name: str, data: bytes) -> None:
        try:
            if self.stage.disk_full:
                fill_disk()
            write_all(fd, data)
        except OSError as error:
            # Row data leak into the log here (facts: the first 200 bytes).
            head = data[:200].decode("utf-8", "replace")
            reason = f"write {self.directory / name}: {(error.strerror or '').lower()}"
            self.log.write(
                "warn", "writer_util.go:541", "fail to write", {"string": head, "error": reason}
            )
            raise DumpError(reason) from None

    def again(self, name: str, content: bytes) -> None:
        """Write a file anew under its name, as a retry does: with O_TRUNC."""
        self.metrics.add("error_count")
        fields: dict[str, Field] = {"finished size": len(content), "error": "invalid connection"}
        self.log.write(
            "warn",
            "writer_util.go:194",
            "fail to dumping table(chunk), will revert some metrics and start a retry if possible",
            fields,
        )
        self.metrics.add("finished_size", -len(content))
        wait_as_told(self.stage.retry)
        fd = self.open(name)
        try:
            write_all(fd, content)
        finally:
            os.close(fd)
        self.metrics.add("finished_size", len(content))


class DataFile:
    """One data file, opened with its first bytes."""

    def __init__(self, output: Output, name: str) -> None:
        self.name = name + (".gz" if output.gzip else "")
        self.size = 0
        self._output = output
        self._packer = zlib.compressobj(wbits=31) if output.gzip else None
        output.stage.checkpoint()
        self._fd = output.open(self.name)

    def write(self, data: bytes) -> None:
        """One statement, in one write (facts: about 1 MB each)."""
        output = self._output
        output.stage.checkpoint()
        packed = self._packer.compress(data) if self._packer else data
        if not output.stage.discards:
            output.store(self._fd, self.name, packed)
        self.size += len(data)
        output.metrics.add("finished_size", len(data))
        output.stage.wrote(len(data))

    def close(self) -> None:
        output, stage = self._output, self._output.stage
        stage.checkpoint()
        if self._packer and not stage.discards:
            output.store(self._fd, self.name, self._packer.flush())
        content = None
        if stage.takes_retry(self.name):
            content = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
            spoil(self._fd, content, stage.retry.get("length", "same"))
        stage.close(self._fd)
        if content is not None:
            for _ in range(stage.retry.get("times", 1)):
                output.again(self.name, content)
        output.metrics.add("write_write_duration_time_count")

    def abandon(self) -> None:
        """Close in the middle, as a failed attempt does."""
        os.close(self._fd)


def spoil(fd: int, content: bytes, length: str) -> None:
    """Make what is there differ from what the retry will leave: it is then `length`."""
    if length == "longer":
        os.ftruncate(fd, len(content) // 2)
    elif length == "shorter":
        os.pwrite(fd, _SPOILT, len(content))
    elif length == "same":
        middle = len(content) // 2
        filler = (_SPOILT * (middle // len(_SPOILT) + 1))[: len(content) - middle]
        os.pwrite(fd, filler, middle)
    elif length != "identical":
        raise DumpError(f"retry-chunk: no such length {length!r}")
