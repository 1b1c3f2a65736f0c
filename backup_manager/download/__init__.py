"""``download``: a backup, or a part of it, into a directory; every file hashed on its way.

Nothing is written down of how far it is. What is in its place counts by its own bytes, hashed
again; so the same command goes on after whatever ended the one before, and where all is there it
changes nothing.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from backup_manager.bounded import bounded
from backup_manager.catalog.backups import Backup
from backup_manager.catalog.catalog import Catalog
from backup_manager.catalog.contents import Manifest
from backup_manager.download.fetch import Fetcher, Outcome
from backup_manager.download.selection import Selection
from backup_manager.download.target import Target
from backup_manager.download.wanted import Wanted
from backup_manager.errors import BackupError, MismatchError, UsageError
from backup_manager.progress import open_progress, size
from backup_manager.report import Report

_SHOWN = 5


def download(catalog: Catalog, backup: Backup, directory: Path, tables: Sequence[str]) -> None:
    """Bring what the rules ``tables`` take of a backup, without a rule all of it, into a directory.

    Raises UsageError (a rule that fits nothing, something else in the directory), HeldError
    (another download is at work there), VolumeError (no room), MismatchError (the store holds other
    bytes; all files that fit are in their places then), StoreError.
    """
    tally = _Tally(catalog.report)
    manifest = Manifest(catalog, backup)
    selection = Selection(tables, manifest.record.dumpling_options)
    selection.survey((row.name for row in manifest.rows()), catalog.report)
    wanted = Wanted(manifest, selection)
    target = Target(directory, backup.name.text)
    _make_ready(target, wanted, catalog)
    _fetch(catalog, backup, wanted, target, tally)
    bounded(catalog.stop, target.end)
    tally.check(backup, directory)
    target.expect(wanted.files + wanted.directories, wanted.names)
    target.close()
    what = "what --tables takes of " * bool(tables) + backup.url
    catalog.report.succeed(f"{directory} holds {what}: {tally.said()}")


def _make_ready(target: Target, wanted: Wanted, catalog: Catalog) -> None:
    """Prove that there is nothing else, and room for all; nothing is written before that."""
    try:
        target.resume()
        room = wanted.look(target, catalog.stop.check)
        room.check()
        if wanted.missing:
            target.hold()
    except BackupError:
        target.close()
        raise


def _fetch(
    catalog: Catalog, backup: Backup, wanted: Wanted, target: Target, tally: "_Tally"
) -> None:
    progress = open_progress(catalog.report)
    fetcher = Fetcher(catalog, backup, wanted, target, progress)
    try:
        with closing(fetcher.outcomes()) as outcomes:
            for outcome in outcomes:
                tally.take(outcome)
    finally:
        progress.close()
        tally.tell(took_up=fetcher.took_up)


class _Tally:
    """What has become of the files so far, and what the summary says of it."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._files = self._there = self._bytes = 0
        self._damaged, self._strangers = _Wrong("damaged"), _Wrong("not of this backup")
        self.tell(took_up=False)

    def take(self, outcome: Outcome) -> None:
        if not outcome.wrong:
            self._files += 1
            self._there += outcome.there
            self._bytes += outcome.row.bytes
            return
        wrong = self._strangers if outcome.there else self._damaged
        wrong.add(outcome, self._report)

    def tell(self, *, took_up: bool) -> None:
        summary = self._report.summary
        summary.files, summary.bytes = self._files, self._bytes
        summary.resumed = took_up or self._there > 0

    def check(self, backup: Backup, directory: Path) -> None:
        """Raise MismatchError for files that the store holds otherwise, UsageError for others."""
        if self._damaged.count:
            raise MismatchError(
                f"{backup.url} is damaged: {self._damaged.count} of its files do not fit",
                why=self._damaged.said,
                fix=f"restore from another backup, in another directory; {directory} has all files "
                "but these, each hashed",
            )
        if self._strangers.count:
            raise UsageError(
                f"{directory} holds files that are not this backup's",
                why=self._strangers.said,
                fix="remove them, then run the same command again; or give another directory",
            )

    def said(self) -> str:
        fetched = self._files - self._there
        return (
            f"{self._files} files, {size(self._bytes)}, every byte hashed; {fetched} fetched, "
            f"{self._there} were there"
        )


class _Wrong:
    """Files that do not fit: how many, and the first few."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._first: list[str] = []
        self.count = 0

    def add(self, outcome: Outcome, report: Report) -> None:
        report.error(self._event, file=outcome.row.name, why=outcome.wrong)
        self.count += 1
        if self.count <= _SHOWN:
            self._first.append(f"{outcome.row.name}: {outcome.wrong}")

    @property
    def said(self) -> str:
        more = self.count - len(self._first)
        return "; ".join(self._first) + (f"; and {more} more, in the log" if more else "")
