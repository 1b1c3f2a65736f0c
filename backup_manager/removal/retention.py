"""Which backups stay and which go: the choice alone, made of what the store has told.

Nothing is asked of the store here but through the two functions that `choose` is given, and of
these as little as can be: checking one backup takes a listing of all its files.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from backup_manager.catalog.backups import Backup, State
from backup_manager.durations import format_duration


@dataclass(frozen=True)
class Rules:
    """What goes. A limit that is None is none; times are in seconds.

    ``incomplete_seconds``: how long nothing was written to what was never published. Only backups
    of ``schedule`` are looked at (None: those of none), unless ``everything`` is.
    """

    reserved_seconds: float | None = None
    most: int | None = None
    incomplete_seconds: float = 7 * 86400.0
    schedule: str | None = None
    everything: bool = True

    @property
    def floor(self) -> int:
        """How many of the newest verified backups stay, whatever else is said."""
        return self.most or 1

    def concern(self, backup: Backup) -> bool:
        """Tell whether a backup is one of those that are looked at."""
        if self.everything:
            return True
        if backup.record is None:
            # Nobody's; but of a damaged one nobody knows whose it is.
            return self.schedule is None and backup.state is State.INCOMPLETE
        return self.schedule == backup.record.schedule


class Seen(NamedTuple):
    """A backup as it was found; ``begun``: its removal was, and has not come to its end."""

    backup: Backup
    begun: bool = False


class Decision(NamedTuple):
    """What is done with a backup, and why; ``begun``: as in Seen."""

    backup: Backup
    remove: bool
    reason: str
    begun: bool = False


@dataclass(frozen=True)
class Plan:
    """A decision for each backup, newest first; ``caution``: what the user should know of it.

    ``since``: what was written later than that to what was never published is young.
    """

    decisions: Sequence[Decision]
    since: datetime
    caution: str = ""


# What is wrong with a complete backup that was checked, nothing where it is whole.
Check = Callable[[Backup], str]
# When something was last written to a backup without a record (None: there is nothing of it), or
# the first found that is later than the moment given.
LastWritten = Callable[[Backup, datetime], datetime | None]


def choose(
    seen: Iterable[Seen], rules: Rules, now: datetime, *, check: Check, last_written: LastWritten
) -> Plan:
    """Decide on every backup.

    A published one goes if it has expired *and* ``rules.floor`` backups that are whole are newer,
    both by when they were begun and by when the store took their records. Without
    --max-reserved-time, all have expired that so many are newer than. Raises what the two functions
    raise.
    """
    found = sorted(seen, key=lambda one: one.backup.name, reverse=True)
    choice = _Choice(rules, now, check)
    published = [each.backup for each in found if not each.begun and _counts(each.backup, rules)]
    expendable = choice.expendable(published)

    def decide(one: Seen) -> Decision:
        backup = one.backup
        if one.begun:
            return Decision(backup, True, "its removal was begun", begun=True)
        if not rules.concern(backup):
            return Decision(backup, False, _of_another(backup))
        if backup.state is State.INCOMPLETE:
            return choice.incomplete(backup, last_written)
        return choice.published(backup, expendable=backup.name.text in expendable)

    return Plan([decide(one) for one in found], choice.since, choice.caution)


def schedule_of(backup: Backup) -> str | None:
    """Return the schedule that a backup's record names; None where nothing does."""
    return backup.record.schedule if backup.record else None


def span(seconds: float) -> str:
    """Print a time as people write it: 72h rather than 72h0m0s."""
    text = format_duration(round(seconds * 1e9))
    for longer in ("m0s", "h0m"):
        if text.endswith(longer):
            text = text[: 1 - len(longer)]
    return text


def _counts(backup: Backup, rules: Rules) -> bool:
    """Tell whether a backup has a place in the order of those that are published."""
    uncertain = {State.INCOMPLETE, State.LATER, State.UNREADABLE}
    return backup.state not in uncertain and rules.concern(backup)


def _of_another(backup: Backup) -> str:
    if backup.state is not State.COMPLETE:
        return "its schedule is not known"
    schedule = schedule_of(backup)
    return "of no schedule" if schedule is None else f"of the schedule {schedule}"


def _by_start(backup: Backup) -> tuple[datetime, str]:
    # The store has taken it: a clock that said a later time was ahead.
    return min(backup.name.started, _arrived(backup)), backup.name.text


def _by_arrival(backup: Backup) -> tuple[datetime, str]:
    return _arrived(backup), backup.name.text


