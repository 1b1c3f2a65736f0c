"""A state as text, and back.

The file is OpenMetrics 1.0 with gauges and counters only: node-exporter reads it as Prometheus'
text format (expfmt), to which `# UNIT` and `# EOF` are comments, and refuses a file with
timestamps, or with a type that is not in that format (info, stateset). A counter arrives there as
untyped, as its family has another name than its sample. Seen with node-exporter 1.5.0.
"""

import math
from collections.abc import Iterator, Mapping

# Imported with this module, which nobody imports unless metrics are asked for: it takes 0.1 s.
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from backup_manager.metrics.table import METRICS, Metric
from backup_manager.telling import Phase, State


class Told(Collector):
    """What there is to tell of a state, for prometheus-client.

    ``earlier`` fills in, by the names of samples, what this run does not know yet.
    """

    def __init__(
        self, state: State, labels: Mapping[str, str], earlier: Mapping[str, float] | None = None
    ) -> None:
        self._state = state
        self._labels = labels
        self._earlier = earlier or {}

    def collect(self) -> Iterator[Family]:
        for metric in METRICS:
            values = metric.value(self._state)
            if values is None:
                values = self._earlier.get(metric.sample)
            if values is not None:
                yield self._family(metric, values)

    def _family(
        self, metric: Metric, values: float | Mapping[Phase, float] | Mapping[str, float]
    ) -> Family:
        make = CounterMetricFamily if metric.counter else GaugeMetricFamily
        names = [*self._labels, metric.label] if metric.label else [*self._labels]
        family = make(metric.family, metric.help, labels=names, unit=metric.unit)
        each = values if isinstance(values, Mapping) else {"": values}
        for key, value in each.items():
            own = [key] if metric.label else []
            family.add_metric([*self._labels.values(), *own], float(value))
        return family


def render(state: State, labels: Mapping[str, str], earlier: Mapping[str, float]) -> bytes:
    """Return the metrics as OpenMetrics text."""
    text: bytes = generate_latest(Told(state, labels, earlier))  # type: ignore[no-untyped-call]  # it has no annotations
    return text


def earlier(text: str, labels: Mapping[str, str]) -> dict[str, float]:
    """Return what a text says of the last run and the last backup with these very labels.

    Raises ValueError where it is no such text.
    """
    lasting = {metric.sample for metric in METRICS if metric.lasts}
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in lasting and sample.labels == labels and math.isfinite(sample.value)
    }
