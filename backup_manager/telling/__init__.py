"""A run tells of itself, while it goes on and at its end, in each place where somebody listens.

Each place is told by a thread of its own: one that is away never fails a backup, and hardly delays
its end.
"""

from backup_manager.telling.state import Ended, Phase, Published, State, Traffic
from backup_manager.telling.telling import Sink, Telling

__all__ = ["Ended", "Phase", "Published", "Sink", "State", "Telling", "Traffic"]
