"""The rules of the leases, without any database."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from backup_manager.database.lease_document import (
    LEASE_SECONDS,
    Document,
    Original,
    Row,
    clear,
    nanoseconds,
    parse,
    parse_gc_life_time,
    refuse_unreadable,
    release,
    renew,
    same,
)
from backup_manager.durations import format_duration
from backup_manager.errors import ProtectionError, Reason

A, B = "aaaaaaaa", "bbbbbbbb"
NOW = 1_800_000_000
END = NOW + LEASE_SECONDS
NEED = parse_gc_life_time("72h")
BEFORE = Row("10m0s", "the server's own words")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def raised(need: int = NEED, lease_id: str = A) -> Row:
    return renew(BEFORE, lease_id, need=need, now=NOW).row


@given(texts | st.none(), st.integers(0, 9000 * 3_600_000_000_000))
def test_one_lease_leaves_no_trace(comment: str | None, length: int) -> None:
    before = Row(format_duration(length), comment)
    assume(parse(comment) is None)
    taken = renew(before, A, need=NEED, now=NOW)
    assert max(length, NEED) == nanoseconds(taken.row.value)
    assert before == release(taken.row, A, now=NOW + 5).row


def test_the_last_of_several_leases_puts_back() -> None:
    first = raised()
    both = renew(first, B, need=NEED, now=NOW + 1).row
    left = release(both, A, now=NOW + 2).row
    assert "72h0m0s" == left.value
    assert BEFORE == release(left, B, now=NOW + 3).row


def test_a_lease_is_recorded_where_nothing_had_to_be_raised() -> None:
    long = Row("100h", None)
    taken = renew(long, A, need=NEED, now=NOW)
    assert "100h" == taken.row.value
    assert taken.document is not None
    assert {A: END} == taken.document.leases
    assert long == release(taken.row, A, now=NOW).row


def test_values_compare_as_durations() -> None:
    respelled = Row("4320m", raised().comment)
    assert BEFORE == release(respelled, A, now=NOW).row
    assert same("1h", "60m")
    assert not same("1h", "61m")
    assert same("10min", "10min")
    assert not same("10min", "10m")


def test_the_largest_need_stays_till_the_end() -> None:
    both = renew(raised(), B, need=2 * NEED, now=NOW).row
    assert "144h0m0s" == both.value
    again = renew(both, A, need=NEED, now=NOW + 60).row
    assert "144h0m0s" == again.value
    left = release(again, B, now=NOW + 61).row
    assert "144h0m0s" == left.value
    assert BEFORE == release(left, A, now=NOW + 62).row


def test_a_dead_lease_goes_with_whoever_comes_next() -> None:
    taken = renew(raised(), B, need=NEED, now=END)
    assert taken.document is not None
    assert {B: END + LEASE_SECONDS} == taken.document.leases
    assert BEFORE == release(taken.row, B, now=END).row
    assert BEFORE == clear(raised(), now=END).row
    assert raised() == clear(raised(), now=END - 1).row


def test_a_dead_lease_does_not_keep_its_value_for_others() -> None:
    taken = renew(raised(2 * NEED), B, need=NEED, now=END)
    assert "72h0m0s" == taken.row.value
    left = renew(Row("72h", None), A, need=2 * NEED, now=NOW).row
    assert "72h" == renew(left, B, need=NEED, now=END).row.value


def test_a_lease_that_is_known_to_be_dead_goes_at_once() -> None:
    assert BEFORE == clear(raised(), now=NOW, dead_ids=[A]).row
    taken = renew(raised(), B, need=NEED, now=NOW, dead_ids=[A])
    assert taken.document is not None
    assert {B: END} == taken.document.leases
    both = renew(raised(), B, need=NEED, now=NOW).row
    assert "72h0m0s" == clear(both, now=NOW, dead_ids=[A]).row.value


def test_clear_changes_nothing_where_there_is_no_lease() -> None:
    assert BEFORE == clear(BEFORE, now=NOW, dead_ids=[A]).row


def test_a_lower_value_of_somebody_elses_is_raised_and_comes_back() -> None:
    lowered = Row("20m0s", raised().comment)
    taken = renew(lowered, A, need=NEED, now=NOW)
    assert taken.lowered
    assert "72h0m0s" == taken.row.value
    assert Row("20m0s", BEFORE.comment) == release(taken.row, A, now=NOW).row


@pytest.mark.parametrize("other_leaves", [True, False])
def test_a_lowering_that_another_run_saw_first_is_seen_by_each(other_leaves: bool) -> None:
    both = renew(raised(), B, need=NEED // 3, now=NOW).row
    lowered = Row("20m0s", both.comment)
    # The other run makes the lower value the original, so it no longer looks like a foreign one.
    if other_leaves:
        between = release(lowered, B, now=NOW + 1).row
        assert "20m0s" == between.value
    else:
        between = renew(lowered, B, need=NEED // 3, now=NOW + 1).row
        assert "24h0m0s" == between.value
    taken = renew(between, A, need=NEED, now=NOW + 2)
    assert taken.lowered
    assert "72h0m0s" == taken.row.value


def test_to_join_another_runs_lease_is_no_lowering() -> None:
    assert not renew(raised(NEED // 3), B, need=NEED, now=NOW).lowered
    assert not renew(raised(), A, need=NEED, now=NOW + 1).lowered


def test_a_higher_value_of_somebody_elses_stays_for_good() -> None:
    higher = Row("80h", raised().comment)
    taken = renew(higher, A, need=NEED, now=NOW)
    assert not taken.lowered
    assert "80h" == taken.row.value
    assert Row("80h", BEFORE.comment) == release(taken.row, A, now=NOW).row
    assert Row("80h", BEFORE.comment) == release(higher, A, now=NOW).row


def test_a_value_between_the_need_and_what_was_set_is_respected() -> None:
    taken = renew(Row("80h", raised(2 * NEED).comment), A, need=NEED, now=NOW)
    assert "80h" == taken.row.value


def test_set_global_wipes_the_leases_and_its_value_is_the_original() -> None:
    known = parse(raised().comment)
    wiped = Row("20m0s", "All versions within life time …")
    taken = renew(wiped, A, need=NEED, now=NOW, known=known)
    assert taken.lowered
    assert taken.missing
    assert "72h0m0s" == taken.row.value
    assert wiped == release(taken.row, A, now=NOW).row
    assert wiped == release(wiped, A, now=NOW, known=known).row


@pytest.mark.parametrize("comment", ["", None])
def test_a_wiped_comment_comes_back_where_none_took_its_place(comment: str | None) -> None:
    known = parse(raised().comment)
    wiped = Row("20m0s", comment)
    assert Row("20m0s", BEFORE.comment) == release(wiped, A, now=NOW, known=known).row


def test_a_wiped_comment_over_our_own_value_hides_no_original() -> None:
    known = parse(raised().comment)
    wiped = Row("72h", "All versions within life time …")
    taken = renew(wiped, A, need=NEED, now=NOW, known=known)
    assert not taken.lowered
    assert BEFORE == release(taken.row, A, now=NOW).row
    assert BEFORE == release(wiped, A, now=NOW, known=known).row


def test_the_others_leases_outlive_a_wiped_comment() -> None:
    known = renew(raised(), B, need=NEED, now=NOW).document
    wiped = Row("72h0m0s", "")
    left = release(wiped, A, now=NOW + 1, known=known).row
    assert "72h0m0s" == left.value
    assert BEFORE == release(left, B, now=NOW + 2).row
    # But not where the value shows that they have gone.
    assert BEFORE == release(BEFORE, A, now=NOW + 1, known=known).row


def test_the_journal_of_a_dead_run_knows_the_original() -> None:
    known = Document(Original("10m0s", BEFORE.comment, "72h0m0s"), {})
    wiped = Row("72h0m0s", "")
    taken = renew(wiped, B, need=NEED, now=NOW, known=known, dead_ids=[A])
    assert BEFORE == release(taken.row, B, now=NOW).row


def test_clear_gives_unseen_runs_time_before_it_puts_back() -> None:
    known = Document(Original("10m0s", BEFORE.comment, "72h0m0s"), {})
    wiped = Row("72h0m0s", "")
    cleared = clear(wiped, now=NOW, known=known, dead_ids=[A])
    assert "72h0m0s" == cleared.row.value
    with_b = renew(cleared.row, B, need=NEED, now=NOW + 60).row
    left = clear(with_b, now=END, dead_ids=[A]).row
    assert "72h0m0s" == left.value
    assert BEFORE == release(left, B, now=END).row
    assert BEFORE == clear(cleared.row, now=END).row


def test_a_lost_answer_to_the_release_is_no_reason_to_do_it_again() -> None:
    known = renew(raised(), B, need=NEED, now=NOW).document
    assert BEFORE == release(BEFORE, A, now=NOW, known=known).row
    long = Row("100h", "x")
    known = renew(long, A, need=NEED, now=NOW).document
    assert long == release(long, A, now=NOW, known=known).row


def test_a_run_that_begins_refuses_what_is_no_duration() -> None:
    with pytest.raises(ProtectionError, match="'10min'") as caught:
        refuse_unreadable(Row("10min", None))
    assert Reason.GC_PARSE_OLD == caught.value.reason


def test_a_running_one_leaves_what_is_no_duration_alone() -> None:
    broken = Row("10min", raised().comment)
    taken = renew(broken, A, need=NEED, now=NOW)
    assert "10min" == taken.row.value
    assert Row("10min", BEFORE.comment) == release(taken.row, A, now=NOW).row
    mended = Row("10m0s", taken.row.comment)
    taken = renew(mended, A, need=NEED, now=NOW)
    assert taken.lowered
    assert "72h0m0s" == taken.row.value
    assert BEFORE == release(taken.row, A, now=NOW).row


def test_missing_tells_whether_the_lease_had_been_there() -> None:
    assert renew(BEFORE, A, need=NEED, now=NOW).missing
    assert not renew(raised(), A, need=NEED, now=NOW + 1).missing
    assert renew(raised(), A, need=NEED, now=END).missing
