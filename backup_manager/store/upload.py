"""The upload engine: sends every file on the journal's queue, many at a time, while the dump runs.

Workers pull their work: a part of a big file that is open, or the next file. Nothing is held in
memory but what is being sent.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path

from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.bigfile import BigFile, lost_too_often
from backup_manager.store.client import Store
from backup_manager.store.multipart import Multipart
from backup_manager.store.sender import Sender, UploadGoneError, changed_after, gone_after
from backup_manager.store.settings import BIG_FILES_AT_ONCE
from backup_manager.store.source import FileChangedError, SourceFile, check_size, utf8
from backup_manager.store.wire import Body
from backup_manager.volume.directory import volume_error, volume_errors
from backup_manager.volume.journal import METADATA, Journal
from backup_manager.volume.rows import PartRow

_PAGE = 64
_JOIN_SECONDS = 3.0


class Uploader:
    """Sends files under ``root`` to keys under ``directory`` as the journal's queue has them."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        *,
        root: Path,
        directory: str,
        stop: Stop,
        report: Report,
    ) -> None:
        self._store = store
        self._pace = store.options.pace
        self._big_at_once = min(BIG_FILES_AT_ONCE, self._pace.files_at_once)
        self.sender = Sender(store, stop=stop, report=report)
        self._report = report
        self._stop = stop
        self._multipart = Multipart(store)
        self._journal = journal
        self._root = root
        self._directory = directory
        self._work = threading.Condition()
        self._page: deque[str] = deque()
        self._busy: dict[str, bool] = {}  # name -> it was closed again meanwhile
        self._parked: set[str] = set()
        self._begun_anew: Counter[str] = Counter()
        self._big: list[BigFile] = []
        self._settled = False
        self._halted = False
        self._failure: Exception | None = None
        self.files_sent = 0
        self._threads = [
            threading.Thread(target=self._run, name=f"upload {number}", daemon=True)
            for number in range(self._pace.requests_at_once)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def offer(self, names: Iterable[str]) -> None:
        """Take files that were closed after writing; ``metadata`` waits for its turn."""
        names = [utf8(name) for name in names if name != METADATA]
        with self._work:
            for name in names:
                if name in self._busy:
                    self._busy[name] = True
                self._parked.discard(name)
            self._journal.offer(names)
            self._work.notify(len(names))

    def settle(self) -> None:
        """From now on the files no longer change: what is on the queue has its final state."""
        with self._work:
            self._settled = True
            self._parked.clear()
            self._work.notify_all()
        self._store.patience.count()

    @property
    def idle(self) -> bool:
        """Whether everything on the queue has been sent and confirmed."""
        with self._work:
            return not self._busy and self._journal.waiting == 0

    def check(self) -> None:
        """Raise what made a worker give up, if anything did."""
        if self._failure:
            self._stop.check()  # a worker may have been the first to notice a signal
            raise self._failure

    def halt(self) -> None:
        """End the workers now: calls under way are cut."""
        with self._work:
            self._halted = True
            self._work.notify_all()
        self.sender.end()
        for thread in self._threads:
            if thread.ident:
                thread.join(_JOIN_SECONDS / len(self._threads))

    # The workers ---------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while work := self._next():
                work()
        except Exception as error:  # noqa: BLE001 - carried to the main thread, which raises it
            with self._work:
                self._failure = self._failure or error
                self._halted = True
                self._work.notify_all()

    def _next(self) -> Callable[[], None] | None:
        with self._work:
            while not self._halted:
                for big in self._big:
                    if big.ready:
                        big.reading = True
                        return lambda big=big: self._send_part(big)  # type: ignore[misc]  # mypy has no type for it
                if name := self._next_name():
                    self._busy[name] = False
                    return lambda: self._send(name)
                self._work.wait()
        return None

    def _next_name(self) -> str | None:
        if len(self._big) >= self._big_at_once or len(self._busy) >= self._pace.files_at_once:
            return None
        if not self._page:
            skip = len(self._busy) + len(self._parked)
            self._page.extend(
                name
                for name in self._journal.queued(_PAGE + skip)
                if name not in self._busy and name not in self._parked
            )
        return self._page.popleft() if self._page else None

    def _send(self, name: str) -> None:
        """Send one file, or open it for its parts to be sent."""
        try:
            source = SourceFile(self._root / name, content_md5=self._store.content_md5)
        except OSError as error:
            self._gone(name, error)
            return
        keep = False
        try:
            self._expect(name, source)
            keep = self._send_opened(name, source)
        except FileChangedError:
            self._again(name)
        finally:
            if not keep:
                source.close()

    def _send_opened(self, name: str, source: SourceFile) -> bool:
        """Send a small file; return True for a big one, which stays open."""
        key = f"{self._directory}/{name}"
        size = source.state.bytes
        check_size(name, size, self._pace)
        row = self._journal.file(name)
        small = size < self._pace.multipart_from_bytes
        known = row if row and row.etag and row.state and row.state.bytes == size else None
        if small or known:
            body = source.body(0, size)
            if known and known.etag and body.sha256 == known.sha256:
                self._confirm(name, source, body.sha256, known.etag)
                return False
        if row and row.etag:
            # From here on the store may hold something else, even if that is never confirmed.
            self._journal.forget_sent(name)
        if small:
            etag = self.sender.put(key, body)
            self._confirm(name, source, body.sha256, etag)
            return False
        big = BigFile(name, key, source, self._pace)
        big.begin(self._multipart, self._journal)
        with self._work:
            self._big.append(big)
            self._work.notify_all()
        return True

    def _send_part(self, big: BigFile) -> None:
        read = self._read_part(big)
        with self._work:
            big.reading = False
            big.in_flight += 1
            self._work.notify()
        try:
            if read:
                self._send_read_part(big, *read)
        except FileChangedError:
            big.changed = True
        except UploadGoneError:
            big.gone = True
        with self._work:
            big.in_flight -= 1
            if not big.ended:
                return
            self._big.remove(big)
            self._work.notify()
        self._finish(big)

    @staticmethod
    def _read_part(big: BigFile) -> tuple[int, Body] | None:
        try:
            return big.read_next()
        except FileChangedError:
            big.changed = True
            return None

    def _send_read_part(self, big: BigFile, number: int, body: Body) -> None:
        etag = big.sent_before(number, body)
        if etag is None:
            etag = self.sender.upload_part(big.key, big.upload_id, number, body)
            part = PartRow(number, body.length, body.sha256, etag)
            self._journal.confirm_part(big.upload_id, part)
        big.sent(number, etag)

    def _finish(self, big: BigFile) -> None:
        try:
            if not big.changed and not big.gone:
                etag = big.complete(self._multipart, self._journal)
                self._journal.end_upload(big.name)
                self._confirm(big.name, big.source, big.sha256, etag)
                return
        except FileChangedError:
            big.changed = True
        except UploadGoneError:
            big.gone = True
        finally:
            big.source.close()
        self._multipart.abort(big.key, big.upload_id)
        self._journal.end_upload(big.name)
        if big.changed:
            self._again(big.name)
        else:
            self._anew(big)

    # What becomes of a file ----------------------------------------------------------------

    def _confirm(self, name: str, source: SourceFile, sha256: str, etag: str) -> None:
        with self._work:
            # Under the lock: what changes later is seen by the reconciliation, by its state.
            source.check()
            if not self._busy.pop(name):
                self._journal.confirm(
                    name, source.state, read_ns=source.read_ns, sha256=sha256, etag=etag
                )
                self.files_sent += 1
            # Else it was closed again meanwhile: it stays on the queue.

    def _again(self, name: str) -> None:
        """Leave a changed file on the queue; while the dump runs, until it is closed again."""
        with self._work:
            if not self._busy.pop(name) and not self._settled:
                self._parked.add(name)

    def _anew(self, big: BigFile) -> None:
        """Leave a file on the queue whose upload the store has lost; not for ever."""
        self._begun_anew[big.name] += 1
        most = self._store.options.uploads
        if self._begun_anew[big.name] >= most:
            raise lost_too_often(self._store.settings.url(big.key), most)
        self._report.info("the store has lost a multipart upload: it is begun anew", file=big.name)
        with self._work:
            del self._busy[big.name]
            self._work.notify()

    def _expect(self, name: str, source: SourceFile) -> None:
        """After the dump has ended a file must be as it was recorded then."""
        if not self._settled:
            return
        row = self._journal.file(name)
        if row is None or row.state != source.state:
            raise changed_after(name)

    def _gone(self, name: str, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise volume_error(f"{self._root / name} cannot be read", error) from error
        if self._settled:
            with volume_errors(f"{self._root} is no longer there"):
                self._root.stat()
            raise gone_after(name)
        with self._work:
            if not self._busy.pop(name):
                self._parked.add(name)
