"""What monitoring hears of a run: a file for node-exporter, and a Pushgateway.

See docs/metrics.md.
"""

from backup_manager.metrics.setup import metrics_sinks

__all__ = ["metrics_sinks"]
