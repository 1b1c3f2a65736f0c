"""The command lines that TiDB Operator's Jobs have, and what a dry run shows of one."""

import json
import shlex
from dataclasses import dataclass

from tests.command import Export, Result
from tests.here import run_here

NAMESPACE, NAME = "test1", "demo1-backup-s3"


@dataclass(frozen=True)
class Shown:
    """What `--dry-run` prints: each setting as its text and its origin, and what is made of them.

    `facts` are the lines of the backup, the endpoint and Dumpling; `argv` is Dumpling's.
    """

    settings: dict[str, str]
    facts: list[str]
    argv: list[str]
    warnings: list[str]


class OperatorJob(Export):
    """`backup-manager export` as the Job has it: most of what counts is in the Backup object."""

    def shown(self, *further: str) -> Shown:
        """Run it in this process with `--dry-run`, which has to succeed."""
        argv = self.argv("--dry-run", *further)
        code, stdout, stderr = run_here(
            argv[argv.index("export") :], self.environment(), self.secrets
        )
        assert 0 == code, stdout + stderr
        *lines, last = stdout.splitlines()
        end = lines.index("")
        rows = [line.split(maxsplit=1) for line in lines[1:end]]
        settings = {name.removeprefix("--"): " ".join(rest.split()) for name, rest in rows}
        argv = shlex.split(lines[-1])
        return Shown(settings, lines[end + 1 : -1], argv, json.loads(last)["warnings"])

    def mistaken(self, command: str) -> Result:
        """Run a command that there is not, in this process, with the same flags."""
        argv = self.argv()
        words = [command, *argv[argv.index("export") + 1 :]]
        code, stdout, stderr = run_here(words, self.environment(), self.secrets)
        log = [json.loads(line) for line in stderr.splitlines()]
        return Result(words, code, stdout, stderr, json.loads(stdout), log, self.secrets)


class CleanJob(OperatorJob):
    """`backup-manager clean` as the Job has it: neither volume, database nor password."""

    def argv(self, *further: str) -> list[str]:
        words = super().argv(*further)
        words[words.index("export")] = "clean"
        return words

    def here(self, *further: str) -> Result:
        """Run it in this process, in a tenth of the time."""
        return self.refused(*further)
