"""Which backups go: the promises, for whatever clocks, failures and settings."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.canonical import timestamp
from backup_manager.catalog.backups import Backup, State
from backup_manager.catalog.formats import Record
from backup_manager.catalog.layout import Layout
from backup_manager.catalog.naming import parse_name
from backup_manager.removal.retention import Plan, Rules, Seen, choose, span

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
COMPLETE, DAMAGED, LATER = State.COMPLETE, State.DAMAGED, State.LATER
OPERATOR, INCOMPLETE = State.OPERATOR, State.INCOMPLETE


@dataclass
class Case:
    """A backup as it truly is: `made` when, by a clock that was `off`; `wrong` what is damaged."""

    made: datetime
    id: int = 0
    state: State = COMPLETE
    wrong: str = ""
    off: timedelta = timedelta()
    schedule: str | None = None
    locked: str = ""
    begun: bool = False
    written: datetime | None = None
    tells_arrival: bool = True

    @property
    def seen(self) -> Seen:
        short = "" if self.state is OPERATOR else f"-{self.id:08x}"
        text = f"backup-{timestamp(self.made + self.off)}{short}"
        name = parse_name(text + ".tgz" * (self.state is OPERATOR))
        assert name
        record = cast(Record, _Told(self.schedule)) if self.state is COMPLETE else None
        backup = Backup(name, Layout(name.text), f"s3://b/{name.text}", self.state, record)
        stored = self.made + HOUR if self.tells_arrival else None
        return Seen(replace(backup, stored=stored, locked=self.locked, why="why"), self.begun)

    @property
    def name(self) -> str:
        return self.seen.backup.name.text

    @property
    def whole(self) -> bool:
        return self.state is COMPLETE and not self.wrong and not self.begun


@dataclass(frozen=True)
class _Told:
    schedule: str | None


@dataclass
class Asked:
    """A plan, and what was asked for it."""

    cases: Sequence[Case]
    rules: Rules
    now: datetime = NOW
    checked: list[str] = field(default_factory=list)

    def plan(self) -> Plan:
        by_name = {each.name: each for each in self.cases}

        def check(backup: Backup) -> str:
            assert backup.state is COMPLETE
            self.checked.append(backup.name.text)
            return by_name[backup.name.text].wrong

        return choose(
            [each.seen for each in self.cases],
            self.rules,
            self.now,
            check=check,
            last_written=lambda backup, _: by_name[backup.name.text].written,
        )

    def stay(self) -> list[Case]:
        """Those that stay, newest first by the time of their names."""
        by_name = {each.name: each for each in self.cases}
        return [by_name[each.backup.name.text] for each in self.plan().decisions if not each.remove]

    def reasons(self) -> list[tuple[bool, str]]:
        return [(each.remove, each.reason) for each in self.plan().decisions]


def days(*numbers: float, **more: Any) -> list[Case]:
    """Whole backups, made so many days ago."""
    return [Case(NOW - DAY * ago, number, **more) for number, ago in enumerate(numbers)]


# Any clocks, any failures ------------------------------------------------------------------

OFF = st.sampled_from([timedelta(), timedelta(), -DAY, DAY])
STATES = st.sampled_from([COMPLETE, COMPLETE, COMPLETE, DAMAGED, LATER, OPERATOR, INCOMPLETE])


@st.composite
def many(draw: st.DrawFn, *, off: st.SearchStrategy[timedelta] = OFF) -> list[Case]:
    tells = draw(st.sampled_from([st.just(True), st.just(False), st.booleans()]))
    hours = draw(st.lists(st.integers(2, 400), unique=True, max_size=9))
    cases = [
        Case(
            NOW - HOUR * ago,
            number,
            state=draw(STATES),
            wrong=draw(st.sampled_from(["", "", "metadata: it is missing"])),
            off=draw(off),
            schedule=draw(st.sampled_from([None, "nightly"])),
            locked=draw(st.sampled_from(["", "", "", "legal hold"])),
            begun=draw(st.sampled_from([False] * 9 + [True])),
            written=draw(st.sampled_from([None, NOW - HOUR, NOW - 6 * DAY, NOW - 8 * DAY])),
            tells_arrival=draw(tells),
        )
        for number, ago in enumerate(hours)
    ]
    # The operator's names hold no id: two keys would be one.
    return list({each.name: each for each in cases}.values())


RULES = st.builds(
    Rules,
    reserved_seconds=st.none() | st.floats(1, 400 * 3600),
    most=st.none() | st.integers(1, 5),
    schedule=st.sampled_from([None, "nightly"]),
    everything=st.booleans(),
)
NOWS = st.sampled_from([NOW, NOW - DAY, NOW + DAY, NOW + 1000 * DAY, NOW - 1000 * DAY])


@given(many(), RULES, NOWS)
def test_the_newest_verified_stay_whatever_the_clocks_say(
    cases: list[Case], rules: Rules, now: datetime
) -> None:
    """By when they truly came into the store; by their names where no store tells."""
    stay = Asked(cases, rules, now).stay()
    ours = [each for each in cases if each.whole and rules.concern(each.seen.backup)]
    told = {each.tells_arrival for each in cases}
    if len(told) == 1:
        off = 0 if True in told else 1
        newest = sorted(ours, key=lambda each: each.made + off * each.off, reverse=True)
        assert [] == [each for each in newest[: rules.floor] if each not in stay]
    if ours:
        assert any(each in stay for each in ours)


@given(many(), RULES, NOWS)
def test_what_is_never_removed(cases: list[Case], rules: Rules, now: datetime) -> None:
    asked = Asked(cases, rules, now)
    stay = asked.stay()
    whole = [each for each in cases if each.whole and rules.concern(each.seen.backup)]
    for each in cases:
        if each.begun:
            assert each not in stay
            continue
        later = each.state is LATER
        locked = bool(each.locked) and each.state is not INCOMPLETE
        if later or locked or not rules.concern(each.seen.backup):
            assert each in stay
        elif each not in stay and each.state is not INCOMPLETE:
            # Damaged or not: so many that are whole are newer.
            newer = [one for one in whole if one in stay and one is not each]
            assert len(newer) >= rules.floor
            if rules.reserved_seconds is not None:
                age = now - (each.made + each.off)
                assert age > timedelta(seconds=rules.reserved_seconds)


@given(many(off=st.just(timedelta())), st.integers(1, 5))
def test_with_clocks_that_agree_just_so_many_stay(cases: list[Case], most: int) -> None:
    cases = [replace(each, locked="", schedule=None) for each in cases]
    whole = sorted((each for each in cases if each.whole), key=lambda each: each.made)
    stay = Asked(cases, Rules(most=most)).stay()
    assert whole[-most:] == sorted(
        (each for each in stay if each.whole), key=lambda each: each.made
    )


@given(many(), RULES, NOWS, st.randoms())
def test_the_plan_is_the_same_in_whatever_order_they_are_found(
    cases: list[Case], rules: Rules, now: datetime, random: Any
) -> None:
    plan = Asked(cases, rules, now).plan()
    random.shuffle(cases)
    assert plan == Asked(cases, rules, now).plan()
    names = [each.backup.name for each in plan.decisions]
    assert sorted(names, reverse=True) == names


@given(many(), RULES, NOWS)
def test_what_was_done_leaves_nothing_to_do(cases: list[Case], rules: Rules, now: datetime) -> None:
    stay = Asked(cases, rules, now).stay()
    assert stay == Asked(stay, rules, now).stay()


@given(many(), RULES)
def test_incompletes_go_by_when_they_were_written_to(cases: list[Case], rules: Rules) -> None:
    for each in cases:
        each.begun = False
    stay = Asked(cases, rules).stay()
    for each in cases:
        if each.state is INCOMPLETE and rules.concern(each.seen.backup):
            # What the listing by delimiter has shown and nothing is listed of is a contradiction.
            kept = each.written is None or NOW - each.written < 7 * DAY
            assert kept == (each in stay)


@given(many(), RULES, NOWS)
def test_nothing_is_checked_twice_nor_for_nothing(
    cases: list[Case], rules: Rules, now: datetime
) -> None:
    asked = Asked(cases, rules, now)
    asked.plan()
    assert len(set(asked.checked)) == len(asked.checked)
    if rules.reserved_seconds is None and rules.most is None:
        assert [] == asked.checked


def test_what_is_damaged_is_of_no_schedule() -> None:
    rules = Rules(most=1, schedule=None, everything=False)
    for state in (State.DAMAGED, State.OPERATOR):
        cases = days(1, 2, 3)
        cases[-1].state = state
        assert cases[-1] in Asked(cases, rules).stay()


# One by one --------------------------------------------------------------------------------


def test_only_a_number() -> None:
    asked = Asked(days(1, 2, 3, 4, 5), Rules(most=2))
    assert [
        (False, "one of the newest 2"),
        (False, "one of the newest 2"),
        (True, "2 newer ones are whole"),
        (True, "2 newer ones are whole"),
        (True, "2 newer ones are whole"),
    ] == asked.reasons()


def test_only_as_many_are_checked_as_it_takes() -> None:
    cases = days(1, 2, 3, 4, 5)
    cases[0].wrong = "metadata: it is missing"
    asked = Asked(cases, Rules(most=1))
    said = [
        (False, "does not match its manifest: metadata: it is missing; not counted"),
        (False, "the newest"),
        *[(True, "1 newer one is whole")] * 3,
    ]
    assert said == asked.reasons()
    assert [cases[0].name, cases[1].name] == asked.checked


@pytest.mark.parametrize("most", [5, 6])
def test_nothing_is_checked_where_nothing_can_go(most: int) -> None:
    asked = Asked(days(1, 2, 3, 4, 5), Rules(most=most))
    assert [(False, f"one of the newest {most}")] * 5 == asked.reasons()
    assert [] == asked.checked


def test_only_a_time() -> None:
    asked = Asked(days(1, 2.9, 3.1, 40), Rules(reserved_seconds=72 * 3600))
    assert [
        (False, "not older than 72h"),
        (False, "not older than 72h"),
        (True, "older than 72h"),
        (True, "older than 72h"),
    ] == asked.reasons()
    # The newest would have been enough of a check for the floor.
    assert [asked.cases[0].name] == asked.checked


def test_the_newest_stays_however_old() -> None:
    asked = Asked(days(30, 40), Rules(reserved_seconds=3600))
    assert [(False, "the newest"), (True, "older than 1h")] == asked.reasons()


def test_both() -> None:
    """The time decides; the number is what stays however old."""
    rules = Rules(reserved_seconds=72 * 3600, most=2)
    assert [
        (False, "not older than 72h"),
        (False, "one of the newest 2"),
        (True, "older than 72h, and 2 newer ones are whole"),
    ] == Asked(days(1, 4, 5), rules).reasons()
    assert [(False, "not older than 72h")] * 3 == Asked(days(0.5, 1, 2), rules).reasons()


def test_neither() -> None:
    why = "neither --max-reserved-time nor --max-backups is given"
    assert [(False, why)] * 2 == Asked(days(1, 400), Rules()).reasons()


@pytest.mark.parametrize("rules", [Rules(most=1), Rules(reserved_seconds=3600)])
def test_where_nothing_is_whole_nothing_goes(rules: Rules) -> None:
    cases = [*days(1, 2, wrong="cut"), Case(NOW - 3 * DAY, 7, state=OPERATOR)]
    plan = Asked(cases, rules).plan()
    assert not any(each.remove for each in plan.decisions)
    assert "no backup is whole: nothing that is published is removed" == plan.caution


def test_archives_of_the_operator_alone_stay() -> None:
    cases = [Case(NOW - DAY * number, state=OPERATOR) for number in (1, 2, 3)]
    plan = Asked(cases, Rules(most=1)).plan()
    assert not any(each.remove for each in plan.decisions)
    assert plan.caution


def test_archives_of_the_operator_go_as_ours_come() -> None:
    cases = [*days(1, 2), Case(NOW - 3 * DAY, state=OPERATOR)]
    why = "an archive of TiDB Operator's manager, with nothing to check it by; not counted"
    assert (False, why) == Asked(cases, Rules(most=3)).reasons()[2]
    assert (True, "2 newer ones are whole") == Asked(cases, Rules(most=2)).reasons()[2]


def test_no_caution_where_nothing_has_expired() -> None:
    cases = days(1, 2, wrong="cut")
    assert "" == Asked(cases, Rules(reserved_seconds=72 * 3600)).plan().caution
    assert "" == Asked(days(4), Rules(reserved_seconds=72 * 3600)).plan().caution


def test_what_a_damaged_one_is() -> None:
    cases = [Case(NOW - DAY, 1, state=DAMAGED), *days(2), Case(NOW - 3 * DAY, 3, state=DAMAGED)]
    why = "its commit record is damaged: why; not counted"
    expected = [(False, why), (False, "the newest"), (True, "1 newer one is whole")]
    assert expected == Asked(cases, Rules(most=1)).reasons()


def test_a_later_format_is_neither_counted_nor_removed() -> None:
    cases = [*days(1, 2), Case(NOW - 3 * DAY, 3, state=LATER)]
    assert (False, "why") == Asked(cases, Rules(most=1)).reasons()[2]
    cases = [Case(NOW, 3, state=LATER), *days(1, 2)]
    assert [(False, "why"), (False, "the newest")] == Asked(cases, Rules(most=1)).reasons()[:2]


def test_what_is_locked_counts_and_stays() -> None:
    cases = days(1, 2, 3)
    for each in cases:
        each.locked = "GOVERNANCE until 2026-12-01T00:00:00Z"
    locked = (False, "locked: GOVERNANCE until 2026-12-01T00:00:00Z")
    expected = [(False, "the newest"), locked, locked]
    assert expected == Asked(cases, Rules(most=1)).reasons()


def test_one_schedule() -> None:
    cases = [
        *days(1, 2, schedule="nightly"),
        Case(NOW - 3 * DAY, 5, schedule="hourly"),
        Case(NOW - 4 * DAY, 6),
        Case(NOW - 5 * DAY, 7, state=INCOMPLETE),
        Case(NOW - 6 * DAY, 8, state=DAMAGED),
        Case(NOW - 7 * DAY, 9, state=INCOMPLETE, begun=True),
    ]
    assert [
        (False, "the newest"),
        (True, "1 newer one is whole"),
        (False, "of the schedule hourly"),
        (False, "of no schedule"),
        (False, "its schedule is not known"),
        (False, "its schedule is not known"),
        (True, "its removal was begun"),
    ] == Asked(cases, Rules(most=1, schedule="nightly", everything=False)).reasons()


def test_those_of_no_schedule() -> None:
    """As export without --schedule has it: nothing of any schedule is touched."""
    cases = [*days(1, 2), Case(NOW - 3 * DAY, 5, schedule="hourly")]
    expected = [
        (False, "the newest"),
        (True, "1 newer one is whole"),
        (False, "of the schedule hourly"),
    ]
    assert expected == Asked(cases, Rules(most=1, everything=False)).reasons()


def test_a_clock_a_day_behind_when_a_backup_was_made() -> None:
    """Its name makes it the older one; the store knows that it came last."""
    true = [Case(NOW - DAY, 1), Case(NOW - HOUR * 8, 2, off=-DAY), Case(NOW - 3 * DAY, 3)]
    assert [true[0], true[1]] == Asked(true, Rules(most=1)).stay()


def test_a_clock_a_day_ahead_when_a_backup_was_made() -> None:
    """Its name makes it the newest; the store knows when it came."""
    true = [Case(NOW - HOUR, 1), Case(NOW - 3 * HOUR, 2, off=DAY), Case(NOW - 3 * DAY, 3)]
    assert [true[0]] == Asked(true, Rules(most=1)).stay()


def test_copies_that_came_in_another_order() -> None:
    """As a bucket's copy may have them: neither order is believed alone."""
    cases = days(1, 2, 3)
    stored = {cases[0].name: NOW - HOUR, cases[1].name: NOW, cases[2].name: NOW - 2 * HOUR}
    seen = [Seen(replace(each.seen.backup, stored=stored[each.name])) for each in cases]
    plan = choose(seen, Rules(most=1), NOW, check=lambda _: "", last_written=lambda *_: None)
    assert [False, False, True] == [each.remove for each in plan.decisions]


def test_no_backup_at_all() -> None:
    assert ((), "") == (tuple(Asked([], Rules(most=1)).plan().decisions), "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1s"), (90, "1m30s"), (600, "10m"), (3600, "1h"), (36000, "10h"), (259200, "72h")],
)
def test_how_a_span_is_written(seconds: float, text: str) -> None:
    assert text == span(seconds)
