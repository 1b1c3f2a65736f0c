"""The archive: after the dump has ended, one ``.tgz`` of all its files, sent as it is made.

Nothing of it lies on the volume, and only the parts that are under way in memory. It is completed
only when every file is in it, whole and as it was recorded at the dump's end; whatever goes wrong
before that aborts its multipart upload, whose id is in the journal before its first part goes.
"""

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from backup_manager.bounded import Call
from backup_manager.catalog.archive_parts import (
    archive_part_bytes,
    cut,
    parts_in_memory,
    too_large,
)
from backup_manager.catalog.dump_tar import DumpTar
from backup_manager.catalog.gzip_stream import gzip_bound, gzipped, threads
from backup_manager.catalog.layout import ARCHIVE_SUFFIX, relative
from backup_manager.errors import BackupError
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.bigfile import lost_too_often
from backup_manager.store.client import Store
from backup_manager.store.multipart import Multipart, abort_begun
from backup_manager.store.retries import Patience
from backup_manager.store.sender import Sender, UploadGoneError
from backup_manager.store.wire import Body
from backup_manager.volume.directory import FileState
from backup_manager.volume.journal import Journal
from backup_manager.volume.rows import UploadRow

_LOOK_SECONDS = 0.1
_JOIN_SECONDS = 3.0
_ABORT_SECONDS = 10.0
_NO_STATE = FileState(0, 0, 0, 0)  # what the upload is made of is no one file


@dataclass(frozen=True)
class Archive:
    """An archive that the store has confirmed; ``etag`` as it answered."""

    bytes: int
    sha256: str
    etag: str


def sent_archive(journal: Journal) -> Archive | None:
    """Return the archive that the journal holds as confirmed."""
    fact = journal.fact("archive")
    return Archive(**json.loads(fact)) if fact else None


def distrust_archive(journal: Journal) -> None:
    """Let the archive be made and sent anew."""
    journal.remember(archive="")


class _HaltedError(Exception):
    """The run is ending; the archive is not to be completed."""


class Archiver:
    """Makes and sends the archive of the dump under ``root`` in a thread of its own.

    ``key`` is the archive's, ``moment`` the time of all its entries in seconds since 1970. Used as
    the ``Uploader`` is; but nothing goes before ``settle``.
    """

    streams = False  # files while Dumpling writes them

    def __init__(
        self,
        store: Store,
        journal: Journal,
        *,
        root: Path,
        key: str,
        moment: int,
        stop: Stop,
        report: Report,
    ) -> None:
        self._store = store
        self._journal = journal
        self._key = key
        self._name = relative(key)
        top = self._name.removesuffix(ARCHIVE_SUFFIX)
        self._tar = DumpTar(journal, root, top, moment)
        self._stop = stop
        self._report = report
        self._multipart = Multipart(store)
        self.sender = Sender(store, stop=stop, report=report)
        self._files, self._bytes = journal.totals()
        self._settled = threading.Event()
        self._halted = False
        self._done = False
        self._failure: Exception | None = None
        self._sending: deque[Call[str]] = deque()
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)

    @property
    def files_sent(self) -> int:
        """How many files are in the archive, as far as it is made."""
        return self._tar.files

    @property
    def bytes_done(self) -> int:
        """How many bytes of the dump are in it."""
        return self._tar.bytes

    @property
    def files_waiting(self) -> int:
        """How many files are not yet in the archive."""
        return 0 if self._done else self._files - self.files_sent

    @property
    def bytes_waiting(self) -> int:
        """How many bytes of the dump are not yet in the archive."""
        return 0 if self._done else self._bytes - self.bytes_done

    def start(self) -> None:
        self._thread.start()

    def offer(self, names: Iterable[str]) -> None:
        """Take no file before the dump has ended."""

    def settle(self) -> None:
        """From now on the files no longer change: the archive is made of them."""
        self._files, self._bytes = self._journal.totals()
        self._store.patience.count()
        self._settled.set()

    @property
    def idle(self) -> bool:
        """Whether the store has confirmed the archive."""
        return self._done

    def check(self) -> None:
        """Raise what made it give up, if anything did."""
        if self._failure:
            self._stop.check()  # the thread may have been the first to notice a signal
            raise self._failure

    def halt(self) -> None:
        """End now; what was begun in the store and not completed is aborted."""
        self._halted = True
        self._settled.set()
        self.sender.end()
        if self._thread.ident:
            self._thread.join(_JOIN_SECONDS)
        until = time.monotonic() + _JOIN_SECONDS
        for call in list(self._sending):
            call.done(max(0.0, until - time.monotonic()))
        if self._done:
            return
        self._stop.begin_end()
        try:
            # The sender's end has ended the patience of every call of its store.
            self._abort(Multipart(self._store.patient(Patience(_ABORT_SECONDS))))
        except BackupError as error:
            self._report.info(
                "the archive's upload stays open; the next run aborts it", why=error.message
            )

    # In the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._settled.wait()
            self._check_halted()
            if sent_archive(self._journal) is None:
                self._send_archive()
            self._done = True
        except _HaltedError:
            return
        except Exception as error:  # noqa: BLE001 - carried to the main thread, which raises it
            self._failure = error

    def _send_archive(self) -> None:
        most = self._store.options.uploads
        for _ in range(most):
            self._abort(self._multipart)  # a stream that was cut cannot be gone on with
            try:
                archive = self._send_stream()
            except UploadGoneError:
                self._report.info("the store has lost the archive's upload: it is begun anew")
                continue
            self._journal.end_upload(self._name)
            self._journal.remember(archive=json.dumps(asdict(archive)))
            return
        raise lost_too_often(self._store.settings.url(self._key), most)

    def _abort(self, multipart: Multipart) -> None:
        abort_begun(multipart, self._journal, lambda _: self._key)
        self._journal.commit()

    def _send_stream(self) -> Archive:
        self._sending.clear()
        size = self._part_bytes()
        upload_id = self._begin(size)
        digest, total, etags = hashlib.sha256(), 0, []
        with closing(gzipped(self._tar.read(self._check_halted), threads())) as stream:
            for number, part in enumerate(cut(stream, size, self._store.options.pace.max_parts), 1):
                total += part.length
                body = part.body(content_md5=self._store.content_md5, also=digest)
                while len(self._sending) >= self._store.options.pace.parts_at_once:
                    etags.append(self._sent())
                self._sending.append(self._send_part(upload_id, number, body))
                del part, body  # it is to go as soon as it was sent
                while len(self._sending) >= parts_in_memory(size):
                    etags.append(self._sent())
        while self._sending:
            etags.append(self._sent())
        etag = self._multipart.complete(self._key, upload_id, etags)
        return Archive(total, digest.hexdigest(), etag)

    def _part_bytes(self) -> int:
        try:
            return archive_part_bytes(gzip_bound(self._tar.size), self._store.options.pace)
        except ValueError as error:
            raise too_large(str(error)) from error

    def _begin(self, size: int) -> str:
        self._check_halted()
        upload_id = self._multipart.create(self._key)
        self._journal.begin_upload(self._name, UploadRow(upload_id, size, _NO_STATE))
        return upload_id

    def _send_part(self, upload_id: str, number: int, body: Body) -> Call[str]:
        return Call(lambda: self.sender.upload_part(self._key, upload_id, number, body))

    def _sent(self) -> str:
        """Wait until the oldest part is there; return its ETag."""
        call = self._sending[0]
        while not call.done(_LOOK_SECONDS):
            self._check_halted()
        etag = call.result()
        self._sending.popleft()
        return etag

    def _check_halted(self) -> None:
        if self._halted:
            raise _HaltedError
