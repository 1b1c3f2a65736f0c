"""The document as COMMENT holds it, and the bounds of what is configured."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from backup_manager.database.lease_document import (
    COMMENT_LIMIT,
    LEASE_SECONDS,
    Document,
    Original,
    Row,
    parse,
    parse_gc_life_time,
    release,
    renew,
)
from backup_manager.errors import ProtectionError, Reason, UsageError

A = "aaaaaaaa"
NOW = 1_800_000_000
END = NOW + LEASE_SECONDS
NEED = parse_gc_life_time("72h")
BEFORE = Row("10m0s", "the server's own words")
TAKEN = renew(BEFORE, A, need=NEED, now=NOW).row

lease_ids = st.from_regex(r"[0-9a-f]{8}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
originals = st.builds(Original, texts, st.none() | texts, texts)
documents = st.builds(
    Document, originals, st.dictionaries(lease_ids, st.integers(0, 1 << 39), max_size=5)
)


@given(documents)
def test_a_document_is_read_as_it_was_written(document: Document) -> None:
    assume(len(document.encode()) <= COMMENT_LIMIT)
    assert document == parse(document.encode())


@given(documents)
def test_a_document_that_was_laid_out_anew_is_still_ours(document: Document) -> None:
    text = json.dumps(json.loads(document.encode()), indent=1, ensure_ascii=False)
    assume(len(text) <= COMMENT_LIMIT)
    assert document == parse(text)


@given(texts | documents.map(Document.encode), st.data())
def test_whatever_a_comment_holds(comment: str, data: st.DataObject) -> None:
    """It is ours, or it comes back as it was; no text ends a run with anything but an error."""
    if comment and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(comment) - 1))
        comment = (
            comment[:at] + data.draw(st.characters(exclude_categories=["Cs"])) + comment[at + 1 :]
        )
    found = parse(comment)
    assert found is None or parse(found.encode()) in (found, None)
    try:
        taken = renew(Row("10m0s", comment), A, need=NEED, now=NOW)
    except ProtectionError:
        return
    left = release(taken.row, A, now=NOW).row
    if found is None:
        assert Row("10m0s", comment) == left
    else:
        assert found.original.comment == left.comment or parse(left.comment) is not None


def altered(**fields: object) -> str:
    return json.dumps(json.loads(TAKEN.comment or "") | fields)


@pytest.mark.parametrize(
    "comment",
    [
        None,
        "",
        "words",
        "{",
        "{}",
        "[" * 1000,
        '{"a":' * 200,
        altered(more=1),
        altered(value=1),
        altered(comment=[]),
        altered(comment="\ud800"),
        altered(set=None),
        altered(leases=[]),
        altered(leases={"A" * 8: 1}),
        altered(leases={"a" * 7: 1}),
        altered(leases={A: -1}),
        altered(leases={A: 1.5}),
        altered(leases={A: True}),
        altered(leases={A: float("nan")}),
        altered(leases={A: 10**500}),
        altered(leases={A: 1}).replace('"set"', '"set": "1m", "set"'),
        altered(leases={A: 1}).replace(f'"{A}"', f'"{A}": 2, "{A}"'),
        altered(**{"backup-manager": 2}),
        altered(**{"backup-manager": True}),
        altered(value="x" * COMMENT_LIMIT),
    ],
)
def test_what_is_not_exactly_ours_is_a_comment_like_any(comment: str | None) -> None:
    assert parse(comment) is None
    if comment is None or len(comment) < 200:
        taken = renew(Row("10m0s", comment), A, need=NEED, now=NOW).row
        assert Row("10m0s", comment) == release(taken, A, now=NOW).row


def test_the_layout_in_the_row() -> None:
    expected = Row(
        "72h0m0s",
        '{"backup-manager":1,"value":"10m0s","comment":"the server\'s own words",'
        f'"set":"72h0m0s","leases":{{"aaaaaaaa":{END}}}}}',
    )
    assert expected == TAKEN


def test_the_limit_counts_characters_and_is_checked_before() -> None:
    empty = len(renew(Row("10m0s", ""), A, need=NEED, now=NOW).row.comment or "")
    longest = "𝄞" * (COMMENT_LIMIT - empty)
    taken = renew(Row("10m0s", longest), A, need=NEED, now=NOW).row
    assert COMMENT_LIMIT == len(taken.comment or "")
    assert longest == release(taken, A, now=NOW).row.comment
    with pytest.raises(ProtectionError, match="1025 of 1024") as caught:
        renew(Row("10m0s", longest + "x"), A, need=NEED, now=NOW)
    assert Reason.GC_SET == caught.value.reason


def test_too_many_leases_are_refused() -> None:
    row = BEFORE
    for number in range(42):
        row = renew(row, f"{number:08x}", need=NEED, now=NOW).row
    with pytest.raises(ProtectionError, match="no room for another lease"):
        renew(row, A, need=NEED, now=NOW)
    # Those that are there are still renewed.
    assert row == renew(row, f"{0:08x}", need=NEED, now=NOW).row


@pytest.mark.parametrize(
    ("text", "hours"), [("10m", 1 / 6), ("8760h", 8760), ("72h", 72), ("1h30m", 1.5)]
)
def test_a_configured_life_time(text: str, hours: float) -> None:
    assert hours * 3_600_000_000_000 == parse_gc_life_time(text)


@pytest.mark.parametrize("text", ["", "72", "3d", "9m59s", "8760h1ns", "-72h", "10min"])
def test_a_configured_life_time_out_of_bounds(text: str) -> None:
    with pytest.raises(UsageError, match="--gc-life-time") as caught:
        parse_gc_life_time(text)
    assert Reason.GC_PARSE_CONFIGURED == caught.value.reason
