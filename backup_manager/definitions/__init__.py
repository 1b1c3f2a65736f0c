"""Every setting as data: its flag, how its text is read, what it is without one; by command."""

from itertools import chain

from backup_manager.definitions.definition import Definition
from backup_manager.definitions.kubernetes import CLUSTER, OBJECT, RENDER
from backup_manager.definitions.life import OF_SCHEDULE, RETENTION, TABLES
from backup_manager.definitions.run import DATABASE, DUMP, LOG, METRICS, RUN, VOLUME
from backup_manager.definitions.store import OBJECTS, STORE

__all__ = ["DEFINITIONS", "GROUPS", "Definition", "Groups", "definitions_of"]

Groups = dict[str, tuple[Definition, ...]]

_EXPORT: Groups = {
    "Database": DATABASE,
    "Store": STORE,
    "Objects": OBJECTS,
    "Volume": VOLUME,
    "Dump": DUMP,
    "Run": RUN,
    "Retention": RETENTION,
    "Kubernetes": CLUSTER,
    "Metrics": METRICS,
    "Log": LOG,
}
# By command, each in the order in which --help and the manual page tell of its settings.
GROUPS: dict[str, Groups] = {
    "export": _EXPORT,
    "list": {"Store": STORE, "Log": LOG},
    "verify": {"Store": STORE, "Log": LOG},
    "prune": {"Store": STORE, "Retention": (*RETENTION, *OF_SCHEDULE), "Log": LOG},
    "clean": {"Store": STORE, "Kubernetes": OBJECT, "Log": LOG},
    "download": {"Store": STORE, "What": TABLES, "Log": LOG},
    "render": {"Kubernetes": RENDER, "Log": LOG},
    # The same as export's, so that its command line can be tried as it stands.
    "doctor": _EXPORT,
}


def definitions_of(command: str) -> tuple[Definition, ...]:
    """Return the settings of one command."""
    return tuple(chain.from_iterable(GROUPS[command].values()))


DEFINITIONS = definitions_of("export")
