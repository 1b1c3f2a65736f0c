"""The journal: what it counts, in which order it tells, and what a kill or damage leaves of it."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_manager.errors import HeldError, Reason, VolumeError
from backup_manager.volume import journal as module
from backup_manager.volume.directory import FileState
from backup_manager.volume.journal import METADATA, Journal
from backup_manager.volume.journal_file import DamagedJournalError
from backup_manager.volume.rows import FileRow, PartRow, UploadRow, checksum

STATE = FileState(7, 100, 10**18 + 1, 10**18 + 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    # Everything that a URI of SQLite's could trip over.
    directory = tmp_path / "a?b=1&c#d%20é"
    directory.mkdir()
    return directory / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    made = Journal(path, create=True)
    yield made
    made.close()


def test_what_is_still_to_be_sent(journal: Journal) -> None:
    for name in ("a", "b", METADATA):
        journal.settle(name, STATE)
    assert 200 == journal.unsent_bytes()
    journal.begin_upload("b", UploadRow("id", 60, STATE))
    journal.confirm_part("id", PartRow(1, 60, "0" * 64, "etag"))
    assert 140 == journal.unsent_bytes()
    journal.confirm("a", STATE, read_ns=0, sha256="0" * 64, etag="etag")
    assert 40 == journal.unsent_bytes()
    journal.end_upload("b")
    journal.confirm("b", STATE, read_ns=0, sha256="0" * 64, etag="etag")
    assert 0 == journal.unsent_bytes()


# Against a model ---------------------------------------------------------------------------

# UTF-16 would order the last two the other way round.
NAMES = st.sampled_from(
    [
        "a",
        "a.b",
        "B",
        "ab",
        "x/y",
        METADATA,
        f"x/{METADATA}",
        "ä",
        " ",
        "%41",
        "\uffee",
        "\U0001f600",
    ]
)
STATES = st.builds(
    FileState, *[st.integers(0, 2**63 - 1), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)]
)
OPERATIONS = st.one_of(
    st.tuples(st.just("offer"), st.lists(NAMES, max_size=4)),
    st.tuples(st.just("settle"), NAMES, STATES),
    st.tuples(st.just("confirm"), NAMES, STATES, st.integers(0, 9), st.text("ab", min_size=1)),
    st.tuples(st.just("reopen")),
    st.tuples(st.just("commit")),
)


@dataclass
class Model:
    rows: dict[str, FileRow] = field(default_factory=dict)

    def offer(self, names: list[str]) -> None:
        for name in names:
            row = self.rows.get(name)
            if row is None:
                self.rows[name] = FileRow(name, None, 0, None, None, confirmed=False)
            else:
                self._put(row, confirmed=False)

    def settle(self, name: str, state: FileState) -> None:
        row = self.rows.get(name) or FileRow(name, None, 0, None, None, confirmed=False)
        self._put(row, state=state, confirmed=False)

    def confirm(self, name: str, state: FileState, read_ns: int, text: str) -> None:
        row = self.rows.get(name)
        if row and not row.confirmed:
            self.rows[name] = FileRow(name, state, read_ns, text, text, confirmed=True)

    def _put(self, row: FileRow, **changed: object) -> None:
        self.rows[row.name] = FileRow(**{**vars(row), **changed})

    @property
    def queue(self) -> list[str]:
        return [
            row.name for row in self.rows.values() if not row.confirmed and row.name != METADATA
        ]


@settings(max_examples=60, deadline=None)
@given(st.lists(OPERATIONS, max_size=25))
def test_it_is_a_dictionary_and_a_queue(operations: list[tuple[object, ...]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PAGE_ROWS", 2)
        _replay(operations)


def _replay(operations: list[tuple[object, ...]]) -> None:
    path = Path(f"/dev/shm/journal-{os.getpid()}-{threading.get_ident()}")
    model, journal = Model(), Journal(path, create=True)
    try:
        for operation in operations:
            match operation:
                case ("offer", list(names)):
                    model.offer(names)
                    journal.offer(names)
                case ("settle", str(name), FileState() as state):
                    model.settle(name, state)
                    journal.settle(name, state)
                case ("confirm", str(name), FileState() as state, int(read_ns), str(text)):
                    model.confirm(name, state, read_ns, text)
                    journal.confirm(name, state, read_ns=read_ns, sha256=text, etag=text)
                case ("reopen",):
                    journal.close()
                    journal = Journal(path)
                case _:
                    journal.commit()
            _compare(model, journal)
    finally:
        journal.close()
        path.unlink()


def _compare(model: Model, journal: Journal) -> None:
    assert len(model.queue) == journal.waiting
    assert model.queue == journal.queued(100)
    assert model.queue[:2] == journal.queued(2)
    by_name = sorted(model.rows.values(), key=lambda row: row.name.encode())
    assert by_name == list(journal.files())
    assert [row for row in by_name if not row.confirmed] == list(journal.files(waiting_only=True))
    total = sum(row.state.bytes for row in by_name if row.state)
    assert (len(by_name), total) == journal.totals()
    for name in ("a", "not there"):
        assert model.rows.get(name) == journal.file(name)


# Facts, uploads, parts ---------------------------------------------------------------------


def test_facts_are_kept(path: Path, journal: Journal) -> None:
    journal.remember(one="1", two="é\n\0", three="3")
    journal.remember(one="new")
    journal.close()
    again = Journal(path)
    assert ("new", "é\n\0", "3", None) == tuple(
        again.fact(key) for key in ("one", "two", "three", "four")
    )
    again.close()


def test_an_upload_and_its_parts(path: Path, journal: Journal) -> None:
    upload = UploadRow("id 1", 16 << 20, STATE)
    parts = [PartRow(number, 5, f"sha{number}", f"etag{number}") for number in (1, 2)]
    journal.begin_upload("big", upload)
    for part in (*parts, parts[0]):
        journal.confirm_part("id 1", part)
    journal.close()
    again = Journal(path)
    assert upload == again.upload("big")
    assert parts == sorted(again.parts("id 1"), key=lambda part: part.number)
    again.end_upload("big")
    assert (None, []) == (again.upload("big"), again.parts("id 1"))
    again.close()


def test_a_new_upload_of_a_file_forgets_the_parts_of_the_old_one(journal: Journal) -> None:
    journal.begin_upload("big", UploadRow("old", 1, STATE))
    journal.confirm_part("old", PartRow(1, 5, "s", "e"))
    journal.begin_upload("other", UploadRow("another", 1, STATE))
    journal.confirm_part("another", PartRow(1, 5, "s", "e"))
    journal.begin_upload("big", UploadRow("new", 2, STATE))
    assert ([], 1) == (journal.parts("old"), len(journal.parts("another")))
    assert UploadRow("new", 2, STATE) == journal.upload("big")


# Batches -----------------------------------------------------------------------------------


def confirm(journal: Journal, number: int) -> None:
    name = f"file {number}"
    journal.offer([name])
    journal.confirm(name, STATE, read_ns=1, sha256="s", etag="e")


def test_confirmations_are_committed_in_batches(journal: Journal) -> None:
    for number in range(127):
        confirm(journal, number)
    assert journal._db.in_transaction
    confirm(journal, 128)
    assert not journal._db.in_transaction


def test_a_batch_is_no_older_than_a_second(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    confirm(journal, 1)
    now[0] += 0.9
    confirm(journal, 2)
    journal.tick()
    assert journal._db.in_transaction
    now[0] += 0.1
    journal.tick()
    assert not journal._db.in_transaction
    journal.tick()


@pytest.mark.parametrize(
    "write",
    [
        lambda journal: journal.remember(fact="1"),
        lambda journal: journal.begin_upload("big", UploadRow("id", 1, STATE)),
        lambda journal: journal.commit(),
    ],
    ids=["fact", "upload", "commit"],
)
def test_what_is_durable_at_once(journal: Journal, write: Callable[[Journal], None]) -> None:
    confirm(journal, 1)
    write(journal)
    assert not journal._db.in_transaction


def test_many_threads(journal: Journal) -> None:
    def work(thread: int) -> None:
        for number in range(100):
            confirm(journal, thread * 1000 + number)
            journal.tick()
            assert journal.waiting >= 0

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (0, (800, 80_000)) == (journal.waiting, journal.totals())


# Killed ------------------------------------------------------------------------------------

WRITER = """
import os, sys
from pathlib import Path
from backup_manager.volume.journal import Journal
from backup_manager.volume.directory import FileState
journal = Journal(Path(sys.argv[1]), create=True)
journal.remember(id="1")
committed, more = int(sys.argv[2]), int(sys.argv[3])
for number in range(committed + more):
    name = f"file {number:06}"
    journal.offer([name])
    journal.confirm(name, FileState(1, number, 2, 3), read_ns=4, sha256="s", etag="e")
    if number + 1 == committed:
        journal.commit()
