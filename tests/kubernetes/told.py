"""What a refusal says, and what the object's status and the events say of it."""

from tests.doubles.kubernetes_double import KubernetesDouble
from tests.running import Result, assert_no_secret

from .jobs import NAME


def assert_told(api: KubernetesDouble, result: Result) -> None:
    """The status and an event say what the summary says; nothing of a secret is there."""
    status = api.backup(NAME)["status"]
    condition = status["conditions"][-1]
    assert "Failed" == status["phase"] == condition["type"]
    assert "True" == condition["status"]
    assert (result.summary["reason"], result.message) == (condition["reason"], condition["message"])
    assert ("Warning", result.summary["reason"], result.message) == tuple(
        api.events[-1][field] for field in ("type", "reason", "message")
    )
    assert "backupPath" not in status
    for document in (*api.history(NAME), *api.events):
        assert_no_secret(result.secrets, "the cluster", repr(document).encode())


def assert_untouched(api: KubernetesDouble) -> None:
    assert 1 == len(api.history(NAME))
    assert [] == api.events


def assert_says(result: Result, *words: str) -> None:
    for word in words:
        assert word in result.message, result.message
    assert "To do: " in result.message
    assert "Traceback" not in result.stderr
