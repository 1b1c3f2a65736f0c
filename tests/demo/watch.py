"""Looks at what is where while an export runs."""

import os
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.restore import StoredObject, listing
from tests.servers import S3Server

from .screen import mib

_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Moment:
    """What was where while Dumpling was running."""

    seconds: float
    objects: int
    sent: int
    files: int
    on_volume: int


def as_rows(moments: Sequence[Moment], at_most: int) -> list[tuple[str, ...]]:
    """A table of some of the moments, the last one among them."""
    every = max(1, -(-len(moments) // at_most))
    rows: list[tuple[str, ...]] = [("while Dumpling ran", "in the bucket", "", "on the volume", "")]
    for each in moments[::-1][::every][::-1]:
        bucket = f"{each.objects} objects", mib(each.sent)
        rows.append(
            (f"after {each.seconds:.1f} s", *bucket, f"{each.files} files", mib(each.on_volume))
        )
    return rows


class Watch:
    """Looks, while the export runs, at what the bucket already holds."""

    def __init__(
        self,
        store: S3Server,
        bucket: str,
        prefix: str,
        volume: Path,
        process: "subprocess.Popen[str]",
    ) -> None:
        self.moments: list[Moment] = []
        self._client = store.client()
        self._bucket = bucket
        self._prefix = prefix
        self._volume = volume
        self._process = process
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        while self._process.poll() is None:
            objects = self._objects()
            files = list(_sizes(self._volume.glob("*/dump/*")))
            # Asked last: if Dumpling runs now, all that was counted was there while it ran.
            if _dumpling_under(self._process.pid, self._volume):
                now = time.monotonic() - began
                sent = sum(each.bytes for each in objects)
                self.moments.append(Moment(now, len(objects), sent, len(files), sum(files)))
            time.sleep(_POLL_SECONDS)

    def _objects(self) -> list[StoredObject]:
        found = listing(self._client, self._bucket, self._prefix)
        return [each for each in found if each.name.startswith("backup-")]  # no probe


def _sizes(paths: Iterable[Path]) -> Iterator[int]:
    for path in paths:
        with suppress(FileNotFoundError):  # cleared away meanwhile
            yield path.stat().st_size


def _dumpling_under(parent: int, volume: Path) -> bool:
    """Whether a process below `parent` was told to write under the volume."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    todo = list(children.get(parent, []))
    while todo:
        pid = todo.pop()
        todo += children.get(pid, [])
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(b"--output=" + os.fsencode(volume)) for word in words):
            return True
    return False
