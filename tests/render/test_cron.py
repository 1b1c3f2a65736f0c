"""Cron expressions: what robfig/cron's ParseStandard takes, and no slip that it would let pass."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_manager.render.cron import check_cron

UNHURRIED = settings(deadline=None)  # a busy machine has its moments
FIELDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
NAMES = {
    3: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    4: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}


@pytest.mark.parametrize(
    "text",
    [
        *("* * * * *", "0 2 * * *", "*/2 * * * *", "0 0 31 12 6", "59 23 1 1 0", "? ? ? ? ?"),
        *("0 2 * * mon", "0 2 * * MON-Fri", "0 2 * jan,Jul *", "0 2 * * mon-fri/2", "5/15 * * * *"),
        *("0-59/60 * * * *", "1,2,3-4,*/5 * * * *", "00 02 01 01 00", " 0 2 * * * ", "0\t2 * * *"),
        *("0 0 31 2 *", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight"),
        *("@hourly", "@every 1h", "@every 1h30m", "@every 1s", "@every 1.5h", "7-7 * * * *"),
    ],
)
def test_what_a_cron_job_takes(text: str) -> None:
    check_cron(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((text, " field") for text in ("", " ", "0", "0 2 * *", "0 2 * * * *", "daily")),
        *((text, "is none of @yearly") for text in ("@", "@reboot", "@Daily", "@daily ", "@every")),
        *((text, "is no duration") for text in ("@every ", "@every 1", "@every 1d", "@every 1h ")),
        *((text, "less than a second") for text in ("@every 0s", "@every -1h", "@every 100ms")),
        *((text, "field of its own: spec.timeZone") for text in ("TZ=UTC * * * * *", "CRON_TZ=x")),
        *((text, "from 0 to 59") for text in ("60 * * * *", "0-60 * * * *", "1,99 * * * *")),
        ("0 24 * * *", "from 0 to 23"),
        ("0 0 0 * *", "from 1 to 31"),
        ("0 0 32 * *", "from 1 to 31"),
        ("0 0 * 0 *", "from 1 to 12"),
        ("0 0 * 13 *", "from 1 to 12"),
        ("0 0 * * 7", "from 0 to 6"),
        ("5-1 * * * *", "ends before it begins"),
        ("0 0 * * sat-sun", "ends before it begins"),
        *((f"{item} * * * *", "step above zero") for item in ("*/0", "*/", "*/x", "*/-1", "*/1/2")),
        *(
            (f"{item} * * * *", "is no minute")
            for item in ("L", "mon", "", "1-", "-1", "1-2-3", "1.5", "a-b", "*-5", "?-5", "1,", ",")
            if item
        ),
        ("0 0 * * 1,2,", "is no day of the week"),
        ("0 0 L * *", "is no day of the month"),
        ("0 0 15W * *", "is no day of the month"),
        ("0 0 * * 5#3", "is no day of the week"),
        ("0 0 * foo *", "is no month"),
        ("0 0 * mon *", "is no month"),
        ("H 2 * * *", "is no minute"),
        ("٣ 2 * * *", "is no minute"),
    ],
)
def test_what_no_cron_job_takes(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        check_cron(text)


@st.composite
def items(draw: st.DrawFn, field: int) -> str:
    """An item of a field that is right."""
    least, most = FIELDS[field]
    low = draw(st.integers(least, most))
    high = draw(st.integers(low, most))

    def spelled(number: int) -> str:
        names = NAMES.get(field)
        if names and draw(st.booleans()):
            name = names[number - least]
            return draw(st.sampled_from([name, name.upper(), name.title()]))
        return draw(st.sampled_from([str(number), f"0{number}"]))

    span = draw(
        st.sampled_from(["*", "?", spelled(low), f"{spelled(low)}-{spelled(high)}"]),
    )
    step = draw(st.none() | st.integers(1, 200))
    return span if step is None else f"{span}/{step}"


def fields() -> st.SearchStrategy[list[str]]:
    each = [st.lists(items(field), min_size=1, max_size=4) for field in range(5)]
    return st.tuples(*each).map(lambda found: [",".join(item) for item in found])


@given(fields(), st.sampled_from([" ", "  ", "\t"]))
@UNHURRIED
def test_every_expression_of_right_items_is_right(found: list[str], between: str) -> None:
    check_cron(between.join(found))


@given(fields(), st.integers(0, 4), st.data())
@UNHURRIED
def test_one_item_out_of_its_bounds_is_refused(
    found: list[str], field: int, data: st.DataObject
) -> None:
    least, most = FIELDS[field]
    wrong = data.draw(st.integers(most + 1, 9999) | st.integers(-5, least - 1))
    found[field] += f",{wrong}"
    with pytest.raises(ValueError, match=r"is no|ends before"):
        check_cron(" ".join(found))


@given(st.text(alphabet="0159*/,-? @amonevry\t", max_size=20) | st.text(max_size=12))
@UNHURRIED
def test_any_text_is_right_or_refused_with_a_reason(text: str) -> None:
    why = "none"
    try:
        check_cron(text)
    except ValueError as error:
        why = str(error)
    assert why
    assert why != "none" or text.startswith("@") or 5 == len(text.split())
