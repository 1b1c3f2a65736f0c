"""Runs that overlap on one GC row."""

import json
from pathlib import Path

from tests.export.conftest import Make
from tests.s3_proxy import S3Proxy, operation
from tests.servers import GC_COMMENT, GC_VALUE, Ceph, Database


def test_overlapping_runs_put_the_original_back(
    double: Make, shop: Database, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    """Defect 3 of the operator's manager: B takes A's 72h for the original."""
    gates = [tmp_path / name for name in ("a", "b")]
    volumes = [tmp_path / f"volume-{name}" for name in ("a", "b")]
    for path in volumes:
        path.mkdir()
    first = double(_gate(gates[0]), volume=volumes[0], name="a", gc_life_time="24h")
    second = double(_gate(gates[1]), volume=volumes[1], name="b", gc_life_time="48h")
    with first.start() as one:
        one.wait_for("GC is held off")
        assert "24h0m0s" == shop.gc_row()[0]
        with second.start() as two:
            two.wait_for("GC is held off")
            value, comment = shop.gc_row()
            assert "48h0m0s" == value
            assert 2 == len(json.loads(comment)["leases"])
            gates[0].touch()
            one.result(60).expect(0)
            # The first has left; the second still needs its own.
            assert "48h0m0s" == shop.gc_row()[0]
            gates[1].touch()
            two.result(60).expect(0)
    assert (GC_VALUE, GC_COMMENT) == shop.gc_row()


def test_a_killed_runs_lease_goes_with_the_next_run(
    double: Make, shop: Database, tmp_path: Path
) -> None:
    with double(_gate(tmp_path / "never")).start() as running:
        running.wait_for("dumping")
        running.kill()
    assert "72h0m0s" == shop.gc_row()[0]

    double().run().expect(0)

    assert (GC_VALUE, GC_COMMENT) == shop.gc_row()


def test_a_life_time_that_is_long_enough_is_not_raised(
    double: Make, shop: Database, tmp_path: Path
) -> None:
    update = "UPDATE mysql.tidb SET VARIABLE_VALUE = %s WHERE VARIABLE_NAME = 'tikv_gc_life_time'"
    shop.execute(update, ("100h",))
    gate = tmp_path / "gate"
    try:
        with double(_gate(gate)).start() as running:
            running.wait_for("dumping")
            value, comment = shop.gc_row()
            assert "100h" == value
            assert 1 == len(json.loads(comment)["leases"])  # others can see it all the same
            gate.touch()
            running.result(60).expect(0)
        assert ("100h", GC_COMMENT) == shop.gc_row()
    finally:
        shop.execute(update, (GC_VALUE,))


def test_the_lease_ends_as_soon_as_dumpling_does(
    double: Make, shop: Database, tmp_path: Path, proxy: S3Proxy
) -> None:
    hold = proxy.hold(operation("PutObject", containing=".0"))
    with double(endpoint=proxy.url).start() as running:
        running.wait_for("sending the rest")
        assert (GC_VALUE, GC_COMMENT) == shop.gc_row()
        hold.released.set()
        running.result(60).expect(0)


def _gate(path: Path) -> dict[str, object]:
    return {"gate": {"after_files": 1, "path": str(path)}}
