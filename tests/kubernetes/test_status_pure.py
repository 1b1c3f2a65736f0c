"""What becomes of an object's status, whatever stands in it: properties, without a cluster."""

from copy import deepcopy
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.kubernetes.status import (
    Condition,
    Type,
    Wanted,
    merged,
    moment,
    without_progress,
)

Object = dict[str, Any]

# What the operator, its other programs and people write beside us.
THEIR_TYPES = ("Scheduled", "Restart", "RetryFailed", "Invalid")
THEIR_STEPS = ("Full Backup", "Checksum")
OUR_STEPS = ("Dump", "Upload")
OUR_FIELDS = (
    "timeStarted",
    "timeCompleted",
    "timeTaken",
    "backupPath",
    "backupSize",
    "backupSizeReadable",
    "commitTs",
)
# The times of the years 2001 to 2033, in which both fall that are compared.
times = st.floats(1e9, 2e9)
words = st.text(max_size=8)
values = st.one_of(words, st.integers(), st.none(), st.lists(words, max_size=2))
objects = st.dictionaries(words, values, max_size=3)


def condition(kind: str) -> st.SearchStrategy[Object]:
    """A condition of this type as anybody may have written it."""
    return st.fixed_dictionaries(
        {"type": st.just(kind), "status": st.sampled_from(["True", "False", "Unknown"])},
        optional={
            "lastTransitionTime": times.map(moment),
            "reason": words,
            "message": words,
            "command": words,
        },
    )


def progress(step: str) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries(
        {"step": st.just(step)},
        optional={"progress": st.floats(0, 100), "lastTransitionTime": times.map(moment)},
    )


@st.composite
def some(draw: st.DrawFn, make: Any, names: tuple[str, ...]) -> list[Object]:
    """One entry for each of some of the names, in any order."""
    chosen = draw(st.permutations(names).flatmap(lambda each: st.sampled_from(prefixes(each))))
    return [draw(make(name)) for name in chosen]


def prefixes(items: list[str]) -> list[list[str]]:
    return [items[:length] for length in range(len(items) + 1)]


conditions = some(condition, (*THEIR_TYPES, *Type))
statuses = st.fixed_dictionaries(
    {},
    optional={
        "phase": st.sampled_from(["", "Scheduled", *Type]),
        "conditions": st.one_of(st.none(), conditions),
        "progresses": st.one_of(st.none(), some(progress, (*THEIR_STEPS, *OUR_STEPS))),
        "backoffRetryStatus": st.lists(objects, max_size=2),
        "logCheckpointTs": words,
        **dict.fromkeys(OUR_FIELDS, values),
    },
)
bodies = st.fixed_dictionaries(
    {"metadata": objects, "spec": objects},
    optional={"status": st.one_of(st.none(), statuses), "kind": words, "theirs": values},
)


@st.composite
def wishes(draw: st.DrawFn) -> Wanted:
    kinds = draw(st.lists(st.sampled_from(list(Type)), unique=True, max_size=3))
    others = [kind for kind in Type if kind not in kinds]
    return Wanted(
        conditions=[Condition(kind, draw(times), draw(words), draw(words)) for kind in kinds],
        over=tuple(draw(st.lists(st.sampled_from(others), unique=True))) if kinds else (),
        fields=draw(st.dictionaries(st.sampled_from(OUR_FIELDS), values)),
        progress=draw(st.dictionaries(st.sampled_from(OUR_STEPS), st.floats(0, 100))),
        at=draw(times),
    )


def entries(body: Object, name: str) -> list[Object]:
    return ((body.get("status") or {}).get(name)) or []


def without(body: Object, name: str, key: str, *ours: str) -> list[Object]:
    return [each for each in entries(body, name) if each[key] not in ours]


@given(bodies, wishes())
def test_nothing_of_others_is_lost_or_changed(body: Object, wanted: Wanted) -> None:
    before = deepcopy(body)
    result = merged(body, wanted)
    assert before == body
    assert {**before, "status": None} == {**result, "status": None}
    touched = {"conditions", "progresses", *wanted.fields, *(["phase"] * bool(wanted.conditions))}
    kept = {
        name: value for name, value in (before.get("status") or {}).items() if name not in touched
    }
    assert kept == {name: each for name, each in result["status"].items() if name not in touched}
    mine = {*(each.type for each in wanted.conditions), *wanted.over}
    assert without(before, "conditions", "type", *mine) == (
        without(result, "conditions", "type", *mine)
    )
    assert without(before, "progresses", "step", *wanted.progress) == (
        without(result, "progresses", "step", *wanted.progress)
    )


