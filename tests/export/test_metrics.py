"""What monitoring hears of whole runs: at work, at a good end, at a bad one, and on SIGTERM."""

import stat
import time
from pathlib import Path

import pytest

from backup_manager.metrics.table import METRICS
from backup_manager.telling import Phase
from tests.export.conftest import Make
from tests.s3_proxy import Answer, S3Proxy, operation
from tests.servers import Database, missing
from tests.servers.prometheus import PUSHGATEWAY, Pushgateway, samples
from tests.test_metrics_sinks import gateway


def told(text: str) -> dict[str, float]:
    """The samples by their names, those of a phase as `name{phase}`."""
    found = {}
    for (name, labels), value in samples(text).items():
        phase = dict(labels).get("phase")
        found[f"{name}{{{phase}}}" if phase else name] = value
    return found


def phases(found: dict[str, float]) -> list[str]:
    return [phase for phase in Phase if found[f"backup_manager_phase{{{phase}}}"]]


def test_a_file_tells_of_a_backup_from_its_begin_to_the_end(
    double: Make, shop: Database, tmp_path: Path
) -> None:
    file, reached, release = (tmp_path / name for name in ("m.prom", "reached", "release"))
    # Before its end Dumpling stands still for long enough to be asked for its figures once more.
    hold = {"after_files": 2, "path": str(release), "reached": str(reached)}
    gate = {"gate": [hold, {"at": "metadata", "ms": 1500}]}
    before = time.time()
    with double(gate, metrics_file=file, name="daily-1", schedule="daily").start() as running:
        running.wait_until(reached.exists)
        running.wait_until(lambda: file.exists() and phases(told(file.read_text())) == ["dumping"])
        at_work = told(file.read_text())
        release.touch()
        result = running.result(60).expect(0)

    assert 1 == at_work["backup_manager_gc_held_off"]
    assert 0 < at_work["backup_manager_phase_seconds{connecting}"]
    assert 0 == at_work["backup_manager_phase_seconds{uploading}"]
    assert not [name for name in at_work if "_last_" in name]

    found = told(file.read_text())
    summary = result.summary
    assert 0o644 == stat.S_IMODE(file.stat().st_mode)
    assert {metric.sample for metric in METRICS} == {name.split("{")[0] for name in found}
    assert [] == phases(found)
    for phase in set(Phase) - {Phase.UNDOING}:
        assert 0 < found[f"backup_manager_phase_seconds{{{phase}}}"], phase
    assert 0 == found["backup_manager_phase_seconds{undoing}"]
    assert summary["files"] == found["backup_manager_last_success_files"]
    assert summary["bytes"] == found["backup_manager_last_success_size_bytes"]
    # All but `metadata` goes by the queue; what is sent last is metadata and manifest.
    assert summary["files"] - 1 == found["backup_manager_sent_files_total"]
    assert summary["bytes"] <= found["backup_manager_sent_bytes_total"]
    assert 1002 == found["backup_manager_dumped_rows"]
    assert 0 == found["backup_manager_waiting_files"]
    assert 0 == found["backup_manager_last_run_exit_code"] == found["backup_manager_gc_held_off"]
    at = found["backup_manager_last_success_timestamp_seconds"]
    assert int(before) <= at <= found["backup_manager_last_run_timestamp_seconds"] <= time.time()
    assert f'source="{shop.host}:{shop.port}"' in file.read_text()
    assert 'name="daily"' in file.read_text()

    failed = double(
        {"misdeed": "exit-1-at-end"}, metrics_file=file, name="daily-2", schedule="daily"
    )
    failed.run().expect(5)

    found = told(file.read_text())
    assert 5 == found["backup_manager_last_run_exit_code"]
    assert at == found["backup_manager_last_success_timestamp_seconds"]
    assert 0 < found["backup_manager_phase_seconds{undoing}"]
    assert 0 == found["backup_manager_gc_held_off"]
    assert [file] == [path for path in tmp_path.iterdir() if "prom" in path.name]


@pytest.mark.skipif(bool(missing(PUSHGATEWAY)), reason="no Pushgateway")
def test_a_pushgateway_is_told_of_retries_and_throttles(
    double: Make, proxy: S3Proxy, tmp_path: Path
) -> None:
    proxy.answer(operation("PutObject", containing=".0"), Answer.error("SlowDown", 503), times=3)
    with Pushgateway(tmp_path) as server:
        double(endpoint=proxy.url, pushgateway=server.url).run().expect(0)
        found = told(server.get())
        groups = server.groups()
    assert 3 == found["backup_manager_store_retries_total"]
    assert 1 <= found["backup_manager_store_throttles_total"] <= 3
    assert 0 == found["backup_manager_last_run_exit_code"]
    assert ["backup-manager"] == [group["job"] for group in groups]


def test_neither_a_silent_gateway_nor_a_file_that_cannot_be_hinders_a_backup(
    double: Make, tmp_path: Path
) -> None:
    file = tmp_path / "nowhere" / "m.prom"
    auth = tmp_path / "auth"
    auth.write_text("user:canary-of-the-gateway\n")
    with gateway(b"") as silent:
        export = double(metrics_file=file, pushgateway=silent.url, pushgateway_auth_file=auth)
        result = export.run().expect(0)
    warnings = [text for text in result.warnings if "tell how this run ended" in text]
    assert 2 == len(warnings)
    assert (
        f"the metrics file {file} does not tell how this run ended: No such file or directory"
    ) == warnings[0]
    assert f"the Pushgateway {silent.url} does not tell how this run ended" in warnings[1]
    assert "canary-of-the-gateway" not in result.stdout + result.stderr
    assert 0 < len(silent.requests)


def test_sigterm_is_told_and_not_held_up(double: Make, tmp_path: Path) -> None:
    file, reached = tmp_path / "m.prom", tmp_path / "reached"
    gate = {"gate": {"after_files": 2, "path": str(tmp_path / "never"), "reached": str(reached)}}
    with gateway(b"") as silent:
        running = double(gate, metrics_file=file, pushgateway=silent.url).start()
        with running:
            running.wait_until(reached.exists)
            running.terminate()
            running.result().expect(143)
    found = told(file.read_text())
    assert 143 == found["backup_manager_last_run_exit_code"]
    assert [] == phases(found)
    assert 0 == found["backup_manager_gc_held_off"]


def test_what_a_dry_run_and_a_wrong_setting_tell(double: Make, tmp_path: Path) -> None:
    file = tmp_path / "m.prom"
    double(metrics_file=file).run("--dry-run").expect(0)
    assert not file.exists()
    double(metrics_file=file).run("--no-data").expect(2)
    assert not file.exists()
    double(metrics_file=file, after=["--no-data"]).run().expect(2)
    assert 2 == told(file.read_text())["backup_manager_last_run_exit_code"]
