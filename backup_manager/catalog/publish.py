"""Publishing: the store is asked what it holds, then the commit record is written, last of all."""

import time
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

from backup_manager.bounded import bounded, shielded
from backup_manager.catalog.archive import distrust_archive, sent_archive
from backup_manager.catalog.formats import RECORD_BYTES, open_record
from backup_manager.catalog.layout import Layout
from backup_manager.catalog.manifest import read_manifest, write_manifest
from backup_manager.errors import HeldError, MismatchError, Reason, VolumeError
from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.client import Listed, Store
from backup_manager.store.faults import FAULTS, explain, passing, status_of
from backup_manager.store.retries import Judge
from backup_manager.store.sender import Sender, changed_after
from backup_manager.volume.directory import volume_errors
from backup_manager.volume.journal import METADATA, Journal
from backup_manager.volume.rows import FileRow

PRECONDITION_FAILED = 412
_NO_CONDITIONS = {400, 501}
# What contradicts itself is asked a few times; what may pass, as long as there is patience.
_CONTRADICTIONS = 5
_PAUSE_SECONDS = 1.0


class _Bits:
    """Which ids were seen, a bit each: a listing may come in any order and name a key twice."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, number: int) -> None:
        if (missing := number // 8 + 1 - len(self._bits)) > 0:
            self._bits.extend(bytes(missing))
        self._bits[number // 8] |= 1 << number % 8

    def __contains__(self, number: int) -> bool:
        return number // 8 < len(self._bits) and bool(self._bits[number // 8] >> number % 8 & 1)


class Publisher:
    """Publishes one dump whose files are all confirmed."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        *,
        layout: Layout,
        stop: Stop,
        report: Report,
    ) -> None:
        self._store = store
        self._journal = journal
        self._layout = layout
        self._stop = stop
        self._report = report
        self._key = layout.record

    def send_metadata(self, sender: Sender, dump: Path) -> None:
        """Send Dumpling's ``metadata``, after every other file of the dump.

        In an archive it has been sent with them.
        """
        if self._layout.archived:
            return
        row = self._journal.file(METADATA)
        if row and row.confirmed:
            return
        key = self._layout.key(METADATA)
        source, sha256, etag = bounded(self._stop, lambda: sender.put_file(dump / METADATA, key))
        if row is None or row.state != source.state:
            raise changed_after(METADATA)
        self._journal.confirm(
            METADATA, source.state, read_ns=source.read_ns, sha256=sha256, etag=etag
        )
        self._journal.commit()

    def send_manifest(self, sender: Sender, path: Path) -> tuple[str, int, str]:
        """Write and send the manifest; return its SHA-256, bytes and ETag.

        Raises VolumeError where the volume does not keep what was written.
        """
        with volume_errors(f"{path} cannot be written"):
            written = write_manifest(path, self._heeding(self._journal.files()))
            self._read_back(path)
        key = self._layout.manifest
        source, sha256, etag = bounded(self._stop, lambda: sender.put_file(path, key))
        if (sha256, source.state.bytes) != written:
            raise VolumeError(
                f"{path} is not what was written",
                why="the volume garbles what it is given",
                fix="check the volume's device, then run the same command again",
            )
        return sha256, source.state.bytes, etag

    def _read_back(self, path: Path) -> None:
        """Prove that what is published can be read: each row as the journal has it."""
        rows = self._heeding(self._journal.files())
        there = read_manifest(path, archived=self._layout.archived)
        for found, row in zip_longest(there, rows):
            meant = row and (row.name, row.state and row.state.bytes, row.sha256, row.etag)
            if found != meant:
                raise RuntimeError(f"the manifest has {found} where the journal has {meant}")

    def _heeding(self, rows: Iterable[FileRow]) -> Iterator[FileRow]:
        for row in rows:
            self._stop.check()
            yield row

    def verify(self, manifest_bytes: int, manifest_etag: str) -> None:
        """Compare the store's listing with the journal: every object, its size and its ETag.

        Raises MismatchError, naming the first few that do not fit; they are on the queue again, so
        that the next run sends them anew. Raises HeldError where another's record stands already,
        or the backup is being removed.
        """
        wrong: list[str] = []
        listed = _Bits()
        # What is there beside the files, each with what was sent: its bytes and its ETag.
        own: dict[str, tuple[int, str]] = {self._layout.manifest: (manifest_bytes, manifest_etag)}
        if archive := sent_archive(self._journal):
            own[self._layout.root] = archive.bytes, archive.etag
        missing = {self._layout.manifest, *([self._layout.root] if self._layout.archived else [])}
        for item in self._store.objects(self._layout.prefix):
            self._stop.check()
            if item.key == self._key:
                self._check_record()
                continue
            if item.key == self._layout.tombstone:
                self._check_tombstone(item)
                continue
            if item.key in own:
                missing.discard(item.key)
                misfit = _differs(item, *own[item.key])
            else:
                misfit = self._compare(item, listed)
            if misfit:
                wrong.append(misfit)
        wrong += [f"{self._layout.name(key)} is missing" for key in sorted(missing)]
        if self._layout.archived:
            if wrong:
                distrust_archive(self._journal)
        else:
            wrong += self._missing(listed)
        if wrong:
            self._journal.commit()
            raise MismatchError(
                f"{self._store.settings.url(self._layout.root)}: the store does not hold what was "
                "sent",
                why="; ".join(wrong[:5]),
                fix="run the same command again: it sends these files anew; if it comes back, the "
                "store loses data",
            )

    def _check_tombstone(self, item: Listed) -> None:
        """Raise HeldError where the backup is being removed: this run is not gone on with."""
        if self._layout.condemns(item.key, item.bytes):
            self._journal.remember(superseded="true")
            raise removed_since(self._store, self._layout)

    def _check_record(self) -> None:
        """Raise HeldError for a record that is not ours, which a run that was killed had sent."""
        record = self._journal.fact("record")
        if record is None or not holds(self._store, self._key, record.encode()):
            raise superseded(self._store, self._key)

    def _missing(self, listed: _Bits) -> Iterator[str]:
        for row in self._journal.files():
            if row.id not in listed:
                self._journal.distrust(row.name)
                yield f"{row.name} is missing"

    def _compare(self, item: Listed, listed: _Bits) -> str | None:
        name = self._layout.name(item.key)
        row = None if self._layout.archived else self._journal.file(name)
        if row:
            listed.add(row.id)
        if row is None or not row.confirmed or row.state is None:
            return f"{name} is no file of this backup"
        if misfit := _differs(item, row.state.bytes, row.etag):
            self._journal.distrust(name)
        return misfit

    def publish(self, data: bytes) -> None:
        """Write the commit record.

        Its bytes are in the journal before they are sent. A signal from here on no longer undoes
        anything: the outcome is read back.
        """
        self._journal.remember(record=data.decode())
        shielded(self._stop, lambda: self._settle_for_good(self._store.unheeding(), data))

    def _settle_for_good(self, store: Store, data: bytes) -> None:
        """Settle the record, and take it back where a removal has overtaken its writing.

        One that is at work shows by its tombstone, one that has ended by the manifest that is gone;
        what was begun after the record stood is no affair of this run.
        """
        self._settle(store, data)
        tombstones = store.objects(self._layout.tombstone)
        condemned = any(self._layout.condemns(item.key, item.bytes) for item in tombstones)
        manifests = {item.key for item in store.objects(self._layout.manifest)}
        if condemned or self._layout.manifest not in manifests:
            store.delete_one(self._key)
            raise removed_since(store, self._layout)

    def _settle(self, store: Store, data: bytes) -> None:
        """See to it that the store holds this very record.

        Raises HeldError (exit 10) if it holds another one, StoreError if it cannot be written.
        """
        conditional = store.provider.conditional
        if not conditional and holds(store, self._key, data):
            return
        contradictions = 0
        began = time.monotonic()
        judge = Judge(store.credentials)
        while contradictions < _CONTRADICTIONS:
            try:
                store.put(self._key, data, if_none_match=conditional)
            except FAULTS as error:
                if holds(store, self._key, data):
                    return
                if conditional and knows_no_conditions(error):
                    self._report.debug("the store knows no conditional writes")
                    conditional = False
                    continue
                precondition = status_of(error) == PRECONDITION_FAILED
                contradictions += precondition
                if not precondition and (store.patience.over(began) or not judge(error)):
                    url = self._store.settings.url(self._key)
                    raise explain(error, "publish", url, Reason.UPLOAD) from error
            else:
                # Where the condition was ignored, and somebody else was faster, it is theirs or
                # ours now: what stands there decides.
                if holds(store, self._key, data):
                    return
                contradictions += 1
            time.sleep(_PAUSE_SECONDS)
        raise MismatchError(
            f"{self._store.settings.url(self._key)}: the store does not hold the record",
            why="it took the record, or said that there is one already, and then had none",
            fix="run the same command again; if it comes back, the store loses data",
        )


def knows_no_conditions(error: BaseException) -> bool:
    """Tell of the answer to a conditional write whether the store has none."""
    return status_of(error) in _NO_CONDITIONS and not passing(error)


def _differs(item: Listed, sent_bytes: int, sent_etag: str | None) -> str | None:
    if (item.bytes, item.etag) == (sent_bytes, sent_etag):
        return None
    name = item.key.rpartition("/")[2]
    return (
        f"{name} has {item.bytes} bytes and ETag {item.etag}, sent were {sent_bytes} bytes and "
        f"ETag {sent_etag}"
    )


def holds(store: Store, key: str, data: bytes) -> bool:
    """Read a record back: this one (True), none (False), or another one (HeldError)."""
    there = store.get(key, limit=max(RECORD_BYTES, len(data)) + 1)
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


def removed_since(store: Store, layout: Layout) -> HeldError:
    """Say that this backup is being removed, or was since it was published."""
    return HeldError(
        f"{store.settings.url(layout.root)} was removed by prune or clean, or is being removed",
        fix="run the same command again: it makes a new backup",
    )
