"""A file that goes up as a multipart upload, its parts in as many threads as are free."""

import hashlib

from backup_manager.errors import Reason, StoreError
from backup_manager.store.multipart import Multipart
from backup_manager.store.parts import part_bytes, part_count, part_span
from backup_manager.store.settings import Pace
from backup_manager.store.source import SourceFile
from backup_manager.store.wire import Body
from backup_manager.volume.journal import Journal
from backup_manager.volume.rows import PartRow, UploadRow


class BigFile:
    """One multipart upload under way.

    The parts are read in order by one thread at a time, since the whole file is hashed on the way,
    and sent by many. The engine (``upload``) keeps ``reading``, ``in_flight``, ``changed`` and
    ``gone`` under its own lock; the last two say that what was sent counts for nothing, since the
    file has changed, or the store has lost the upload.
    """

    def __init__(self, name: str, key: str, source: SourceFile, pace: Pace) -> None:
        self.name = name
        self.key = key
        self.source = source
        self.reading = False
        self.in_flight = 0
        self.changed = False
        self.gone = False
        self.upload_id = ""
        self._bytes = source.state.bytes
        self._part_bytes = part_bytes(self._bytes, least=pace.part_bytes, most_parts=pace.max_parts)
        self._at_once = pace.parts_at_once
        self._count = part_count(self._bytes, self._part_bytes)
        self._etags = [""] * self._count
        self._next = 1
        self._hash = hashlib.sha256()
        self._sent_before: dict[int, PartRow] = {}
        self._completed: str | None = None

    def begin(self, multipart: Multipart, journal: Journal) -> None:
        """Take up the upload that the journal knows, or begin one and write it down."""
        known = journal.upload(self.name)
        if known and known.state == self.source.state and known.part_bytes == self._part_bytes:
            parts = journal.parts(known.upload_id)
            there = multipart.parts(self.key, known.upload_id)
            if there is None and len(parts) == self._count:
                # The run before this one may have been killed right after it had completed it.
                self._completed = multipart.made_of(self.key, [part.etag for part in parts])
            if there is not None or self._completed:
                self.upload_id = known.upload_id
                # Only what both say counts: the journal knows the hash, the store that it is there.
                self._sent_before = {
                    part.number: part
                    for part in parts
                    if there is None or there.get(part.number) == (part.bytes, part.etag)
                }
                return
        if known:
            multipart.abort(self.key, known.upload_id)
        self.upload_id = multipart.create(self.key)
        upload = UploadRow(self.upload_id, self._part_bytes, self.source.state)
        journal.begin_upload(self.name, upload)

    @property
    def ready(self) -> bool:
        """Whether another part may be read and sent now."""
        return self.more and not self.reading and self.in_flight < self._at_once

    @property
    def more(self) -> bool:
        return self._next <= self._count and not self.changed and not self.gone

    @property
    def ended(self) -> bool:
        return not self.more and not self.reading and self.in_flight == 0

    def read_next(self) -> tuple[int, Body]:
        """Hash the next part; return its number and body. Raises FileChangedError."""
        number = self._next
        body = self.source.body(*part_span(self._bytes, self._part_bytes, number), also=self._hash)
        self._next += 1
        return number, body

    def sent_before(self, number: int, body: Body) -> str | None:
        """Return the ETag of the part if an earlier run has sent these very bytes."""
        part = self._sent_before.get(number)
        return part.etag if part and part.sha256 == body.sha256 else None

    def sent(self, number: int, etag: str) -> None:
        self._etags[number - 1] = etag

    def complete(self, multipart: Multipart, journal: Journal) -> str:
        """Complete the upload once every part is there; return the object's ETag.

        Raises FileChangedError, UploadGoneError.
        """
        self.source.check()
        # Once it is complete the store no longer tells its parts: all must be on record by then.
        journal.commit()
        if self._completed:
            # It may have been killed before it could lock what it had made.
            multipart.retain(self.key)
            return self._completed
        return multipart.complete(self.key, self.upload_id, self._etags)

    @property
    def sha256(self) -> str:
        """The hash of the whole file, once every part was read."""
        return self._hash.hexdigest()


def lost_too_often(url: str, times: int) -> StoreError:
    """Say that something goes on aborting our uploads."""
    return StoreError(
        f"{url}: cannot write it",
        why=f"its multipart upload was gone before it was complete, {times} times",
        fix="see what aborts uploads, such as a lifecycle rule of the bucket",
        reason=Reason.UPLOAD,
    )
