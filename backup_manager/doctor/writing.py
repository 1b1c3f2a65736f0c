"""What a backup does in the bucket, done to a probe: written, read, in parts, and deleted."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

from backup_manager.catalog.publish import PRECONDITION_FAILED, knows_no_conditions
from backup_manager.doctor.case import Case, the
from backup_manager.doctor.findings import Finding
from backup_manager.doctor.probing import Probing
from backup_manager.errors import MismatchError, Reason, StoreError
from backup_manager.store import probe
from backup_manager.store.faults import FAULTS, explain, status_of
from backup_manager.store.sender import UploadGoneError

_T = TypeVar("_T")

_READ_FIRST = "the record is looked for before it is written instead"


class _GoneError(Exception):
    """Another run has cleared the probe away, which it may."""


def write(case: Case) -> Iterator[Finding]:
    """Write an object under the prefix."""
    probing = the(case.probing)
    probing.write()
    case.written = True
    yield Finding.ok(f"{probing.store.settings.url(probing.key)} is written")


def read(case: Case) -> Iterator[Finding]:
    """Read it back."""
    probing = the(case.probing)

    def read_back() -> None:
        _read_back(probing, probing.key)

    try:
        read_back()
    except _GoneError:
        probing.write()
        _once_more(probing, read_back)
    case.readable = True
    yield Finding.ok("it is read back as it was written")


def _read_back(probing: Probing, key: str) -> None:
    there = probing.read(key)
    if there is None:
        raise _GoneError
    if there != probe.TEXT:
        raise MismatchError(
            f"{probing.store.settings.url(key)}: what is read is not what was written",
            why=f"{len(there)} bytes of other content",
            fix="find out what stands between here and the store, or what the store does",
        )


def _once_more(probing: Probing, again: Callable[[], _T]) -> _T:
    try:
        return again()
    except (_GoneError, UploadGoneError) as error:
        raise MismatchError(
            f"{probing.store.settings.url(probing.name)}: the store does not keep what it took",
            why="it said that it had written it, and then had none",
            fix="see whether something else deletes there; if not, the store loses data",
        ) from error


def conditions(case: Case) -> Iterator[Finding]:
    """Write over it on the condition that nothing is there, as a commit record is written."""
    probing = the(case.probing)
    settings = probing.store.settings
    if not probing.store.provider.conditional:
        yield Finding.ok(f"none with the provider {settings.provider}: {_READ_FIRST}")
        return
    try:
        probing.write_on_condition()
    except FAULTS as error:
        if status_of(error) == PRECONDITION_FAILED:
            yield Finding.ok("honoured: no record is written over another")
        elif knows_no_conditions(error):
            yield Finding.ok(f"the store knows none: {_READ_FIRST}")
        else:
            doing = "write there on a condition"
            raise explain(error, doing, settings.url(probing.key), Reason.STORE) from error
    else:
        yield Finding.ok("not honoured by the store: the record is read back after it is written")


def delete(case: Case) -> Iterator[Finding]:
    """Delete it, and what killed runs have left of their probes."""
    probing = the(case.probing)
    try:
        kept = probing.delete()
    except StoreError as error:
        yield Finding.said(probe.stays(probing.store, probing.key, error))
        return
    case.deleted = True
    with suppress(StoreError):
        probing.ask(lambda: probe.clear_away(probing.store, probing.left))
    if kept:
        yield Finding.ok(f"it is deleted; its older versions stay, as they may not be ({kept})")
    else:
        yield Finding.ok("it is deleted again")


def multipart(case: Case) -> Iterator[Finding]:
    """Send an object in parts: one upload is aborted, one completed and deleted."""
    probing = the(case.probing)

    def try_both() -> list[Finding]:
        notes = list(_aborted(probing))
        if case.deleted:
            probing.complete(*probing.send_part())
        if case.deleted and case.readable:
            _read_back(probing, probing.parts_key)
        return notes

    try:
        notes = try_both()
    except (_GoneError, UploadGoneError):
        notes = _once_more(probing, try_both)
    yield from notes
    if case.deleted:
        probing.delete()
        yield Finding.ok("parts are taken; an upload was completed, and deleted again")
    else:
        yield Finding.ok("parts are taken; none was completed, as it could not be deleted")


def _aborted(probing: Probing) -> Iterator[Finding]:
    upload_id, etag = probing.send_part()
    parts = probing.ask(lambda: probing.multipart.parts(probing.parts_key, upload_id))
    if parts != {1: (len(probe.TEXT), etag)}:
        yield Finding.warning(
            "the store does not list the parts of an upload: of big files that were sent in part "
            "all is sent anew after a failure",
            "allow s3:ListMultipartUploadParts under the prefix, if the store has it",
        )
    try:
        probing.ask(lambda: probing.multipart.uploads(probing.name))
    except StoreError as error:
        yield Finding.warning(
            f"open multipart uploads cannot be listed ({error.why}): some of a killed run may stay",
            "allow s3:ListBucketMultipartUploads, or have a lifecycle rule abort them",
        )
    try:
        probing.abort(upload_id)
    except StoreError as error:
        yield Finding.warning(
            f"the multipart upload of {probing.parts_key} stays: the store refuses to abort it "
            f"({error.why})",
            "allow s3:AbortMultipartUpload under the prefix, or have a lifecycle rule abort them",
        )
