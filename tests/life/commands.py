"""The commands on backups that are there: run in this process, or as one of their own.

    said = Life(shelf).run("list", "--json").expect(0)

In this process it takes a tenth of the time. Signals, and a process that is killed, need `start`.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tests.command import Result, Running, assert_no_secret
from tests.here import run_here
from tests.life.backups import Shelf


@dataclass(frozen=True)
class Life:
    """How to reach a shelf; `endpoint` is another address of its server, `environment` is more."""

    shelf: Shelf
    endpoint: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def but(self, **changes: Any) -> Self:
        return replace(self, **changes)

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "backup_manager", *words]

    def variables(self) -> dict[str, str]:
        """The environment of a run; nothing of ours reaches it."""
        server = self.shelf.server
        return {
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "BACKUP_MANAGER_ENDPOINT": self.endpoint or server.http,
            "BACKUP_MANAGER_REGION": "us-east-1",
            "BACKUP_MANAGER_BUCKET": self.shelf.bucket,
            "BACKUP_MANAGER_PREFIX": self.shelf.prefix,
            **self.environment,
        }

    def run(self, *words: str) -> Result:
        """Run a command in this process; the result's `summary` is empty where there is none."""
        return self._result(words, *run_here(words, self.variables()))

    def _result(self, words: tuple[str, ...], code: int, stdout: str, stderr: str) -> Result:
        secrets = [self.shelf.server.secret_key]
        assert_no_secret(secrets, "what was said", (stdout + stderr).encode())
        summary = {} if words[0] == "list" else json.loads(stdout.splitlines()[-1])
        assert words[0] == "list" or code == summary["exit_code"]
        log = [json.loads(line) for line in stderr.splitlines()]
        return Result(list(words), code, stdout, stderr, summary, log, secrets)

    def start(self, *words: str) -> Running:
        """Start a command as a process of its own."""
        return Running(self.argv(*words), self.variables(), [self.shelf.server.secret_key])
