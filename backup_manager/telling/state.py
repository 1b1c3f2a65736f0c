"""What is known of a run at one moment."""

from dataclasses import dataclass, field
from enum import StrEnum

from backup_manager.progress import Figures


class Phase(StrEnum):
    """Where a run is, in the order of a backup; ``undoing`` comes after a failure."""

    CONNECTING = "connecting"
    PROBING = "probing"
    PREPARING = "preparing"
    DUMPING = "dumping"
    CHECKING = "checking"
    UPLOADING = "uploading"
    VERIFYING = "verifying"
    PUBLISHING = "publishing"
    CLEARING = "clearing"
    UNDOING = "undoing"


@dataclass(frozen=True)
class Traffic:
    """What went to the store: bytes as they lie there, and how often it had to be tried again."""

    sent_bytes: int = 0
    retries: int = 0
    throttles: int = 0


@dataclass(frozen=True)
class Ended:
    """How a run ended, at which Unix time, after how many seconds."""

    at: float
    exit_code: int
    seconds: float
    warnings: int
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Published:
    """The backup that a run has published, or found published; ``at`` is in Unix time.

    ``bytes`` are those of the dump's files, ``stored_bytes`` those that lie in the store for them:
    an archive is smaller. ``snapshot`` is a TSO.
    """

    at: float
    files: int
    bytes: int
    stored_bytes: int
    snapshot: str


@dataclass
class State:
    """A run at one moment; times are Unix times, ``seconds`` are those spent in each phase."""

    started: float
    updated: float
    phase: Phase | None = None
    seconds: dict[Phase, float] = field(default_factory=lambda: dict.fromkeys(Phase, 0.0))
    figures: Figures = field(default_factory=Figures)
    traffic: Traffic = Traffic()
    bytes_per_second: float = 0.0
    backup: str | None = None
    resumed: bool = False
    gc_held_off: bool = False
    published: Published | None = None
    ended: Ended | None = None
