"""The store's listing against the manifest, side by side: both are sorted by name."""

from collections.abc import Generator, Iterator
from typing import NamedTuple

from backup_manager.catalog.backups import Backup
from backup_manager.catalog.catalog import Catalog
from backup_manager.catalog.contents import Manifest
from backup_manager.catalog.layout import Layout
from backup_manager.catalog.manifest import ManifestRow
from backup_manager.errors import StoreError
from backup_manager.store.client import Listed

_BEGUN = "the backup's removal was begun; prune or clean ends it"


class Compared(NamedTuple):
    """A file of the manifest, of the listing, or of both; ``wrong`` says what does not fit."""

    name: str
    row: ManifestRow | None
    wrong: str = ""


def compare(catalog: Catalog, backup: Backup, manifest: Manifest) -> Generator[Compared]:
    """Walk through all files of a backup, in constant memory.

    Sizes and ETags are compared, these unless --ignore-checksum is given. Raises MismatchError for
    a manifest that is damaged; StoreError, also for a listing that is in no order.
    """
    if backup.layout.archived:
        yield from _compare_archive(catalog, backup, manifest)
    else:
        yield from _merge(catalog, backup.layout, manifest)


def _merge(catalog: Catalog, layout: Layout, manifest: Manifest) -> Iterator[Compared]:
    etags = catalog.store.options.compare_etags
    rows = manifest.rows()
    row = next(rows, None)
    for item in _listed(catalog, layout):
        if item.key == manifest.key:
            yield from _of_manifest(item, manifest)
            continue
        name = layout.name(item.key)
        while row and row.name.encode() < name.encode():
            yield Compared(row.name, row, "it is missing")
            row = next(rows, None)
        if row and row.name == name:
            yield Compared(name, row, _misfit(row, item, etags=etags))
            row = next(rows, None)
        elif item.key != layout.tombstone:
            yield Compared(name, None, "it is no file of this backup")
        elif layout.condemns(item.key, item.bytes):
            yield Compared(name, None, _BEGUN)
    while row:
        yield Compared(row.name, row, "it is missing")
        row = next(rows, None)


def _of_manifest(item: Listed, manifest: Manifest) -> Iterator[Compared]:
    if item.bytes != manifest.bytes:
        wrong = f"it has {item.bytes} bytes in the listing, and {manifest.bytes} when it is read"
        yield Compared(manifest.record.manifest, None, wrong)


def _listed(catalog: Catalog, layout: Layout) -> Iterator[Listed]:
    """List the backup's objects but its record, which has been read; prove that they are sorted."""
    before = b""
    for item in catalog.store.objects(layout.prefix):
        catalog.stop.check()
        if (key := item.key.encode()) <= before:
            raise StoreError(
                f"{catalog.store.settings.url(layout.root)} cannot be checked",
                why=f"the store lists {item.key} out of the order of its bytes, or twice",
                fix="check that --endpoint is an S3 store, with no proxy that changes its answers",
            )
        before = key
        if item.key != layout.record:
            yield item


def _misfit(row: ManifestRow, item: Listed, *, etags: bool) -> str:
    if item.bytes != row.bytes:
        return f"it has {item.bytes} bytes instead of {row.bytes}"
    if etags and item.etag != row.etag:
        return f"its ETag is {item.etag} instead of {row.etag}: it was written anew, or copied"
    return ""


def _compare_archive(catalog: Catalog, backup: Backup, manifest: Manifest) -> Iterator[Compared]:
    """Compare an archive, which is one object: its files have no names in the store."""
    archive = manifest.record.archive
    assert archive  # noqa: S101 - for the type checker: judge() has seen to it
    name = archive.key
    there = {item.key: item for item in _listed(catalog, backup.layout)}
    for _ in manifest.rows():
        catalog.stop.check()
    tombstone = there.get(backup.layout.tombstone)
    if tombstone and tombstone.bytes:
        yield Compared(backup.layout.name(backup.layout.tombstone), None, _BEGUN)
    item = there.get(backup.layout.root)
    if item is None:
        yield Compared(name, None, "it is missing")
    elif item.bytes != archive.bytes:
        yield Compared(name, None, f"it has {item.bytes} bytes instead of {archive.bytes}")
    else:
        yield Compared(name, ManifestRow(name, archive.bytes, archive.sha256, None))