print("written", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(("committed", "more"), [(1, 1), (10, 100), (1000, 300)])
def test_kill_9_loses_no_more_than_a_batch(path: Path, committed: int, more: int) -> None:
    argv = [sys.executable, "-c", WRITER, str(path), str(committed), str(more)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert b"written\n" == child.stdout.readline()
        with pytest.raises(HeldError, match="in use by another process"):
            _open_impatiently(path)
        child.send_signal(signal.SIGKILL)
    journal = Journal(path)
    rows = list(journal.files())
    kept = len([row for row in rows if row.confirmed])
    # A confirmation here is two writes.
    assert committed + more - 128 <= kept
    assert committed <= kept <= committed + more
    assert [f"file {number:06}" for number in range(len(rows))] == [row.name for row in rows]
    assert list(range(kept)) == [row.state.bytes for row in rows if row.state]
    assert len(rows) - kept == journal.waiting
    journal.close()


def _open_impatiently(path: Path) -> Journal:
    with pytest.MonkeyPatch.context() as patch:
        connect = sqlite3.connect
        patch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0}))
        return Journal(path)


# Missing or damaged ------------------------------------------------------------------------


def _snapshot(journal: Journal) -> tuple[object, ...]:
    facts = [journal.fact(key) for key in ("format", "directory", "dumped")]
    parts = sorted(journal.parts("upload"), key=lambda part: part.number)
    return (facts, list(journal.files()), journal.upload("big"), parts, journal.waiting)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with something in every table."""
    path = tmp_path_factory.mktemp("sound") / "journal.sqlite"
    journal = Journal(path, create=True)
    journal.remember(directory="p/backup-1", dumped="2026-11-22T10:00:00Z")
    for number in range(120):
        name = f"shop.item.{number:09}.sql"
        journal.offer([name])
        if number % 3:
            state = FileState(number, number * 1000, 10**18 + number, 10**18 + number)
            sha256, etag = f"{number:064x}", f"{number:032x}"
            journal.confirm(name, state, read_ns=10**18, sha256=sha256, etag=etag)
    journal.begin_upload("big", UploadRow("upload", 16 << 20, STATE))
    for number in range(1, 40):
        journal.confirm_part("upload", PartRow(number, 16 << 20, f"{number:064x}", "e" * 32))
    journal.close()
    return path


def _read(path: Path) -> tuple[object, ...] | None:
    """What it says; None where it is refused as damaged."""
    try:
        journal = Journal(path)
    except DamagedJournalError:
        return None
    try:
        return _snapshot(journal)
    finally:
        journal.close()


def test_a_cut_journal_is_refused(sound: Path, path: Path) -> None:
    whole = sound.read_bytes()
    expected = _read(sound)
    assert expected
    for length in range(0, len(whole), 997):
        path.write_bytes(whole[:length])
        assert _read(path) is None, f"cut to {length} of {len(whole)} bytes"
    path.write_bytes(whole)
    assert expected == _read(path)


def test_a_flipped_bit_is_noticed_or_changes_nothing(sound: Path, path: Path) -> None:
    """Nor is it ever an error of another kind. What changes nothing lies in unused room."""
    whole = sound.read_bytes()
    expected = _read(sound)
    refused = 0
    for offset in [*range(120), *range(120, len(whole), 29)]:
        bit = 1 << offset % 8
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ bit]) + whole[offset + 1 :])
        found = _read(path)
        refused += found is None
        assert found is None or expected == found, f"byte {offset}"
    assert refused > 800


def _hot(path: Path) -> tuple[bytes, bytes]:
    """A journal and its rollback journal as a kill leaves them when a commit is half done.

    Before: files in their first states. Half done: each settled in another one, and `dumped`.
    """
    journal = Journal(path, create=True)
    names = [f"shop.item.{number:09}.sql" for number in range(120)]
    for name in names:
        confirm_as(journal, name, STATE)
    journal.commit()
    journal._db.execute("PRAGMA cache_size = 1")  # what is changed goes to the file at once
    for name in names:
        journal.settle(name, STATE._replace(bytes=200))
    journal._db.execute(
        "INSERT INTO facts VALUES ('dumped', 'yes', ?1), ('digest', ?2, ?3)",
        (checksum("dumped", "yes"), journal.digest(), checksum("digest", journal.digest())),
    )
    for _ in journal.files():  # pushes the page of the facts out too
        pass
    rollback = path.with_name(path.name + "-journal").read_bytes()
    half = path.read_bytes()
    journal._db.execute("ROLLBACK")
    journal.close()
    return half, rollback


def test_a_damaged_rollback_journal_is_noticed_or_harmless(path: Path) -> None:
    half, rollback = _hot(path)
    beside = path.with_name(path.name + "-journal")
    for cut in [*range(0, 600, 7), *range(600, len(rollback) + 1, 503)]:
        flipped = bytearray(rollback)
        flipped[cut % len(rollback)] ^= 1 << cut % 8
        for damaged in (rollback[:cut], bytes(flipped)):
            path.write_bytes(half)
            beside.write_bytes(damaged)
            try:
                journal = Journal(path)
            except DamagedJournalError:
                continue
            believed = journal.fact("dumped") and journal.fact("digest") == journal.digest()
            settled = {row.state.bytes for row in journal.files() if row.state} == {200}
            journal.close()
            assert settled or not believed, f"byte {cut}"
    path.write_bytes(half)
    beside.write_bytes(rollback)
    journal = Journal(path)
    assert ({100}, None) == (
        {row.state.bytes for row in journal.files() if row.state},
        journal.fact("dumped"),
    )
    journal.close()


def confirm_as(journal: Journal, name: str, state: FileState) -> None:
    journal.offer([name])
    journal.confirm(name, state, read_ns=1, sha256="s" * 64, etag="e" * 32)


def test_damage_while_it_is_open_is_an_error_of_the_volume(journal: Journal) -> None:
    confirm_as(journal, "a", STATE)
    journal._db.execute("UPDATE files SET etag = 'f'")
    with pytest.raises(VolumeError, match="damaged while it was in use"):
        journal.file("a")
    with pytest.raises(VolumeError, match="damaged while it was in use"):
        list(journal.files())


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"no database at all" * 1000])
def test_what_is_no_journal(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DamagedJournalError):
        Journal(path)
    assert content == path.read_bytes()


def test_a_journal_that_was_never_made(path: Path) -> None:
    with pytest.raises(DamagedJournalError, match="there is none"):
        Journal(path)
    assert not path.exists()


def test_a_journal_of_a_later_format(path: Path, journal: Journal) -> None:
    journal.remember(format="2")
    journal.close()
    with pytest.raises(DamagedJournalError, match="format 2"):
        Journal(path)


def test_a_volume_that_refuses_to_read_it_says_nothing_of_its_content(
    path: Path, journal: Journal
) -> None:
    journal.close()
    path.rename(path.with_suffix(".away"))
    path.mkdir()  # cannot be opened, but is there
    with pytest.raises(VolumeError, match="cannot be read or written"):
        Journal(path)


# The volume refuses ------------------------------------------------------------------------


def test_a_full_volume_is_named(journal: Journal) -> None:
    (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(VolumeError) as caught:
        journal.remember(fact="x" * 1_000_000)
    assert Reason.VOLUME_FULL == caught.value.reason


def test_a_closed_journal_is_an_error_of_the_volume(journal: Journal) -> None:
    journal.close()
    journal.close()
    with pytest.raises(VolumeError, match="closed"):
        journal.remember(fact="1")
    with pytest.raises(VolumeError, match="closed"):
        journal.file("a")


def test_closing_makes_all_durable(path: Path, journal: Journal) -> None:
    confirm(journal, 1)
    journal.close()
    again = Journal(path)
    assert ["file 1"] == [row.name for row in again.files() if row.confirmed]
    again.close()
