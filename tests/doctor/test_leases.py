"""Who holds GC off, and what --mend removes of it: never what lives."""

import json
import re
import shlex
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from backup_manager.database.lease_document import Document, Original
from backup_manager.volume.lock import IdentityLock
from backup_manager.volume.runs import Run, lock_path
from tests.doctor.conftest import Examine
from tests.servers import GC_COMMENT, GC_VALUE, Database

pytestmark = pytest.mark.usefixtures("gc_put_back")

RAISED = "72h0m0s"
ORIGINAL = Original(GC_VALUE, GC_COMMENT, RAISED)
IDENTITY = "0123456789abcdef"
DEAD, LIVING = "dddddddd", "aaaaaaaa"


def hold(patient: Database, **leases: int) -> tuple[str, str]:
    """Have leases in the row that end so many seconds from now; return the row."""
    now = time.time()
    ends = {lease: round(now + seconds) for lease, seconds in leases.items()}
    row = (RAISED, Document(ORIGINAL, ends).encode())
    write(patient, *row)
    return row


def write(patient: Database, value: str, comment: str) -> None:
    sql = "REPLACE INTO mysql.tidb VALUES ('tikv_gc_life_time', %s, %s)"
    patient.execute(sql, (value, comment))


def killed_run(volume: Path, source: str) -> str:
    """A run that was killed while it held a lease; return the lease's id."""
    facts = {"source_address": source, "gc_original": json.dumps(asdict(ORIGINAL))}
    run = Run.create(volume, IDENTITY, key=lambda name: name, facts=facts)
    run.close()
    return run.short_id


def test_a_dead_lease_is_told_with_the_command_that_mends_it(
    doctor: Examine, patient: Database
) -> None:
    row = hold(patient, **{DEAD: -3600})
    sick = doctor(name="it's mine", after=["--threads=2"])

    found = sick.run().expect(0)

    warning = found.one("leases", "warning")
    assert re.search(rf"name ends with {DEAD} \(ended (59m5\d|1h0m\d+)s ago\);", warning["seen"])
    assert f"tikv_gc_life_time stays {RAISED} for it, and was {GC_VALUE}" in warning["seen"]
    assert row == patient.gc_row()
    program, *words = shlex.split(warning["fix"])
    assert ("backup-manager", "--mend") == (program, words[1])

    mended = sick.run_words([words[0], "--json", *words[1:]]).expect(0)

    seen = mended.one("leases", "ok")["seen"]
    assert f"removed the dead lease {DEAD}; tikv_gc_life_time is {GC_VALUE} again" == seen
    assert (GC_VALUE, GC_COMMENT) == patient.gc_row()
    assert "nobody holds GC off" == sick.run("--mend").one("leases", "ok")["seen"]


def test_a_living_lease_is_never_touched(doctor: Examine, patient: Database) -> None:
    row = hold(patient, **{LIVING: 600})

    for words in ([], ["--mend"]):
        seen = doctor().run(*words).expect(0).one("leases", "ok")["seen"]
        assert f"the one whose name ends with {LIVING}: its lease ends in " in seen
        assert row == patient.gc_row()


def test_of_two_leases_the_dead_one_is_removed(doctor: Examine, patient: Database) -> None:
    hold(patient, **{LIVING: 600, DEAD: -1})

    found = doctor().run("--mend").expect(0)

    assert ["ok", "ok"] == [each["verdict"] for each in found.of("leases")]
    assert found.of("leases")[1]["seen"] == (
        f"removed the dead lease {DEAD}; tikv_gc_life_time stays {RAISED} for the 1 that live"
    )
    value, comment = patient.gc_row()
    assert (RAISED, [LIVING]) == (value, list(json.loads(comment)["leases"]))


def test_the_lease_of_a_killed_run_on_this_volume_is_dead_at_once(
    doctor: Examine, patient: Database, volume: Path
) -> None:
    lease = killed_run(volume, "elsewhere:4000")
    hold(patient, **{lease: 800})

    warning = doctor().run().expect(0).one("leases", "warning")
    assert f"{lease} (killed: nobody holds its journal on the volume)" in warning["seen"]

    doctor().run("--mend").expect(0)
    assert (GC_VALUE, GC_COMMENT) == patient.gc_row()


@pytest.mark.parametrize("why", ["held", "copied"])
def test_a_run_on_this_volume_that_may_be_at_work_keeps_its_lease(
    doctor: Examine, patient: Database, volume: Path, why: str
) -> None:
    lease = killed_run(volume, "elsewhere:4000")
    row = hold(patient, **{lease: 800})
    lock = IdentityLock(lock_path(volume, IDENTITY))
    if why == "held":
        assert lock.try_acquire({"host": "pod-1"})
    else:
        journal = next(volume.glob("*/journal.sqlite"))
        journal.write_bytes(journal.rename(journal.with_name("before")).read_bytes())

    found = doctor().run("--mend").expect(0)
    lock.release()

    assert f"ends with {lease}" in found.one("leases", "ok")["seen"]
    assert row == patient.gc_row()


def test_a_lease_that_was_overwritten_gets_one_more_term(
    doctor: Examine, patient: Database, volume: Path
) -> None:
    """SET GLOBAL wipes COMMENT: living runs may stand behind the value, and need time to say so."""
    lease = killed_run(volume, f"{patient.host}:{patient.port}")
    write(patient, RAISED, GC_COMMENT)

    warning = doctor().run().expect(0).one("leases", "warning")
    assert f"a dead run has left tikv_gc_life_time at {RAISED}" in warning["seen"]
    assert (RAISED, GC_COMMENT) == patient.gc_row()

    again = doctor().run("--mend").expect(0).one("leases", "warning")
    assert "--mend" in again["fix"]
    assert [lease] == list(json.loads(patient.gc_row()[1])["leases"])

    doctor().run("--mend").expect(0)
    assert (GC_VALUE, GC_COMMENT) == patient.gc_row()


def test_what_cannot_be_mended_is_a_failure(
    doctor: Examine, patient: Database, unique: str
) -> None:
    row = hold(patient, **{DEAD: -5})
    grants = ("SELECT, REPLICATION CLIENT ON *.*",)
    patient.create_account(unique, "canary", grants=grants)

    found = doctor(user=unique, password="canary").run("--mend").expect(4, "PrivilegeMissing")

    assert ["privileges", "leases"] == found.failed
    assert "GRANT UPDATE ON mysql.tidb" in found.one("leases", "failed")["fix"]
    assert row == patient.gc_row()