def _arrived(backup: Backup) -> datetime:
    # A listing tells fractions of a second, the answer to a GET does not.
    return (backup.stored or backup.name.started).replace(microsecond=0)


class _Choice:
    """The choice as far as it has got: what was checked, and what that said."""

    def __init__(self, rules: Rules, now: datetime, check: Check) -> None:
        self.caution = ""
        self._rules = rules
        self.since = now - timedelta(seconds=rules.incomplete_seconds)
        self._now = now
        self._check = check
        self._wrong: dict[str, str] = {}

    def expendable(self, published: Sequence[Backup]) -> set[str]:
        """Return the names of those that have expired and enough whole ones are newer than."""
        rules = self._rules
        if rules.reserved_seconds is None and rules.most is None:
            return set()
        expired = {each.name.text for each in published if self._expired(each)}
        # As if all were whole: where nothing goes then, nothing has to be checked.
        hoped = expired & _older(published, rules.floor, lambda one: one.state is State.COMPLETE)
        found = hoped & _older(published, rules.floor, self._whole) if hoped else set()
        checked = sum(not wrong for wrong in self._wrong.values())
        if expired and not checked and (hoped or not any(map(_complete, published))):
            self.caution = "no backup is whole: nothing that is published is removed"
        return found

    def _expired(self, backup: Backup) -> bool:
        seconds = self._rules.reserved_seconds
        return seconds is None or self._now - backup.name.started > timedelta(seconds=seconds)

    def _whole(self, backup: Backup) -> bool:
        if not _complete(backup):
            return False
        name = backup.name.text
        if name not in self._wrong:
            self._wrong[name] = self._check(backup)
        return not self._wrong[name]

    def published(self, backup: Backup, *, expendable: bool) -> Decision:
        """Decide on a backup with a record, or an archive of the operator's."""
        if not expendable or backup.locked:
            why = f"locked: {backup.locked}" if expendable else self._why_kept(backup)
            return Decision(backup, False, why)
        return Decision(backup, True, self._why_removed())

    def _why_kept(self, backup: Backup) -> str:
        rules = self._rules
        wrong = self._wrong.get(backup.name.text)
        if backup.state is not State.COMPLETE or wrong:
            return {
                State.LATER: backup.why,
                State.UNREADABLE: f"its commit record cannot be read: {backup.why}; not counted",
                State.DAMAGED: f"its commit record is damaged: {backup.why}; not counted",
                State.OPERATOR: "an archive of TiDB Operator's manager, with nothing to check it "
                "by; not counted",
            }.get(backup.state, f"does not match its manifest: {wrong}; not counted")
        if rules.reserved_seconds is None and rules.most is None:
            return "neither --max-reserved-time nor --max-backups is given"
        if not self._expired(backup):
            return f"not older than {span(rules.reserved_seconds or 0)}"
        return "the newest" if rules.floor == 1 else f"one of the newest {rules.floor}"

    def _why_removed(self) -> str:
        seconds, most = self._rules.reserved_seconds, self._rules.most
        newer = f"{most} newer {'one is' if most == 1 else 'ones are'} whole"
        if seconds is None:
            return newer
        return f"older than {span(seconds)}" + (f", and {newer}" if most else "")

    def incomplete(self, backup: Backup, last_written: LastWritten) -> Decision:
        """Decide on a backup without a record."""
        spell = span(self._rules.incomplete_seconds)
        at = last_written(backup, self.since)
        if at is None:
            return Decision(backup, False, "incomplete, and the store lists nothing of it")
        if at > self.since:
            return Decision(backup, False, f"incomplete, written to within the last {spell}")
        return Decision(backup, True, f"incomplete, nothing written for {spell}")


def _complete(backup: Backup) -> bool:
    return backup.state is State.COMPLETE


def _older(published: Sequence[Backup], count: int, counts: Callable[[Backup], bool]) -> set[str]:
    """Return the names of those that ``count`` others are newer than, in both orders.

    A clock that was a day off when a backup was made has put it in a wrong place in one of them.
    """
    left = {each.name.text for each in published}
    for order in (_by_start, _by_arrival):
        left &= _behind(sorted(published, key=order, reverse=True), count, counts)
    return left


def _behind(ordered: Sequence[Backup], count: int, counts: Callable[[Backup], bool]) -> set[str]:
    """Return those that come after the first ``count`` that count; no more than needed is asked."""
    for at, backup in enumerate(ordered):
        count -= counts(backup)
        if not count:
            return {each.name.text for each in ordered[at + 1 :]}
    return set()
