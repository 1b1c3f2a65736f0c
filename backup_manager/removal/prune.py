"""``prune``: the plan is made of what the store holds, told, and carried out as it stands."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from backup_manager.ahead import ahead
from backup_manager.catalog.backups import Backup, State
from backup_manager.catalog.catalog import Catalog, Found
from backup_manager.catalog.checking import compare
from backup_manager.catalog.contents import Manifest
from backup_manager.catalog.naming import PREFIX, own_name, parse_name
from backup_manager.errors import MismatchError, Reason, StoreError
from backup_manager.progress import Figures, open_progress, size
from backup_manager.removal.removal import (
    Removal,
    declined,
    faults_of,
    last_written,
    removal_begun,
    removing,
    uploads_below,
)
from backup_manager.removal.retention import Decision, Plan, Rules, Seen, choose, span
from backup_manager.report import Report
from backup_manager.settings import Settings
from backup_manager.store.locks import lock_on
from backup_manager.texts import visible

# More than that between two clocks is worth a word.
_CLOCK_SECONDS = 300.0


@dataclass
class Outcome:
    """What became of a plan; ``files`` and ``bytes`` are of the objects that are gone."""

    removed: int = 0
    kept: int = 0
    files: int = 0
    bytes: int = 0
    failed: list[tuple[Backup, StoreError]] = field(default_factory=list)

    @property
    def error(self) -> StoreError:
        """What to tell where some of it failed: the first, and how many there are."""
        backup, first = self.failed[0]
        number = len(self.failed)
        return StoreError(
            f"{counted(number)} of {self.removed + number} could not be removed",
            why=f"{backup.url}: {first.what}: {first.why}" if first.why else first.what,
            fix=first.fix,
            reason=Reason.CLEAN,
        )


def rules_of(settings: Settings, *, everything: bool) -> Rules:
    """Return what the settings say; 0 backups is no limit, as in TiDB Operator."""
    return Rules(
        reserved_seconds=settings["max_reserved_time"],
        most=settings["max_backups"] or None,
        incomplete_seconds=settings["incomplete_after"],
        schedule=settings["schedule"],
        everything=everything,
    )


def say_limits(settings: Settings, report: Report) -> None:
    """Say what limits nothing."""
    if settings["max_backups"] == 0:
        report.info("--max-backups=0 is no limit")
    if settings["max_reserved_time"] is None and not settings["max_backups"]:
        report.info(
            "neither --max-reserved-time nor --max-backups is given: only what was never published "
            "is removed"
        )


def make_plan(catalog: Catalog, rules: Rules) -> Plan:
    """Look at the backups under the prefix and decide on each. Raises StoreError."""
    names = _names(catalog)
    # Ours may be ahead: nothing must go too early.
    now = earlier_clock(catalog)
    with closing(_look(catalog, names)) as seen:
        return choose(
            seen,
            rules,
            now,
            check=lambda backup: wrong_with(catalog, backup),
            last_written=lambda backup, since: last_written(catalog, backup.layout, since),
        )


def earlier_clock(catalog: Catalog) -> datetime:
    """Return the time by our clock or by the store's at its last listing, whichever is earlier."""
    ours = our_clock()
    theirs = catalog.store.clock or ours
    if (apart := abs((ours - theirs).total_seconds())) > _CLOCK_SECONDS:
        catalog.report.caution(
            "this machine's clock and the store's do not agree; the earlier counts",
            apart=span(round(apart / 60) * 60),
        )
    return min(ours, theirs)


def our_clock() -> datetime:
    return datetime.now(UTC)


def _names(catalog: Catalog) -> list[Found]:
    """List the backups, also those of which there is nothing but open multipart uploads."""
    names = catalog.names()
    known = {found.name.text for found in names}
    settings = catalog.store.settings
    for upload in uploads_below(catalog, settings.key(PREFIX)):
        first, inside, _ = upload.key.removeprefix(settings.key("")).partition("/")
        name = parse_name(own_name(first))
        if name and name.archived != bool(inside) and name.text not in known:
            known.add(name.text)
            names.append(Found(name))
    return names


