"""What monitoring hears of a run: a file for node-exporter, and a Pushgateway. See docs/metrics.md.

Told while the run goes on and at its end, by threads of their own: a file that cannot be written or
a gateway that is away never fails a backup, and hardly delays its end.
"""

from backup_manager.metrics.setup import open_metrics
from backup_manager.metrics.state import Phase
from backup_manager.metrics.telling import Metrics

__all__ = ["Metrics", "Phase", "open_metrics"]
