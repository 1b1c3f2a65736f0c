"""What is written down about metrics is what the program tells; the alerts do what they say."""

import re

import pytest

from backup_manager.metrics.table import METRICS, PREFIX
from backup_manager.telling import Phase
from tests.command import ROOT
from tests.servers import missing
from tests.servers.prometheus import PROMTOOL, promtool

PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
ALERTS = ROOT / "docs" / "alerts.yaml"


def test_every_metric_is_documented_as_it_is() -> None:
    rows = re.findall(r"(?m)^\| `(backup_manager_\w+)` \| (\w+)(?:, by `(\w+)`)? \| (.+) \|$", PAGE)
    expected = [
        (metric.sample, "counter" if metric.counter else "gauge", metric.label, metric.help)
        for metric in METRICS
    ]
    assert expected == rows


def test_every_phase_is_documented_in_its_order() -> None:
    paragraph = PAGE.split("The phases, in their order:")[1].split("\n\n")[0]
    assert [str(phase) for phase in Phase] == re.findall(r"`(\w+)`", paragraph)


def test_the_alerts_are_made_of_metrics_that_are_told() -> None:
    text = ALERTS.read_text(encoding="utf-8")
    used = set(re.findall(rf"{PREFIX}\w+", text))
    assert used
    assert set() == used - {metric.sample for metric in METRICS}
    recorded = set(re.findall(r"- record: (\S+)", text))
    assert recorded == set(re.findall(r"backup_manager:[\w:]+", text))


def test_every_alert_is_documented_and_tested() -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="utf-8"))
    assert 5 == len(alerts)
    assert alerts == re.findall(r"(?m)^\| `(Backup\w+)` \|", PAGE)
    tested = (ROOT / "tests" / "alerts_test.yaml").read_text(encoding="utf-8")
    assert set(alerts) == set(re.findall(r"alertname: (\w+)", tested))


@pytest.mark.skipif(bool(missing(PROMTOOL)), reason="no promtool")
def test_the_alerts_fire_when_they_should() -> None:
    (command,) = re.findall(r"(?m)^promtool (check rules) (\S+)$", PAGE)
    assert "SUCCESS: 6 rules found" in promtool(*command[0].split(), str(ROOT / command[1]))
    assert "SUCCESS" in promtool("test", "rules", str(ROOT / "tests" / "alerts_test.yaml"))
