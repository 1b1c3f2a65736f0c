"""Publishing: the store is asked what it holds, then the commit record is written, last of all."""

from pathlib import Path

from backup_manager.bounded import bounded, shielded
from backup_manager.catalog.formats import MANIFEST, RECORD, open_record, write_manifest
from backup_manager.errors import HeldError, MismatchError, Reason
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.client import Store
from backup_manager.store.faults import FAULTS, explain, passing, status_of
from backup_manager.store.sender import Sender, changed_after
from backup_manager.volume.directory import volume_errors
from backup_manager.volume.journal import METADATA, Journal
from backup_manager.volume.rows import FileRow

_RECORD_BYTES = 1 << 20
_PRECONDITION_FAILED = {409, 412}
_NO_CONDITIONS = {400, 501}
_ATTEMPTS = 5


class Publisher:
    """Publishes one dump whose files are all confirmed, under ``directory``."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        *,
        directory: str,
        stop: Stop,
        report: Report,
    ) -> None:
        self._store = store
        self._journal = journal
        self._directory = directory
        self._stop = stop
        self._report = report
        self._key = f"{directory}/{RECORD}"

    def send_metadata(self, sender: Sender, dump: Path) -> None:
        """Send Dumpling's ``metadata``, after every other file of the dump."""
        row = self._journal.file(METADATA)
        if row and row.confirmed:
            return
        key = f"{self._directory}/{METADATA}"
        source, sha256, etag = bounded(self._stop, lambda: sender.put_file(dump / METADATA, key))
        if row is None or row.state != source.state:
            raise changed_after(METADATA)
        self._journal.confirm(
            METADATA, source.state, read_ns=source.read_ns, sha256=sha256, etag=etag
        )
        self._journal.commit()

    def send_manifest(self, sender: Sender, path: Path) -> tuple[str, int, str]:
        """Write and send the manifest; return its SHA-256, bytes and ETag."""
        with volume_errors(f"{path} cannot be written"):
            write_manifest(path, self._journal.files())
        key = f"{self._directory}/{MANIFEST}"
        source, sha256, etag = bounded(self._stop, lambda: sender.put_file(path, key))
        return sha256, source.state.bytes, etag

    def verify(self, manifest_bytes: int, manifest_etag: str) -> None:
        """Compare the store's listing with the journal: every file, its size and its ETag.

        Raises MismatchError, naming the first few that do not fit.
        """
        wrong: list[str] = []
        found = 0
        for item in self._store.objects(f"{self._directory}/"):
            self._stop.check()
            name = item.key.removeprefix(f"{self._directory}/")
            if name == MANIFEST:
                expected: tuple[int, str | None] | None = (manifest_bytes, manifest_etag)
            else:
                expected = _sent(self._journal.file(name))
            if expected is None:
                wrong.append(f"{name} is no file of this backup")
            elif expected != (item.bytes, item.etag):
                wrong.append(
                    f"{name} has {item.bytes} bytes and ETag {item.etag}, sent were "
                    f"{expected[0]} bytes and ETag {expected[1]}"
                )
            else:
                found += 1
        files, _ = self._journal.totals()
        if found + len(wrong) < files + 1:
            wrong.append(f"{files + 1 - found - len(wrong)} files are missing")
        if wrong:
            raise MismatchError(
                f"{self._store.settings.url(self._directory)}: the store does not hold what was "
                "sent",
                why="; ".join(wrong[:5]),
                fix="run the same command again; if it comes back, the store loses data",
            )

    def publish(self, data: bytes) -> None:
        """Write the commit record.

        Its bytes are in the journal before they are sent. A signal from here on no longer undoes
        anything: the outcome is read back.
        """
        self._journal.remember(record=data.decode())
        shielded(self._stop, lambda: self._settle(self._store.unheeding(), data))

    def _settle(self, store: Store, data: bytes) -> None:
        """See to it that the store holds this very record.

        Raises HeldError (exit 10) if it holds another one, StoreError if it cannot be written.
        """
        conditional = True
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                store.put(self._key, data, if_none_match=conditional)
            except FAULTS as error:
                if holds(store, self._key, data):
                    return
                if conditional and status_of(error) in _NO_CONDITIONS:
                    self._report.debug("the store knows no conditional writes")
                    conditional = False
                elif not (_may_pass(error) and attempt < _ATTEMPTS):
                    url = self._store.settings.url(self._key)
                    raise explain(error, "publish", url, Reason.UPLOAD) from error
            else:
                # Where the condition was ignored, and somebody else was faster, it is theirs or
                # ours now: what stands there decides.
                if not holds(store, self._key, data):
                    continue
                return
        raise MismatchError(
            f"{self._store.settings.url(self._key)}: the store does not hold the record",
            why="it took the record each time, and then had none",
            fix="run the same command again; if it comes back, the store loses data",
        )


def _sent(row: FileRow | None) -> tuple[int, str | None] | None:
    """Return size and ETag of what the store has confirmed of a file."""
    return (row.state.bytes, row.etag) if row and row.confirmed and row.state else None


def holds(store: Store, key: str, data: bytes) -> bool:
    """Read a record back: this one (True), none (False), or another one (HeldError)."""
    there = store.get(key, limit=max(_RECORD_BYTES, len(data) + 1))
    if there is None:
        return False
    if there != data:
        try:
            ours, theirs = open_record(data), open_record(there)
        except ValueError:
            raise superseded(store, key) from None
        if (ours["id"], ours["sha256"]) != (theirs.get("id"), theirs["sha256"]):
            raise superseded(store, key)
    return True


def superseded(store: Store, key: str) -> HeldError:
    """Say that somebody else's record stands where ours should."""
    return HeldError(
        f"{store.settings.url(key)}: another run has published in this one's place",
        fix="look at the record there; give each backup its own --name or --prefix",
        reason=Reason.SUPERSEDED,
    )


def _may_pass(error: Exception) -> bool:
    return passing(error) or status_of(error) in _PRECONDITION_FAILED
