"""What a hostile tester found: each was once a lie, a hang, or a wrong word."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.export.conftest import Make
from tests.export.state import assert_nothing, assert_only, left_on, records
from tests.s3_proxy import S3Proxy, operation
from tests.servers import GC_COMMENT, GC_VALUE, Ceph, Database

FAKE = """#!{python}
import os, sys, subprocess, time
if "--help" in sys.argv or "--version" in sys.argv:
    print("Release version: v8.5.1\\nDumpling, a fake one", file=sys.stderr)
    sys.exit(0)
options = dict(a[2:].split("=", 1) for a in sys.argv[1:] if a.startswith("--") and "=" in a)
os.chdir(options["output"].removeprefix("file://"))
open("shop-schema-create.sql", "w").write("CREATE DATABASE `shop`;\\n")
open("shop.orders-schema.sql", "w").write("CREATE TABLE `orders` (a INT);\\n")
open("shop.orders.000000000.sql", "w").write("INSERT INTO `orders` VALUES (1);\\n")
metadata = ("Started dump at: 2026-11-22 10:00:00\\nSHOW MASTER STATUS:\\n\\tLog: x\\n\\tPos: %s\\n"
    "\\tGTID:\\n\\nFinished dump at: 2026-11-22 10:00:01\\n" % options["snapshot"])
{misdeed}
open("metadata", "w").write(metadata)
"""


def fake(directory: Path, misdeed: str = "") -> Path:
    program = directory / "fake-dumpling"
    program.write_text(FAKE.format(python=sys.executable, misdeed=misdeed))
    program.chmod(0o755)
    return program


def test_a_dumpling_that_leaves_a_writer_behind(
    make: Make, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    child = "import time; f = open('shop.orders.000000300.sql', 'w'); f.write('half'); f.flush()"
    misdeed = (
        f'subprocess.Popen([sys.executable, "-c", "{child}; time.sleep(600)"],'
        " start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,"
        " stderr=subprocess.DEVNULL)\n"
        'while not os.path.exists("shop.orders.000000300.sql"): time.sleep(0.01)'
    )
    export = make(dumpling=fake(tmp_path, misdeed), table_filter=["shop.*"])

    result = export.run().expect(5)

    assert "goes on writing" in result.message
    assert_nothing(ceph, bucket)


@pytest.mark.parametrize("made", ["os.mkfifo", "os.mkdir"])
def test_metadata_that_is_no_file(make: Make, tmp_path: Path, made: str) -> None:
    misdeed = f'{made}("metadata"); sys.exit(0)'

    result = make(dumpling=fake(tmp_path, misdeed), table_filter=["shop.*"]).run().expect(6)

    assert "no regular file" in result.message


def test_what_the_store_lost_is_sent_again_by_the_next_run(
    make: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    export = make(dumpling=fake(tmp_path), table_filter=["shop.*"], endpoint=proxy.url)
    hold = proxy.hold(operation("ListObjectsV2", containing="prefix=nightly%2Fbackup-"))
    with export.start() as running:
        running.wait_until(hold.reached.is_set)
        answer = ceph.client().list_objects_v2(Bucket=bucket)
        lost = next(i["Key"] for i in answer["Contents"] if i["Key"].endswith("000.sql"))
        ceph.client().delete_object(Bucket=bucket, Key=lost)
        hold.times = 0
        hold.released.set()
        result = running.result(60).expect(8, "VerificationFailed")
    assert lost.rpartition("/")[2] in result.message
    assert [] == records(ceph, bucket)

    result = export.run().expect(0)

    assert result.summary["resumed"] is True
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_gc_that_passed_the_snapshot_while_dumpling_ran(
    double: Make, shop: Database, ceph: Ceph, bucket: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    # 2026-11-22 in a TSO's bits: old enough to be judged, young enough to be plausible.
    ((now,),) = shop.execute("SELECT UNIX_TIMESTAMP()")
    snapshot = (int(now) - 5) * 1000 << 18
    controls = {"gate": {"after_files": 1, "path": str(gate)}}
    export = double(controls, dumpling_option=[f"--snapshot={snapshot}"])
    try:
        with export.start() as running:
            running.wait_for("dumping")
            shop.execute(
                "REPLACE INTO mysql.tidb VALUES ('tikv_gc_safe_point',"
                " DATE_FORMAT(UTC_TIMESTAMP() + INTERVAL 1 HOUR, '%Y%m%d-%H:%i:%s +0000'), '')"
            )
            gate.touch()
            running.result(60).expect(4, "SnapshotLostToGC")
    finally:
        shop.execute("DELETE FROM mysql.tidb WHERE VARIABLE_NAME = 'tikv_gc_safe_point'")
    assert_nothing(ceph, bucket)
    assert (GC_VALUE, GC_COMMENT) == shop.gc_row()


@pytest.mark.parametrize("stderr", ["/dev/full", "a closed pipe"])
def test_a_log_that_nobody_takes_does_not_change_the_exit_code(double: Make, stderr: str) -> None:
    export = double()
    if stderr == "/dev/full":
        target = os.open(stderr, os.O_WRONLY)
    else:
        reader, target = os.pipe()
        os.close(reader)
    done = subprocess.run(
        export.argv(),
        env=export.environment(),
        stdout=subprocess.PIPE,
        stderr=target,
        check=False,
        timeout=60,
    )
    os.close(target)
    assert 0 == done.returncode
