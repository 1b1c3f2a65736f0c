"""`backup-manager doctor` with an export's settings, run in this process, and what it found."""

import io
import json
import os
import signal
from contextlib import redirect_stderr, redirect_stdout
from copy import copy
from dataclasses import dataclass
from typing import Any, Self
from unittest.mock import patch

from backup_manager import cli
from backup_manager.signals import Stop
from tests.command import Export
from tests.export.state import keys, open_uploads
from tests.running import SUMMARY_FIELDS, Running, assert_no_secret
from tests.servers import S3Server
from tests.servers.process import program

FINDING_FIELDS = ["check", "verdict", "seen", "fix", "reason", "exit_code"]


@dataclass(frozen=True)
class Diagnosis:
    """What one run came to; ``findings`` as ``--json`` prints them."""

    exit_code: int
    stdout: str
    stderr: str
    findings: list[dict[str, Any]]
    summary: dict[str, Any]

    def expect(self, exit_code: int, reason: str | None = None) -> Self:
        same = exit_code == self.exit_code
        same = same and (reason is None or reason == self.summary["reason"])
        assert same, f"expected {exit_code} {reason}:\n{self.stdout}\n{self.stderr}"
        return self

    def of(self, check: str, verdict: str | None = None) -> list[dict[str, Any]]:
        return [
            each
            for each in self.findings
            if each["check"] == check and verdict in {None, each["verdict"]}
        ]

    def one(self, check: str, verdict: str) -> dict[str, Any]:
        """The one finding of a check, which has this verdict."""
        found = self.of(check)
        assert [verdict] == [each["verdict"] for each in found], found
        return found[0]

    @property
    def failed(self) -> list[str]:
        return [each["check"] for each in self.findings if each["verdict"] == "failed"]

    @property
    def unwell(self) -> dict[str, str]:
        """The verdicts that are not ok, by check."""
        return {each["check"]: each["verdict"] for each in self.findings if each["verdict"] != "ok"}


class Doctor:
    """The doctor of one export."""

    def __init__(self, export: Export, store: S3Server, bucket: str) -> None:
        self.export = export
        self._store, self._bucket = store, bucket

    def but(self, **changes: Any) -> Self:
        other = copy(self)
        other.export = self.export.but(**changes)
        return other

    def words(self, *further: str) -> list[str]:
        """The command line of the export, with the word changed."""
        argv = self.export.argv()
        words = argv[argv.index("export") :]
        assert "export" == words[0]
        return ["doctor", *further, *words[1:]]

    def run(self, *further: str, stop: Stop | None = None) -> Diagnosis:
        """Run it, and see that what it says agrees with itself."""
        found = self.run_words(self.words("--json", *further), stop=stop)
        for finding in found.findings:
            assert FINDING_FIELDS == list(finding)
            assert finding["seen"]
            assert (finding["verdict"] in {"failed", "warning"}) == bool(finding["fix"]), finding
            failed = finding["verdict"] == "failed"
            assert failed == (finding["exit_code"] is not None) == (finding["reason"] is not None)
        if found.exit_code < 128:
            first = next((each for each in found.findings if each["verdict"] == "failed"), None)
            expected = (first["exit_code"], first["reason"]) if first else (0, "Complete")
            assert expected == (found.exit_code, found.summary["reason"]), found.stderr
        warned = [each for each in found.findings if each["verdict"] == "warning"]
        if found.exit_code < 128:
            assert len(warned) == len(found.summary["warnings"])
        return found

    def run_words(self, words: list[str], *, stop: Stop | None = None) -> Diagnosis:
        out, err = io.StringIO(), io.StringIO()
        mask = os.umask(0o077)
        try:
            with (
                patch.dict(os.environ, self.export.environment(), clear=True),
                redirect_stdout(out),
                redirect_stderr(err),
            ):
                code = cli.run(words, stop or Stop())
        finally:
            os.umask(mask)
        stdout, stderr = out.getvalue(), err.getvalue()
        for name, text in (("stdout", stdout), ("stderr", stderr)):
            assert_no_secret(self.export.secrets, name, text.encode())
        *lines, last = stdout.splitlines()
        summary = json.loads(last)
        assert SUMMARY_FIELDS == summary.keys()
        assert (code, "failed" if code else "complete") == (summary["exit_code"], summary["status"])
        found = [json.loads(line) for line in lines] if "--json" in words else []
        return Diagnosis(code, stdout, stderr, found, summary)

    def start(self, *further: str) -> Running:
        """Start it as a process of its own."""
        argv = self.export.argv()
        before = argv[: argv.index("export")]
        wrapped = [program("setpriv"), "--pdeathsig", "KILL", "--", *before, *self.words(*further)]
        running = Running(wrapped, self.export.environment(), self.export.secrets)
        running.keep = self.export
        return running

    def assert_nothing_left(self) -> None:
        """Nothing of it is in the bucket or on the volume."""
        assert [] == keys(self._store, self._bucket)
        assert [] == open_uploads(self._store, self._bucket)
        if self.export.volume.is_dir():
            assert [] == sorted(self.export.volume.iterdir())


def stopped() -> tuple[Stop, Any]:
    """A wish to stop, and what makes it, called with anything: SIGTERM."""
    stop = Stop()
    return stop, lambda *_: stop.request(signal.SIGTERM)
