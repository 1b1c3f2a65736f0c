"""A double of a kube-apiserver, for a client with the role of a backup's Job."""

from .double import KubernetesDouble, Seen
from .objects import FINALIZER, SCHEDULE_LABEL, backup_object
from .troubles import WRITTEN

__all__ = ["FINALIZER", "SCHEDULE_LABEL", "WRITTEN", "KubernetesDouble", "Seen", "backup_object"]
