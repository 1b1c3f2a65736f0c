"""The metrics as text: the formats that it must be, who reads it, and what is read back."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus_text

from backup_manager import __version__
from backup_manager.metrics.table import METRICS
from backup_manager.metrics.text import Told, earlier, render
from backup_manager.progress import Figures
from backup_manager.telling import Ended, Phase, Published, State, Traffic
from tests.servers import missing, program
from tests.servers.prometheus import NODE_EXPORTER, PROMTOOL, NodeExporter, samples

LABELS = {"source": "tidb:4000", "destination": "s3://backups/demo1", "name": "demo1"}
STATE = State(
    started=1_700_000_000.0,
    updated=1_700_000_100.0,
    phase=Phase.DUMPING,
    seconds=dict.fromkeys(Phase, 0.0) | {Phase.CONNECTING: 1.5, Phase.DUMPING: 90.25},
    figures=Figures(
        rows=1000,
        rows_estimated=2000,
        dumped_bytes=3 << 40,
        files_sent=4,
        files_waiting=5,
    ),
    traffic=Traffic(sent_bytes=6 << 40, retries=7, throttles=8),
    bytes_per_second=9.5,
    resumed=True,
    gc_held_off=True,
)
ENDED = replace(
    STATE,
    phase=None,
    gc_held_off=False,
    published=Published(
        at=1_700_000_190.0, files=10, bytes=11 << 40, stored_bytes=11 << 40, snapshot="1"
    ),
    ended=Ended(at=1_700_000_200.0, exit_code=0, seconds=200.5, warnings=1),
)


def by_name(text: str) -> dict[str, float]:
    """The samples without a label of their own."""
    found = samples(text)
    return {name: value for (name, labels), value in found.items() if dict(labels) == LABELS}


def test_every_value_is_told_by_its_name() -> None:
    text = render(ENDED, LABELS, {}).decode()
    assert {
        "backup_manager_dumped_rows": 1000,
        "backup_manager_estimated_rows": 2000,
        "backup_manager_dumped_bytes": 3 << 40,
        "backup_manager_sent_files_total": 4,
        "backup_manager_waiting_files": 5,
        "backup_manager_sent_bytes_total": 6 << 40,
        "backup_manager_store_retries_total": 7,
        "backup_manager_store_throttles_total": 8,
        "backup_manager_sent_bytes_per_second": 0,
        "backup_manager_resumed": 1,
        "backup_manager_gc_held_off": 0,
        "backup_manager_run_start_timestamp_seconds": 1_700_000_000,
        "backup_manager_updated_timestamp_seconds": 1_700_000_100,
        "backup_manager_last_run_timestamp_seconds": 1_700_000_200,
        "backup_manager_last_run_duration_seconds": 200.5,
        "backup_manager_last_run_exit_code": 0,
        "backup_manager_last_run_warnings": 1,
        "backup_manager_last_success_timestamp_seconds": 1_700_000_190,
        "backup_manager_last_success_size_bytes": 11 << 40,
        "backup_manager_last_success_files": 10,
    } == by_name(text)


def test_the_phase_is_a_set_of_states() -> None:
    found = samples(render(STATE, LABELS, {}).decode())
    phases = {
        dict(labels)["phase"]: value
        for (name, labels), value in found.items()
        if name == "backup_manager_phase"
    }
    assert {str(phase): float(phase == "dumping") for phase in Phase} == phases
    key = "backup_manager_phase_seconds", frozenset({**LABELS, "phase": "dumping"}.items())
    assert 90.25 == found[key]
    version = frozenset({**LABELS, "version": __version__}.items())
    assert 1 == found["backup_manager_build_info", version]
    assert (
        9.5 == by_name(render(STATE, LABELS, {}).decode())["backup_manager_sent_bytes_per_second"]
    )


def test_it_is_sound_open_metrics() -> None:
    text = render(ENDED, LABELS, {}).decode()
    assert text.endswith("# EOF\n")
    families = {family.name: family for family in open_metrics(text)}  # type: ignore[no-untyped-call]  # it has no annotations
    assert {metric.family for metric in METRICS} == set(families)
    for metric in METRICS:
        family = families[metric.family]
        assert ("counter" if metric.counter else "gauge") == family.type
        assert (metric.help, metric.unit) == (family.documentation, family.unit)
        assert {metric.sample} == {sample.name for sample in family.samples}
        assert all(sample.timestamp is None for sample in family.samples)


def test_names_follow_the_conventions() -> None:
    for metric in METRICS:
        assert metric.name.endswith(metric.unit)
        assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket", "_created"))
        assert metric.help.endswith(".")
    assert len(METRICS) == len({metric.name for metric in METRICS})


@pytest.mark.skipif(bool(missing(PROMTOOL)), reason="no promtool")
def test_promtool_finds_nothing_to_say() -> None:
    # What a Pushgateway gets: promtool reads Prometheus' text format, where counters differ.
    text = generate_latest(Told(ENDED, LABELS)).decode()
    done = subprocess.run(
        [program(PROMTOOL), "check", "metrics"],
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(bool(missing(NODE_EXPORTER)), reason="no node-exporter")
def test_node_exporter_tells_all_that_two_files_hold(tmp_path: Path) -> None:
    collected = tmp_path / "collected"
    collected.mkdir()
    other = {"source": "other:4000", "destination": "s3://b/q"}
    texts = [render(ENDED, LABELS, {}), render(STATE, other, {})]
    for number, text in enumerate(texts):
        (collected / f"backup-{number}.prom").write_bytes(text)
    with NodeExporter(collected, tmp_path) as exporter:
        page = exporter.get()
        families = exporter.families()
    assert "\nnode_textfile_scrape_error 0\n" in page
    # It fills in labels that only other samples of the family have.
    expected = {**samples(texts[0].decode()), **samples(texts[1].decode())}
    found = {
        (name, frozenset(label for label in labels if label[1])): value
        for (name, labels), value in samples(page).items()
    }
    assert expected == found
    assert METRICS[0].help == families["backup_manager_phase"].documentation


def test_what_lasts_is_found_again() -> None:
    text = render(ENDED, LABELS, {}).decode()
    kept = earlier(text, LABELS)
    assert {metric.sample for metric in METRICS if metric.lasts} == set(kept)
    now = State(started=1_800_000_000.0, updated=1_800_000_000.0, phase=Phase.CONNECTING)
    again = by_name(render(now, LABELS, kept).decode())
    assert 1_700_000_190 == again["backup_manager_last_success_timestamp_seconds"]
    assert 0 == again["backup_manager_last_run_exit_code"]
    assert 0 == again["backup_manager_sent_bytes_total"]


def test_what_this_run_knows_comes_first() -> None:
    kept = earlier(render(ENDED, LABELS, {}).decode(), LABELS)
    failed = replace(
        STATE, phase=None, ended=Ended(at=1_800_000_000.0, exit_code=7, seconds=5, warnings=0)
    )
    again = by_name(render(failed, LABELS, kept).decode())
    assert 7 == again["backup_manager_last_run_exit_code"]
    assert 1_700_000_190 == again["backup_manager_last_success_timestamp_seconds"]
    assert 10 == again["backup_manager_last_success_files"]


def test_without_an_earlier_run_nothing_is_made_up() -> None:
    text = render(STATE, LABELS, {}).decode()
    assert "last_" not in text


def test_another_backups_file_says_nothing_of_this_one() -> None:
    text = render(ENDED, LABELS, {}).decode()
    assert {} == earlier(text, LABELS | {"source": "other:4000"})
    assert {} == earlier(text, {"source": "tidb:4000"})
    assert {} == earlier("backup_manager_last_success_files NaN\n", {})


@given(st.dictionaries(st.sampled_from(["source", "destination", "name"]), st.text(min_size=1)))
def test_any_label_comes_back(labels: dict[str, str]) -> None:
    text = render(ENDED, labels, {}).decode()
    for parse in (open_metrics, prometheus_text):
        (files,) = (
            sample.labels
            for family in parse(text)
            for sample in family.samples
            if sample.name == "backup_manager_last_success_files"
        )
        assert labels == files
