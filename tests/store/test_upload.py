"""The upload engine against Ceph: whatever happens to the files and the line, the store ends with
what is on the volume, or the engine says why not."""

import os
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backup_manager.errors import (
    BackupError,
    DumpInvalidError,
    InterruptedBySignalError,
    Reason,
    StoreError,
    VolumeError,
)
from backup_manager.store.faults import AnswerError
from backup_manager.store.retries import Patience
from backup_manager.store.settings import Pace
from backup_manager.volume.journal import METADATA, Journal
from backup_manager.volume.rows import PartRow
from tests.s3_proxy import S3Proxy, operation
from tests.servers import Ceph
from tests.stores import DIRECTORY, SMALL_PARTS, Engine, Hook, eventually, new_store

BIG = 11 << 20  # three parts


def data(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
def put(engine: Engine) -> Hook:
    return Hook.on(engine, "put")


@pytest.fixture
def part(engine: Engine) -> Hook:
    return Hook.on(engine, "upload_part")


def once(act: Callable[[], object]) -> Callable[..., None]:
    """Do it at the first call only."""
    left = [act]
    lock = threading.Lock()

    def run(*_: object) -> None:
        with lock:
            acts = left[:]
            left.clear()
        for one in acts:
            one()

    return run


# All goes well -----------------------------------------------------------------------------


def test_many_small_and_some_big_files_at_once(engine: Engine) -> None:
    engine.start()
    sizes = [0, 1, 4096, 65537]
    for number in range(100):
        engine.offer(f"shop.item.{number:09}.sql", data(sizes[number % 4], number))
    for number in range(5):
        engine.offer(f"sub/shop.big.{number}.sql", data(BIG + number, number))
    engine.prove()
    assert (105, 0) == (engine.uploader.files_sent, engine.uploads())
    total = 25 * sum(sizes) + 5 * BIG + 10
    assert total == engine.uploader.sender.bytes_sent
    assert BIG + 4 == engine.listed()["sub/shop.big.4.sql"][0]


def test_sizes_around_the_border(engine: Engine) -> None:
    engine.start()
    border, two_parts = 6 << 20, 10 << 20
    for size in (border - 1, border, two_parts, two_parts + 1):
        engine.offer(str(size), data(size))
    engine.prove()
    parts = {name: etag.partition("-")[2] for name, (_, etag) in engine.listed().items()}
    assert {border - 1: "", border: "2", two_parts: "2", two_parts + 1: "3"} == {
        int(name): count for name, count in parts.items()
    }


def test_metadata_waits_for_its_turn(engine: Engine) -> None:
    engine.write(METADATA, b"Started dump at")
    engine.start()
    engine.uploader.offer([METADATA, METADATA])
    engine.offer("a", b"a")
    engine.drain()
    assert {"a"} == set(engine.listed())
    path, sha256, etag = engine.uploader.sender.put_file(
        engine.root / METADATA, f"{DIRECTORY}/{METADATA}"
    )
    assert (15, etag) == engine.listed()[METADATA]
    assert (64, 15) == (len(sha256), path.state.bytes)


def test_the_same_file_again_is_not_sent_again(engine: Engine, put: Hook) -> None:
    engine.start()
    for _ in range(3):
        engine.offer("a", b"same")
        engine.prove()
    assert 1 == len(put.calls)


# Files that change -------------------------------------------------------------------------


def test_files_rewritten_after_they_were_sent(engine: Engine) -> None:
    engine.start()
    sizes = {f"{size} {more}": size + more for size in (100, BIG) for more in (-7, 0, 7)}
    for name in sizes:
        engine.offer(name, data(int(name.split()[0]), 1))
    engine.drain()
    first = engine.listed()
    for name, size in sizes.items():
        engine.offer(name, data(size, 2))
    engine.prove()
    assert set() == set(first.values()) & set(engine.listed().values())
    assert (12, 0) == (engine.uploader.files_sent, engine.uploads())


@pytest.mark.parametrize(
    ("when", "new"),
    [("before", 50), ("before", 100), ("after", 100), ("after", 200), ("after", BIG)],
)
def test_a_small_file_rewritten_while_it_is_sent(
    engine: Engine, put: Hook, when: str, new: int
) -> None:
    setattr(put, when, once(lambda: engine.offer("file", data(new, 2))))
    engine.start()
    engine.offer("file", data(100, 1))
    engine.prove()


@pytest.mark.parametrize(
    ("when", "new"), [("before", 100), ("before", BIG), ("after", BIG - 1), ("after", BIG + 1)]
)
def test_a_big_file_rewritten_while_its_parts_are_sent(
    engine: Engine, part: Hook, when: str, new: int
) -> None:
    setattr(part, when, once(lambda: engine.offer("file", data(new, 2))))
    engine.start()
    engine.offer("file", data(BIG, 1))
    engine.prove()
    assert 0 == engine.uploads()


@pytest.mark.parametrize("size", [100, BIG])
def test_a_file_that_is_still_open_waits_until_it_is_closed(
    engine: Engine, put: Hook, part: Hook, size: int
) -> None:
    put.after = part.after = once(lambda: engine.write("file", data(size, 2)))
    engine.start()
    engine.offer("file", data(size, 1))
    engine.parked("file")
    assert {} == engine.confirmed()
    engine.uploader.offer(["file"])
    engine.prove()


@pytest.mark.parametrize("size", [100, BIG])
def test_a_file_that_changed_waits_for_the_end_of_the_dump_at_the_latest(
    engine: Engine, put: Hook, part: Hook, size: int
) -> None:
    put.after = part.after = once(lambda: engine.write("file", data(size, 2)))
    engine.start()
    engine.offer("file", data(size, 1))
    engine.parked("file")
    engine.conclude()
    engine.prove()


@pytest.mark.parametrize("size", [100, BIG])
def test_a_file_that_becomes_again_what_was_confirmed_once(
    engine: Engine, put: Hook, part: Hook, size: int
) -> None:
    """A failed chunk is written again: whole, cut, and whole again, the cut one sent meanwhile."""
    engine.start()
    engine.offer("chunk", data(size, 1))
    engine.prove()
    # What is cut reaches the store, but is never confirmed: it changes before it could be.
    put.after = once(lambda: engine.write("chunk", data(size, 1)))
    engine.offer("chunk", data(size // 100, 2))
    engine.parked("chunk")
    assert data(size // 100, 2) == engine.content("chunk")
    engine.uploader.offer(["chunk"])
    engine.prove()
    assert data(size, 1) == engine.content("chunk")


def test_a_file_that_is_replaced_by_another(engine: Engine, put: Hook) -> None:
    def replace() -> None:
        engine.write("other", data(100, 2))
        os.utime(engine.root / "other", ns=(1, 1))
        (engine.root / "other").rename(engine.root / "file")

    put.after = once(replace)
    engine.start()
    engine.offer("file", data(100, 1))
    engine.parked("file")
    engine.conclude()
    engine.prove()


def test_a_file_that_is_gone_for_a_while(engine: Engine) -> None:
    engine.start()
    engine.uploader.offer(["file"])
    engine.parked("file")
    engine.offer("file", b"here")
    engine.prove()


def test_writers_that_never_rest(engine: Engine) -> None:
    """Files are rewritten at random, as by retries of Dumpling, while sixteen workers send."""
    names = [f"chunk {number}" for number in range(12)]
    engine.start()

    def rewrite(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(40):
            name = names[seed * 4 + dice.randrange(4)]
            kind = dice.randrange(8)
            size = dice.choice([0, 10, 1000, 100_000]) if kind else BIG
            engine.offer(name, data(size, dice.randrange(3)))

    writers = [threading.Thread(target=rewrite, args=(seed,)) for seed in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    engine.conclude()
    engine.prove()
    assert 0 == engine.uploads()


# After the end of the dump -----------------------------------------------------------------


def test_a_file_that_changed_after_the_end_is_refused(engine: Engine) -> None:
    engine.write("file", data(100, 1))
    engine.conclude()
    engine.write("file", data(101, 2))
    engine.start()
    error = engine.failure()
    assert isinstance(error, DumpInvalidError)
    assert "the file file changed after the dump had ended" == error.what


def test_a_file_that_is_gone_after_the_end_is_refused(engine: Engine) -> None:
    engine.write("file", data(100, 1))
    engine.conclude()
    (engine.root / "file").unlink()
    engine.start()
    error = engine.failure()
    assert isinstance(error, DumpInvalidError)
    assert "the file file of the dump is gone" == error.what


def test_metadata_that_changes_while_it_is_sent(engine: Engine, put: Hook) -> None:
    engine.write(METADATA, b"one")
    put.after = once(lambda: engine.write(METADATA, b"another"))
    with pytest.raises(DumpInvalidError, match="metadata changed after the dump had ended"):
        engine.uploader.sender.put_file(engine.root / METADATA, "key")


def test_metadata_that_is_gone(engine: Engine) -> None:
    with pytest.raises(VolumeError, match="cannot be read: No such file"):
        engine.uploader.sender.put_file(engine.root / METADATA, "key")


# Files that cannot be sent -----------------------------------------------------------------


def test_a_name_that_is_no_utf8(engine: Engine) -> None:
    with pytest.raises(DumpInvalidError, match=r"a\\udcff is no UTF-8"):
        engine.uploader.offer(["a\udcff"])
    assert 0 == engine.journal.waiting


def test_a_file_that_no_store_takes(engine: Engine) -> None:
    engine.write("huge", b"")
    os.truncate(engine.root / "huge", (5 << 40) + 1)
    engine.uploader.offer(["huge"])
    engine.start()
    error = engine.failure()
    assert isinstance(error, DumpInvalidError)
    assert "S3 takes no object above 5 TiB" == error.why


def test_a_link_is_not_followed(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not of the dump")
    (engine.root / "link").symlink_to(tmp_path / "secret")
    engine.start()
    engine.uploader.offer(["link"])
    assert isinstance(engine.failure(), VolumeError)
    assert {} == engine.listed()


def test_a_volume_that_fails_to_read(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def pread(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    engine.write("file", data(100))
    monkeypatch.setattr(os, "pread", pread)
    engine.uploader.offer(["file"])
    engine.start()
    error = engine.failure()
    assert isinstance(error, VolumeError)
    assert "Input/output error" == error.why


def test_a_volume_that_fails_while_the_file_is_sent(
    engine: Engine, put: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is no fault of the line, which would be tried again for a quarter of an hour."""

    def pread(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    put.before = lambda *_: monkeypatch.setattr(os, "pread", pread)
    engine.offer("file", data(100))
    engine.start()
    assert isinstance(engine.failure(), VolumeError)
    assert 1 == len(put.calls)


# A line that fails -------------------------------------------------------------------------


def failing(error: Exception, times: int = 1) -> Callable[..., None]:
    """Fail the first attempts for each key and part."""
    seen: dict[object, int] = {}
    lock = threading.Lock()

    def before(*arguments: object) -> None:
        with lock:
            which = arguments[:-1]
            seen[which] = seen.get(which, 0) + 1
            if seen[which] <= times:
                raise error

    return before


@pytest.mark.parametrize(
    "error",
    [
        AnswerError(503, "SlowDown", ""),
        AnswerError(400, "RequestTimeout", ""),
        AnswerError(400, "XAmzContentSHA256Mismatch", ""),
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError("timed out"),
    ],
    ids=str,
)
def test_each_first_attempt_fails(engine: Engine, put: Hook, error: Exception) -> None:
    put.before = failing(error, times=2)
    engine.start()
    for number in range(5):
        engine.offer(f"small {number}", data(100, number))
    engine.prove()
    assert 15 == len(put.calls)


def test_each_first_attempt_fails_for_every_part(engine: Engine, part: Hook) -> None:
    part.before = failing(AnswerError(503, "SlowDown", ""), times=2)
    engine.start()
    engine.offer("big", data(BIG))
    engine.prove()
    assert [1, 1, 1, 2, 2, 2, 3, 3, 3] == numbers(part)


@pytest.mark.parametrize("kind", ["refuse", "lose"])
def test_answers_that_are_refused_or_lost_on_the_line(
    ceph: Ceph, bucket: str, tmp_path: Path, keys: None, kind: str
) -> None:
    del keys
    (tmp_path / "dump").mkdir()
    with S3Proxy(ceph.http) as proxy:
        engine = Engine(ceph, bucket, tmp_path / "dump", endpoint=proxy.url)
        trouble = getattr(proxy, kind)
        trouble(operation("PutObject"), times=3)
        trouble(operation("UploadPart"), times=2)
        engine.start()
        for number in range(10):
            engine.offer(f"small {number}", data(1000, number))
        engine.offer("big", data(BIG))
        engine.prove()
        engine.close()


@pytest.mark.parametrize("hook", ["put", "part"])
def test_what_does_not_pass_is_not_tried_again(
    engine: Engine, put: Hook, part: Hook, hook: str
) -> None:
    put.before = part.before = failing(AnswerError(403, "AccessDenied", "None"), times=99)
    engine.start()
    engine.offer("file", data(100 if hook == "put" else BIG))
    error = engine.failure()
    assert isinstance(error, StoreError)
    assert Reason.UPLOAD == error.reason
    assert (
        f"s3://{engine.bucket}/{DIRECTORY}/file: cannot write it",
        "the store answered AccessDenied",
    ) == (error.what, error.why)
    assert "s3:PutObject" in error.fix
    assert len(put.calls) + len(part.calls) <= 3
    with pytest.raises(StoreError):
        engine.uploader.check()
    assert not engine.uploader.idle


def test_patience_ends(engine: Engine, put: Hook) -> None:
    engine.store.patience = Patience(0)
    put.before = failing(AnswerError(503, "SlowDown", ""), times=99)
    engine.start()
    engine.offer("file", b"x")
    error = engine.failure()
    assert isinstance(error, StoreError)
    assert "run the same command again" in error.fix
    assert 1 == len(put.calls)


def test_a_signal_that_a_worker_noticed_first_is_noticed(engine: Engine, put: Hook) -> None:
    """Else what the main thread does at its end would be cut short by the same signal."""
    put.before = failing(AnswerError(503, "SlowDown", ""), times=99)
    engine.start()
    engine.offer("file", b"x")
    eventually(lambda: len(put.calls) > 1)
    engine.stop.request(15)
    assert isinstance(engine.failure(), InterruptedBySignalError)
    assert not engine.stop.ending
    with pytest.raises(InterruptedBySignalError):
        engine.uploader.check()
    assert engine.stop.ending


def test_a_defect_in_a_worker_is_raised_too(engine: Engine, put: Hook) -> None:
    put.before = failing(ZeroDivisionError("ours"))
    engine.start()
    engine.offer("file", b"x")
    assert isinstance(engine.failure(), ZeroDivisionError)


# Halted ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, BIG])
def test_halting_cuts_what_hangs(engine: Engine, ceph: Ceph, size: int) -> None:
    """The proxy holds every answer; the workers end all the same."""
    with S3Proxy(ceph.http) as proxy:
        held = proxy.hold(operation("PutObject", "UploadPart"), times=99)
        engine.uploader.sender.wire = new_store(proxy.url, engine.bucket).wire()
        engine.start()
        for number in range(4):
            engine.offer(f"file {number}", data(size, number))
        assert held.reached.wait(60)
        engine.close()
        held.released.set()
    journal = Journal(engine.journal_path)
    assert (0, 4) == (sum(row.confirmed for row in journal.files()), journal.waiting)
    journal.close()


def test_halting_before_anything_was_started(engine: Engine) -> None:
    engine.uploader.halt()
    engine.uploader.halt()


def test_after_halting_nothing_is_sent(engine: Engine, put: Hook) -> None:
    engine.start()
    engine.uploader.halt()
    engine.offer("file", b"x")
    for thread in engine.uploader._threads:
        thread.join(60)
    assert [] == put.calls


# Parts that an earlier run has sent --------------------------------------------------------


def interrupted(engine: Engine, part: Hook) -> str:
    """Send two of three parts, fail at the third, and end; return the upload's id."""

    def refuse_third(*arguments: object) -> None:
        if arguments[2] == 3:
            eventually(lambda: 2 == len(engine.journal.parts(str(arguments[1]))))
            raise AnswerError(403, "AccessDenied", "")

    part.before = refuse_third
    engine.write("big", data(BIG))
    engine.conclude()
    engine.start()
    assert isinstance(engine.failure(), BackupError)
    upload = engine.journal.upload("big")
    assert upload
    engine.close()
    return upload.upload_id


def resumed(engine: Engine, pace: Pace = SMALL_PARTS) -> tuple[Engine, Hook]:
    again = Engine(engine.server, engine.bucket, engine.root, pace=pace)
    again.uploader.settle()
    return again, Hook.on(again, "upload_part")


def numbers(hook: Hook) -> list[int]:
    return sorted(call[2] for call in hook.calls)


def test_parts_that_were_sent_are_not_sent_again(engine: Engine, part: Hook) -> None:
    interrupted(engine, part)
    again, hook = resumed(engine)
    again.start().prove()
    assert ([3], 0) == (numbers(hook), again.uploads())
    again.close()


def test_parts_of_an_upload_that_is_gone(engine: Engine, part: Hook, ceph: Ceph) -> None:
    upload_id = interrupted(engine, part)
    ceph.client().abort_multipart_upload(
        Bucket=engine.bucket, Key=f"{DIRECTORY}/big", UploadId=upload_id
    )
    again, hook = resumed(engine)
    again.start().prove()
    assert ([1, 2, 3], 0) == (numbers(hook), again.uploads())
    again.close()


@pytest.mark.parametrize("overwritten", [False, True])
def test_an_upload_that_was_completed_right_before_the_kill(
    engine: Engine, part: Hook, ceph: Ceph, overwritten: bool
) -> None:
    """Its object is there, and no upload any more; unless something else has taken its place."""
    done = engine.uploader._multipart.complete

    def killed(key: str, upload_id: str, etags: list[str]) -> str:
        done(key, upload_id, etags)
        raise ZeroDivisionError

    engine.uploader._multipart.complete = killed  # type: ignore[method-assign]
    engine.write("big", data(BIG))
    engine.conclude()
    engine.start()
    engine.failure()
    engine.close()
    if overwritten:
        ceph.client().put_object(Bucket=engine.bucket, Key=f"{DIRECTORY}/big", Body=b"other")
    again, hook = resumed(engine)
    again.start().prove()
    assert ([1, 2, 3] if overwritten else [], 0) == (numbers(hook), again.uploads())
    again.close()


def test_a_part_that_the_store_has_otherwise(engine: Engine, part: Hook, ceph: Ceph) -> None:
    upload_id = interrupted(engine, part)
    ceph.client().upload_part(
        Bucket=engine.bucket,
        Key=f"{DIRECTORY}/big",
        UploadId=upload_id,
        PartNumber=1,
        Body=b"x" * (5 << 20),
    )
    again, hook = resumed(engine)
    again.start().prove()
    assert [1, 3] == numbers(hook)
    again.close()


@pytest.mark.parametrize(
    "wrong",
    [{"bytes": 1}, {"etag": "0" * 32}, {"sha256": "0" * 64}],
    ids=lambda one: next(iter(one)),
)
def test_a_part_that_the_journal_has_otherwise(
    engine: Engine, part: Hook, wrong: dict[str, str | int]
) -> None:
    upload_id = interrupted(engine, part)
    journal = Journal(engine.journal_path)
    known = next(one for one in journal.parts(upload_id) if one.number == 2)
    journal.confirm_part(upload_id, PartRow(**{**vars(known), **wrong}))
    journal.close()
    again, hook = resumed(engine)
    again.start().prove()
    assert [2, 3] == numbers(hook)
    again.close()


def test_a_part_that_only_the_store_has(engine: Engine, part: Hook) -> None:
    """Its bytes were never confirmed: they are sent again."""
    upload_id = interrupted(engine, part)
    journal = Journal(engine.journal_path)
    journal._db.execute("DELETE FROM parts WHERE upload_id = ? AND number = 1", (upload_id,))
    journal.close()
    again, hook = resumed(engine)
    again.start().prove()
    assert [1, 3] == numbers(hook)
    again.close()


def test_an_upload_of_other_bytes_is_aborted(engine: Engine, part: Hook) -> None:
    interrupted(engine, part)
    engine.write("big", data(BIG, 2))
    again = Engine(engine.server, engine.bucket, engine.root)
    again.conclude()
    again.start().prove()
    assert 0 == again.uploads()
    again.close()


def test_parts_of_another_size_are_not_mixed(engine: Engine, part: Hook) -> None:
    interrupted(engine, part)
    again, hook = resumed(engine, replace(SMALL_PARTS, part_bytes=6 << 20))
    again.start().prove()
    assert ([1, 2], 0) == (numbers(hook), again.uploads())
    again.close()
