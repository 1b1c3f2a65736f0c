"""Progress as numbers: the gauges of /metrics and the progress line of the log."""

import threading
import time

from .log import Log

_HELP = {
    "dumpling_dump_channel_capacity": ("gauge", "The task channel capacity"),
    "dumpling_dump_error_count": ("counter", "Total errors"),
    "dumpling_dump_estimate_total_rows": ("counter", "Estimated rows of all tables"),
    "dumpling_dump_finished_rows": ("gauge", "Rows written"),
    "dumpling_dump_finished_size": ("gauge", "Bytes written, before compression"),
    "dumpling_dump_finished_tables": ("counter", "Tables written"),
    "dumpling_write_receive_chunk_duration_time_count": ("counter", "Chunks waited for"),
    "dumpling_write_write_duration_time_count": ("counter", "Files written"),
}


class Metrics:
    """Counts under a lock. Rows and size fall again when a chunk is retried."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values = dict.fromkeys(_HELP, 0.0)
        self._values["dumpling_dump_channel_capacity"] = 128
        # Error counters only appear with the first error, as a vector's children do.
        del self._values["dumpling_dump_error_count"]
        self.total_tables = 0
        # Rows as the summary counts them: those of a retried chunk twice (facts).
        self.summary_rows = 0

    def add(self, name: str, amount: float = 1) -> None:
        full = f"dumpling_dump_{name}" if f"dumpling_dump_{name}" in _HELP else f"dumpling_{name}"
        with self._lock:
            self._values[full] = self._values.get(full, 0.0) + amount

    def count_rows(self, rows: int) -> None:
        with self._lock:
            self._values["dumpling_dump_finished_rows"] += rows
            self.summary_rows += rows

    def get(self, name: str) -> int:
        with self._lock:
            return int(self._values.get(f"dumpling_dump_{name}", 0))

    def exposition(self) -> str:
        """Prometheus' text form, with what any Go process exposes beside it."""
        with self._lock:
            values = dict(self._values)
        lines = []
        for name, value in values.items():
            kind, text = _HELP[name]
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", f"{name} {value:.10g}"]
        lines += ["# TYPE go_goroutines gauge", f"go_goroutines {threading.active_count()}"]
        return "\n".join(lines) + "\n"


def human_size(size: float) -> str:
    """A size as docker/go-units writes it: four digits, powers of 1000."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.4g}{units[0]}"


def log_progress(metrics: Metrics, log: Log, interval: float) -> None:
    """Write the progress line every `interval` seconds, in a thread that dies with us."""

    def tick() -> None:
        last_size, last_time = 0.0, time.monotonic()
        while True:
            time.sleep(interval)
            now = time.monotonic()
            done, total = metrics.get("finished_tables"), metrics.total_tables
            size = metrics.get("finished_size")
            speed = (size - last_size) / 1048576 / (now - last_time)
            share = 100 * done / total if total else float("nan")
            fields: dict[str, str | int | float] = {
                "tables": f"{done}/{total} ({share:.1f}%)",
                "finished rows": metrics.get("finished_rows"),
                "estimate total rows": metrics.get("estimate_total_rows"),
                "finished size": human_size(size),
                "average speed(MiB/s)": speed,
            }
            log.write("info", "status.go:37", "progress", fields)
            last_size, last_time = size, now

    threading.Thread(target=tick, daemon=True).start()