@given(bodies, wishes())
def test_what_is_wanted_is_there(body: Object, wanted: Wanted) -> None:
    result = merged(body, wanted)
    found = {each["type"]: each for each in entries(result, "conditions")}
    for each in wanted.conditions:
        told = found[each.type]
        assert ("True", moment(each.at)) == (told["status"], told["lastTransitionTime"])
        assert (each.reason, each.message) == (told.get("reason", ""), told.get("message", ""))
    assert wanted.fields == {name: result["status"][name] for name in wanted.fields}
    steps = {each["step"]: each.get("progress") for each in entries(result, "progresses")}
    assert wanted.progress == {step: steps[step] for step in wanted.progress}


@given(bodies, wishes(), times)
def test_a_second_time_changes_nothing(body: Object, wanted: Wanted, later: float) -> None:
    once = merged(body, wanted)
    assert once == merged(once, wanted)
    # A step that does not move keeps the time at which it last did.
    wanted.at = later
    assert once == merged(once, wanted)


@given(bodies, wishes())
def test_the_phase_is_that_of_the_newest_condition(body: Object, wanted: Wanted) -> None:
    status = merged(body, wanted)["status"]
    if wanted.conditions:
        assert wanted.conditions[-1].type == status["phase"]
    else:
        assert (body.get("status") or {}).get("phase") == status.get("phase")


@given(bodies, wishes())
def test_one_entry_for_each_type_and_step(body: Object, wanted: Wanted) -> None:
    result = merged(body, wanted)
    for name, key in (("conditions", "type"), ("progresses", "step")):
        names = [each[key] for each in entries(result, name)]
        assert len(set(names)) == len(names)
        # New ones come last, in their order.
        before = [each[key] for each in entries(body, name)]
        assert before == names[: len(before)]


@given(bodies, wishes())
def test_what_is_over_is_false_and_still_says_why(body: Object, wanted: Wanted) -> None:
    before = {each["type"]: each for each in entries(body, "conditions")}
    after = {each["type"]: each for each in entries(merged(body, wanted), "conditions")}
    for kind in wanted.over:
        if kind not in before:
            assert kind not in after
        elif before[kind]["status"] == "True":
            since = moment(wanted.conditions[-1].at)
            assert before[kind] | {"status": "False", "lastTransitionTime": since} == after[kind]
        else:
            assert before[kind] == after[kind]


def test_a_failure_is_over_when_the_backup_is_complete() -> None:
    failed = {
        "type": "Failed",
        "status": "True",
        "lastTransitionTime": "2026-11-22T10:00:00Z",
        "reason": "DumpTidbClusterFailed",
        "message": "Dumpling failed",
    }
    body = {"status": {"phase": "Failed", "conditions": [failed]}}
    complete = Condition(Type.COMPLETE, datetime.fromisoformat("2026-11-22T11:00:00Z").timestamp())
    status = merged(body, Wanted([complete], over=(Type.FAILED,)))["status"]
    at = "2026-11-22T11:00:00Z"
    assert "Complete" == status["phase"]
    assert [
        failed | {"status": "False", "lastTransitionTime": at},
        {"type": "Complete", "status": "True", "lastTransitionTime": at},
    ] == status["conditions"]


@pytest.mark.parametrize("status", [None, {}, {"conditions": None, "progresses": None}])
def test_an_object_without_a_status(status: Object | None) -> None:
    wanted = Wanted([Condition(Type.PREPARE, 0.0)], progress={"Dump": 1.0})
    result = merged({"metadata": {}, "status": status}, wanted)["status"]
    since = "1970-01-01T00:00:00Z"
    assert {
        "phase": "Prepare",
        "conditions": [{"type": "Prepare", "status": "True", "lastTransitionTime": since}],
        "progresses": [{"step": "Dump", "progress": 1.0, "lastTransitionTime": since}],
    } == result


@given(bodies, wishes())
def test_without_progress_two_states_of_a_run_are_the_same(body: Object, wanted: Wanted) -> None:
    once = merged(body, wanted)
    moved = merged(once, Wanted(progress={"Dump": 101.0}, at=0.0))
    assert once != moved
    assert without_progress(once) == without_progress(moved)
    assert "progresses" in moved["status"]
