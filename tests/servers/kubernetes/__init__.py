"""A real Kubernetes API server on loopback, with the controllers that make Pods of Jobs."""

from .client import Answer, Client, Object
from .needs import absent
from .server import KubernetesAPI

__all__ = ["Answer", "Client", "KubernetesAPI", "Object", "absent"]
