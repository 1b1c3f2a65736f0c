"""The container of a Pod as a local process, PID 1 in its own PID namespace."""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tests.command import END_SECONDS
from tests.running import Result, Running, assert_no_secret
from tests.servers import wait_until


class Container(Running):
    """What `tests.running` says of a run, and its termination message."""

    def __init__(
        self,
        argv: list[str],
        environment: Mapping[str, str],
        secrets: Sequence[str],
        termination_log: Path,
    ) -> None:
        self._hidden = secrets
        self._termination_log = termination_log
        super().__init__(argv, environment, secrets)

    @property
    def first(self) -> int:
        """The pid, here, of its PID 1."""
        return first_child(self.pid)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.first, number)

    def kill(self) -> None:
        self._killed = True
        self.signal(signal.SIGKILL)
        self.process.wait()

    def result(self, timeout: float = END_SECONDS) -> Result:
        result = super().result(timeout)
        assert_no_secret(self._hidden, "the termination log", self.message.encode())
        # Kubernetes writes an end by a signal as 128 and its number. `unshare` hands on all but
        # SIGKILL, at which it fails.
        code = -signal.SIGKILL if self._killed else result.exit_code
        return replace(result, exit_code=code if code >= 0 else 128 - code)

    @property
    def message(self) -> str:
        """What the kubelet makes the terminated container's message of: the log's end."""
        return self._termination_log.read_bytes()[-4096:].decode(errors="replace")


def first_child(pid: int) -> int:
    """The child of `unshare`, which makes it when its namespaces are there."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    wait_until(lambda: bool(children.read_text()), seconds=10, what=f"{pid} has a child")
    return int(children.read_text().split()[0])
