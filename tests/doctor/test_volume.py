"""What lies on the volume is told, with what becomes of it; nothing is changed there."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from backup_manager.volume.directory import PROBE
from backup_manager.volume.lock import IdentityLock
from backup_manager.volume.runs import Run, lock_path
from tests.doctor.conftest import Examine
from tests.doctor.examination import Doctor

OTHER = "0123456789abcdef"
COMMAND = "backup-manager export --name=other"
FACTS = {"command": COMMAND, "source_address": "elsewhere:4000"}


def content(volume: Path) -> dict[str, Any]:
    """Every file and directory, with its times and what is in it."""
    found = {}
    for path in sorted(volume.rglob("*")):
        state = path.lstat()
        data = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(volume))] = (state.st_ino, state.st_mtime_ns, data)
    return found


def leave(volume: Path, identity: str = OTHER, **facts: str) -> Run:
    """What a run leaves that was killed; with ``dumped``, its dump was finished."""
    run = Run.create(volume, identity, key=lambda name: name, facts={**FACTS, **facts})
    if "dumped" in facts:
        run.journal.remember(digest=run.journal.digest())
    run.close()
    return run


def identity_of(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> str:
    """The identity of the export that the doctor examines."""
    seen = []

    def look(path: Path) -> None:
        seen.append(path.stem)

    with monkeypatch.context() as patch:
        patch.setattr("backup_manager.doctor.local.holder_of", look)
        doctor.run().expect(0)
    (identity,) = seen
    return str(identity)


def test_a_run_at_work_is_a_warning_and_not_waited_for(
    doctor: Examine, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = doctor(lock_timeout="30m")
    identity = identity_of(well, monkeypatch)
    run = leave(volume, identity)
    lock = IdentityLock(lock_path(volume, identity))
    assert lock.try_acquire({"host": "pod-1", "pid": "1"})
    before = content(volume)

    found = well.run().expect(0)

    assert {"lock": "warning"} == found.unwell
    warning = found.one("lock", "warning")
    assert "another run of this backup is at work (host pod-1, pid 1)" == warning["seen"]
    assert "waits 30m0s for it" in warning["fix"]
    name = run.place.path.name
    assert f"{name} is at work (host pod-1, pid 1)" == found.one("leftovers", "ok")["seen"]
    assert before == content(volume)
    lock.release()


@pytest.mark.parametrize(
    ("facts", "seen", "fix"),
    [
        ({}, "is unfinished", "the next export removes it"),
        ({"dumped": "now"}, "is a finished dump, ", f"this publishes it: {COMMAND}"),
        ({"dumped": "now", "reported": "true"}, "was published, but not", "the next export"),
        ({"dumped": "now", "superseded": "true"}, "was made for nothing", "the next export"),
    ],
    ids=["unfinished", "finished", "published", "superseded"],
)
def test_what_another_backup_has_left(
    doctor: Examine, volume: Path, facts: dict[str, str], seen: str, fix: str
) -> None:
    name = leave(volume, **facts).place.path.name
    before = content(volume)

    warning = doctor().run().expect(0).one("leftovers", "warning")

    assert warning["seen"].startswith(f"{name} {seen}")
    assert fix in warning["fix"]
    assert before == content(volume)


def test_a_finished_dump_of_this_very_backup_is_gone_on_with(
    doctor: Examine, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = doctor()
    leave(volume, identity_of(well, monkeypatch), dumped="now")

    assert "it goes on with this dump" in well.run().one("leftovers", "warning")["fix"]
    fix = well.but(no_resume=True).run().one("leftovers", "warning")["fix"]
    assert f"this publishes it: {COMMAND}" in fix


def test_a_journal_that_cannot_be_read(doctor: Examine, volume: Path) -> None:
    run = leave(volume)
    run.place.journal.write_bytes(b"no journal")
    before = content(volume)

    warning = doctor().run().expect(0).one("leftovers", "warning")

    assert "its journal cannot be read" in warning["seen"]
    assert before == content(volume)


def test_a_volume_that_was_copied(doctor: Examine, volume: Path) -> None:
    journal = leave(volume).place.journal
    journal.write_bytes(journal.rename(journal.with_name("before")).read_bytes())

    warning = doctor().run().expect(0).one("leftovers", "warning")

    assert "came with a copy of another volume" in warning["seen"]


def test_what_a_killed_doctor_has_left_goes(doctor: Examine, volume: Path) -> None:
    for name in ("4711", "ffff.lock"):
        (volume / f"{PROBE}-{name}").touch()

    doctor().run().expect(0)

    assert {} == content(volume)


def test_a_journal_that_is_in_use_is_not_waited_for(doctor: Examine, volume: Path) -> None:
    """It is only looked at: SQLite's own lock neither holds the doctor up, nor is it taken."""
    run = Run.create(volume, OTHER, key=lambda name: name, facts=FACTS)

    assert "is unfinished" in doctor().run().expect(0).one("leftovers", "warning")["seen"]

    run.journal.remember(dumped="now")
    run.close()


def test_a_lock_that_cannot_be_looked_at_hides_no_other_run(doctor: Examine, volume: Path) -> None:
    odd, killed = leave(volume), leave(volume, "f" * 16)
    lock_path(volume, OTHER).symlink_to("nowhere")

    found = doctor().run().expect(0).of("leftovers", "warning")

    seen = {each["seen"].partition(" ")[0].rstrip(":"): each["seen"] for each in found}
    assert "cannot be looked at" in seen[odd.place.path.name]
    assert "is unfinished" in seen[killed.place.path.name]
