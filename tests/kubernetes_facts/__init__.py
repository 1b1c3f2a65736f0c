"""What a kube-apiserver says to a backup's Job: the same for the real one and for its double.

Each fact takes a client with the operator's role, and a Backup that exists; it leaves it valid.
"""

from . import events, role, updates, validity
from .client import Client, Document, Fact, Reply, assert_status, events_of, path_of
from .events import event

FACTS: list[Fact] = [*updates.FACTS, *validity.FACTS, *role.FACTS, *events.FACTS]

__all__ = [
    "FACTS",
    "Client",
    "Document",
    "Fact",
    "Reply",
    "assert_status",
    "event",
    "events_of",
    "path_of",
]
