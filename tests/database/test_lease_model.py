"""Many leases, foreign hands and crashes in any order: nobody is undercut, all is put back."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from backup_manager.database.lease_document import (
    HEARTBEAT_SECONDS,
    LEASE_SECONDS,
    Document,
    Row,
    clear,
    nanoseconds,
    parse,
    release,
    renew,
    same,
)

HOUR = 3_600_000_000_000
IDS = [f"{number:08x}" for number in range(6)]
VALUES = ["10m0s", "20m", "72h", "72h0m0s", "100h", "0", "10min"]
COMMENTS = [None, "", "words", "ключ 𝄞 \\ \" '"]


@dataclass
class Run:
    need: int
    known: Document | None
    beaten: int


class Leases(RuleBasedStateMachine):
    """The row, the runs that live, and what must come back when all have gone.

    ``undisturbed`` holds while the last hand on the row that was not ours is older than every
    living run's last heartbeat: only then is a low value our fault.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000
        self.row = Row("10m0s", "words")
        self.wanted: Row | None = self.row
        self.runs: dict[str, Run] = {}
        self.touched = 0

    def free(self) -> list[str]:
        return [each for each in IDS if each not in self.runs]

    def beat(self, lease_id: str) -> None:
        run = self.runs[lease_id]
        change = renew(self.row, lease_id, need=run.need, now=self.now, known=run.known)
        self.row, run.known, run.beaten = change.row, change.document, self.now

    @precondition(lambda self: self.free() and nanoseconds(self.row.value) is not None)
    @rule(data=st.data(), hours=st.sampled_from([1, 72, 144]))
    def acquire(self, data: st.DataObject, hours: int) -> None:
        lease_id = data.draw(st.sampled_from(self.free()))
        self.runs[lease_id] = Run(hours * HOUR, None, self.now)
        self.beat(lease_id)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        lease_id = data.draw(st.sampled_from(sorted(self.runs)))
        run = self.runs.pop(lease_id)
        self.row = release(self.row, lease_id, now=self.now, known=run.known).row

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        del self.runs[data.draw(st.sampled_from(sorted(self.runs)))]

    @rule(seconds=st.integers(1, LEASE_SECONDS // 2))
    def pass_time(self, seconds: int) -> None:
        # Nobody sleeps through a whole lease here: each heartbeat comes in time.
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + HEARTBEAT_SECONDS)
            for lease_id in sorted(self.runs):
                self.beat(lease_id)

    @rule()
    def somebody_clears(self) -> None:
        self.row = clear(self.row, now=self.now).row

    @rule(value=st.sampled_from(VALUES))
    def somebody_updates_the_value(self, value: str) -> None:
        document = parse(self.row.comment)
        if document is None:
            self.row = Row(value, self.row.comment)
            self.wanted = None if self.runs else self.row
        else:
            # Whoever writes just what the leases had set cannot be told from them.
            ours = same(value, document.original.set)
            before = document.original.value if ours else value
            self.wanted = Row(before, document.original.comment)
            self.row = Row(value, self.row.comment)
        self.touched = self.now

    @rule(value=st.sampled_from(VALUES), comment=st.sampled_from(COMMENTS))
    def somebody_wipes_the_comment(self, value: str, comment: str | None) -> None:
        document = parse(self.row.comment)
        self.row = Row(value, comment)
        # What comes back then hangs on what each run remembers: the examples tell it.
        self.wanted = None if document or self.runs else self.row
        self.touched = self.now

    @invariant()
    def nobody_is_undercut_by_us(self) -> None:
        length = nanoseconds(self.row.value)
        for run in self.runs.values():
            if run.beaten > self.touched and length is not None:
                assert length >= run.need

    @invariant()
    def every_lease_that_was_renewed_since_is_recorded(self) -> None:
        document = parse(self.row.comment)
        for lease_id, run in self.runs.items():
            if run.beaten > self.touched:
                assert document is not None
                assert lease_id in document.leases

    def teardown(self) -> None:
        self.pass_time(1)
        for lease_id in sorted(self.runs):
            run = self.runs.pop(lease_id)
            self.row = release(self.row, lease_id, now=self.now, known=run.known).row
        # A lease's time, and a next run.
        self.row = clear(self.row, now=self.now + LEASE_SECONDS).row
        assert parse(self.row.comment) is None
        if self.wanted is not None:
            assert self.wanted == self.row


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
