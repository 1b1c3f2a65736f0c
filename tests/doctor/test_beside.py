"""A doctor beside the very export that it stands for: it says so, and does no harm."""

from pathlib import Path

from tests.doctor.conftest import Examine
from tests.export.replays import replay
from tests.export.state import assert_only, left_on
from tests.servers import Ceph


def test_an_export_at_work_is_seen_and_left_alone(
    doctor: Examine, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path
) -> None:
    stands, go = tmp_path / "stands", tmp_path / "go"
    gate = {"gate": {"at": "metadata", "path": str(go), "reached": str(stands)}}
    well = doctor()
    well.export = well.export.with_double(replay(3, 1), gate)
    with well.export.start() as running:
        running.wait_until(stands.exists)

        found = well.run("--mend").expect(0)

        go.touch()
        result = running.result(60).expect(0)

    assert {"lock": "warning"} == found.unwell
    assert f"pid {running.pid}" in found.one("lock", "warning")["seen"]
    lease = result.directory[-8:]
    assert f"name ends with {lease}" in found.one("leases", "ok")["seen"]
    assert (
        f"{result.directory.rpartition('/')[2]} is at work" in found.one("leftovers", "ok")["seen"]
    )
    assert [] == result.warnings
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)
