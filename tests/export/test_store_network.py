"""The line to the store is slow, breaks, goes silent or away; its name cannot be resolved."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.export.conftest import Make
from tests.export.names import NameServer
from tests.export.replays import COMPLETE, LISTING, RECORD, SMALL, from_then_on, replay
from tests.export.state import assert_only, left_on, records
from tests.s3_proxy import Chooser, S3Proxy, operation
from tests.servers import Ceph, Line, Toxiproxy, find_go

# The stall that a test waits for; what it does before must not take so long.
STALL = "2s"


@pytest.fixture(scope="module")
def toxiproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toxiproxy]:
    if find_go() is None:
        pytest.skip("not installed: go (scripts/install-packages)")
    with Toxiproxy(tmp_path_factory.mktemp("toxiproxy")) as server:
        yield server


@pytest.fixture
def line(toxiproxy: Toxiproxy, proxy: S3Proxy, unique: str) -> Line:
    """The line to the proxy before Ceph, which tells what has come through."""
    return toxiproxy.proxy(unique, proxy.url)


def test_every_answer_takes_long(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, line: Line
) -> None:
    with double(endpoint=line.url).start() as running:
        running.wait_for("dumping")
        line.toxic("latency", "upstream", latency=600)
        line.toxic("latency", "downstream", latency=600)
        result = running.result(120).expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_a_line_of_a_megabit(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, line: Line
) -> None:
    line.toxic("bandwidth", "upstream", rate=125)
    line.toxic("bandwidth", "downstream", rate=125)

    export = double(replay(1, size=600_000), endpoint=line.url, table_filter=[])
    result = export.run().expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_resets_in_the_middle_of_a_part(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, line: Line
) -> None:
    gate = tmp_path / "gate"
    controls = {"gate": {"at": "start", "path": str(gate)}}
    export = double(replay(1, 1), controls, endpoint=line.url, table_filter=[], log_level="debug")
    with export.start() as running:
        running.wait_for("dumping")
        # After that time from the first byte on; a part has far more than all buffers take.
        line.toxic("reset_peer", "upstream", timeout=50)
        gate.touch()
        running.wait_for(lambda event: "tried again" in event["event"] and event["attempt"] >= 3)
        line.remove("reset_peer", "upstream")
        result = running.result(60).expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_silences_that_end(
    double: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    proxy: S3Proxy,
    line: Line,
) -> None:
    gate = tmp_path / "gate"
    controls = {"gate": {"at": "start", "path": str(gate)}}
    held = [proxy.hold(chooser, times=1) for chooser in (COMPLETE, LISTING, RECORD)]
    export = double(replay(3, 1), controls, endpoint=line.url, table_filter=[], store_timeout="1s")
    with export.start() as running:
        running.wait_for("dumping")
        # Connections stay open, and no answer comes.
        line.toxic("timeout", "downstream", timeout=0)
        gate.touch()
        running.wait_until(lambda: 6 <= sum(map(SMALL, list(proxy.requests))))
        line.remove("timeout", "downstream")
        result = running.result(60).expect(0)

    assert all(each.reached.is_set() for each in held)
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


@pytest.mark.parametrize("chooser", [SMALL, LISTING, RECORD], ids=["data", "listing", "record"])
def test_a_silence_that_does_not_end(
    double: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    proxy: S3Proxy,
    chooser: Chooser,
) -> None:
    silent = proxy.hold(from_then_on(chooser))
    export = double(
        replay(3), endpoint=proxy.url, table_filter=[], store_timeout="1s", stall_timeout=STALL
    )

    result = export.run(timeout=60).expect(7)

    assert silent.reached.is_set()
    assert re.search("nothing has moved|timed out|timeout", result.message)
    assert [] == records(ceph, bucket)

    proxy.forget()
    result = export.run().expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


def test_a_store_that_is_gone_in_mid_upload(
    double: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    proxy: S3Proxy,
    line: Line,
) -> None:
    export = double(replay(5, 1), endpoint=line.url, table_filter=[], stall_timeout=STALL)
    hold = proxy.hold(operation("UploadPart", containing="partNumber=2"))
    with export.start() as running:
        running.wait_until(hold.reached.is_set)
        running.wait_for("sending the rest")
        line.disable()
        proxy.forget()
        result = running.result(60).expect(7)

    assert "refused" in result.message
    assert "--endpoint" in result.message
    assert [] == records(ceph, bucket)

    line.enable()
    result = export.run().expect(0)

    assert result.summary["resumed"] is True
    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)


@pytest.mark.skipif(os.geteuid() != 0, reason="port 53 and a mount namespace need root")
def test_a_name_that_cannot_be_resolved_for_a_while(
    double: Make, ceph: Ceph, bucket: str, volume: Path, tmp_path: Path, proxy: S3Proxy
) -> None:
    gate = tmp_path / "gate"
    controls = {"gate": {"at": "start", "path": str(gate)}}
    endpoint = f"http://store.test:{urlsplit(proxy.url).port}"
    export = double(replay(3, 1), controls, endpoint=endpoint, table_filter=[])
    with NameServer() as names:
        names.failing = True
        with names.start_export(export, tmp_path) as running:
            running.wait_until(lambda: names.failures > 0)
            names.failing = False
            running.wait_for("dumping")
            before = names.failures
            names.failing = True
            gate.touch()
            running.wait_until(lambda: names.failures > before + 4)
            names.failing = False
            result = running.result(60).expect(0)

    assert_only(ceph, bucket, result.directory, tmp_path)
    assert [] == left_on(volume)
