"""The metrics that a run is told by: a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backup_manager import __version__
from backup_manager.telling import Phase, State

PREFIX = "backup_manager_"
# What stays true until another run has ended, or another backup been published.
_LAST = "last_"

Values = float | Mapping[Phase, float] | Mapping[str, float] | None


@dataclass(frozen=True)
class Metric:
    """One metric: its name without the prefix, and how a state tells its value (None: not yet).

    Where it has a ``label``, there is a value for each of the label's. Counters are named without
    the ``_total`` of their samples, as in OpenMetrics.
    """

    name: str
    help: str
    value: Callable[[State], Values]
    unit: str = ""
    counter: bool = False
    label: str = ""

    @property
    def family(self) -> str:
        return PREFIX + self.name

    @property
    def sample(self) -> str:
        """The name by which Prometheus knows it."""
        return f"{self.family}_total" if self.counter else self.family

    @property
    def lasts(self) -> bool:
        """Whether it is of an earlier run until this one knows better."""
        return self.name.startswith(_LAST)


# Names: https://prometheus.io/docs/practices/naming/. Their help holds nothing of a run, and stays
# the same from version to version: node-exporter drops a metric that two files tell differently.
METRICS = (
    Metric(
        "phase",
        "1 for the phase that the run is in, 0 for the others; all are 0 once it has ended.",
        lambda state: {phase: float(phase is state.phase) for phase in Phase},
        label="phase",
    ),
    Metric(
        "phase_seconds",
        "Time that the run has spent in each phase.",
        lambda state: state.seconds,
        "seconds",
        label="phase",
    ),
    Metric(
        "dumped_rows",
        "Rows that Dumpling has written, as it last said; falls where it dumps a part again.",
        lambda state: state.figures.rows,
    ),
    Metric(
        "estimated_rows",
        "Rows that Dumpling expects in all.",
        lambda state: state.figures.rows_estimated,
    ),
    Metric(
        "dumped_bytes",
        "Size of what Dumpling has written, as it last said; before compression.",
        lambda state: state.figures.dumped_bytes,
        "bytes",
    ),
    Metric(
        "sent_files",
        "Files that the run has sent to the store.",
        lambda state: state.figures.files_sent,
        counter=True,
    ),
    Metric(
        "waiting_files",
        "Files on the volume that are not in the store yet.",
        lambda state: state.figures.files_waiting,
    ),
    Metric(
        "sent_bytes",
        "Size of what the store has taken from the run.",
        lambda state: state.traffic.sent_bytes,
        "bytes",
        counter=True,
    ),
    Metric(
        "sent_bytes_per_second",
        "Rate at which the store takes what is sent, over the last 15 to 30 seconds.",
        lambda state: state.bytes_per_second if state.phase else 0,
    ),
    Metric(
        "store_retries",
        "Times that the run has sent a file or a part of one again after a failure.",
        lambda state: state.traffic.retries,
        counter=True,
    ),
    Metric(
        "store_throttles",
        "Times that the run has halved its requests at once, as the store asked to slow down.",
        lambda state: state.traffic.throttles,
        counter=True,
    ),
    Metric(
        "resumed",
        "1 if the run goes on with the finished dump of an earlier one.",
        lambda state: state.resumed,
    ),
    Metric(
        "gc_held_off",
        "1 while the run has raised the GC life time and not put it back.",
        lambda state: state.gc_held_off,
    ),
    Metric(
        "run_start_timestamp_seconds",
        "When the run began.",
        lambda state: state.started,
        "seconds",
    ),
    Metric(
        "updated_timestamp_seconds",
        "When the run last told of itself.",
        lambda state: state.updated,
        "seconds",
    ),
    Metric(
        "last_run_timestamp_seconds",
        "When the last run ended.",
        lambda state: state.ended.at if state.ended else None,
        "seconds",
    ),
    Metric(
        "last_run_duration_seconds",
        "How long the last run took.",
        lambda state: state.ended.seconds if state.ended else None,
        "seconds",
    ),
    Metric(
        "last_run_exit_code",
        "Exit code of the last run; 0 means that a backup is complete.",
        lambda state: state.ended.exit_code if state.ended else None,
    ),
    Metric(
        "last_run_warnings",
        "Warnings in the result of the last run.",
        lambda state: state.ended.warnings if state.ended else None,
    ),
    Metric(
        "last_success_timestamp_seconds",
        "When the last backup was published.",
        lambda state: state.published.at if state.published else None,
        "seconds",
    ),
    Metric(
        "last_success_size_bytes",
        "Size of the last backup's files in the store.",
        lambda state: state.published.bytes if state.published else None,
        "bytes",
    ),
    Metric(
        "last_success_files",
        "Number of the last backup's files.",
        lambda state: state.published.files if state.published else None,
    ),
    Metric(
        "build_info",
        "1; the version of backup-manager that tells this.",
        lambda _: {__version__: 1.0},
        label="version",
    ),
)