def _look(catalog: Catalog, names: list[Found]) -> Generator[Seen]:
    store = catalog.store

    def look(found: Found) -> Seen:
        backup = catalog.read(found)
        # As long as its record stands it is whole: then it is decided on anew.
        begun = backup.state is State.INCOMPLETE and removal_begun(catalog, backup.layout)
        if backup.state is State.OPERATOR:
            backup = replace(backup, locked=lock_on(store, backup.layout.root))
        if backup.record:
            # All are in memory at once, and these may be long.
            slim = replace(backup.record, warnings=(), dumpling_options=())
            backup = replace(backup, record=slim)
        return Seen(backup, begun)

    at_once = store.options.pace.requests_at_once
    yield from ahead(look, names, at_once=at_once, look=catalog.stop.check)


def wrong_with(catalog: Catalog, backup: Backup) -> str:
    """Say what does not fit of a complete backup, by its listing; nothing where it is whole.

    Raises StoreError.
    """
    try:
        with closing(compare(catalog, backup, Manifest(catalog, backup))) as compared:
            for one in compared:
                catalog.stop.check()
                if one.wrong:
                    return f"{one.name}: {one.wrong}"
    except MismatchError as error:
        return f"{error.what}: {error.why}"
    return ""


def line_of(decision: Decision) -> str:
    """Return a decision as a line of the plan."""
    verb = "remove" if decision.remove else "keep"
    text = f"{verb:6} {decision.backup.name.text}  {decision.reason}"
    # It may name files, which others chose.
    return str(visible(text.replace("\n", " ").replace("\t", " ")))


def facts_of(decision: Decision) -> dict[str, str]:
    """Return a decision as facts for the log."""
    return {"backup": decision.backup.url, "why": decision.reason}


def carry_out(catalog: Catalog, plan: Plan, outcome: Outcome) -> None:
    """Remove what the plan says, the oldest first, and keep account of it in the outcome.

    What the store refuses of one backup is told there; the others go all the same. Raises
    StoreError where nothing can go on.
    """
    going = [each for each in reversed(plan.decisions) if each.remove]
    outcome.kept = len(plan.decisions) - len(going)
    if not going:
        return
    progress = open_progress(catalog.report)
    try:
        with removing():
            removal = Removal(catalog, progress, _known(going))
        for decision in going:
            try:
                catalog.stop.check()
                with removing():
                    _remove(catalog, removal, decision, plan.since, outcome)
            except StoreError as error:
                catalog.stop.check()
                if faults_of(error) and not declined(error):
                    raise  # it fails altogether
                outcome.failed.append((decision.backup, error))
                catalog.report.error("not removed", backup=decision.backup.url, why=error.message)
            finally:
                outcome.files, outcome.bytes = removal.files, removal.bytes
    finally:
        progress.close()


def _remove(
    catalog: Catalog, removal: Removal, decision: Decision, since: datetime, outcome: Outcome
) -> None:
    backup = decision.backup
    resumable = backup.state is State.INCOMPLETE and not decision.begun

    def stays() -> str:
        """Tell whether a run has gone on with it since the plan was made."""
        if catalog.store.get(backup.layout.record, limit=1) is not None:
            return "it was published meanwhile"
        at = last_written(catalog, backup.layout, since)
        return "it was written to meanwhile" if at and at > since else ""

    if why := removal.remove(backup.layout, stays if resumable else None):
        outcome.kept += 1
        catalog.report.info("left alone after all", backup=backup.url, why=why)
    else:
        outcome.removed += 1
        catalog.report.info("removed", **facts_of(decision))


def _known(going: list[Decision]) -> Figures:
    """Return what is to be removed, as far as records tell."""
    records = [each.backup.record for each in going if each.backup.record]
    return Figures(
        files_waiting=sum(1 if one.archive else one.files for one in records),
        known_bytes=sum(one.archive.bytes if one.archive else one.bytes for one in records),
    )


def foretold(plan: Plan) -> str:
    """Say what would be done."""
    going = sum(each.remove for each in plan.decisions)
    return f"would remove {counted(going)} and keep {len(plan.decisions) - going}"


def summed_up(outcome: Outcome) -> str:
    """Say what was done."""
    gone = f": {outcome.files:,} objects, {size(outcome.bytes)}" if outcome.files else ""
    return f"removed {counted(outcome.removed)}, kept {outcome.kept}{gone}"


def counted(number: int) -> str:
    return f"{number} backup{'' if number == 1 else 's'}"
