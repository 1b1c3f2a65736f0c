"""What a check found, and how a person or a program reads it."""

import os
import sys
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from backup_manager.errors import BackupError
from backup_manager.report import Report
from backup_manager.texts import encode, visible

_COLOURS = {"ok": 32, "warning": 33, "failed": 31, "skipped": 2}  # SGR: green, yellow, red, faint
_TO_DO = ". To do"


class Verdict(StrEnum):
    """What came of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


_VERDICT_WIDTH = max(map(len, Verdict))


@dataclass(frozen=True)
class Finding:
    """One line of the list: what was seen and, unless all is well, what to do.

    ``error`` is what a backup would end with.
    """

    verdict: Verdict
    seen: str
    fix: str = ""
    error: BackupError | None = None

    @classmethod
    def ok(cls, seen: str) -> "Finding":
        return cls(Verdict.OK, seen)

    @classmethod
    def warning(cls, seen: str, fix: str) -> "Finding":
        return cls(Verdict.WARNING, seen, fix)

    @classmethod
    def said(cls, warning: str) -> "Finding":
        """Make a finding of a warning of export's."""
        seen, _, rest = warning.partition(_TO_DO)
        return cls(Verdict.WARNING, seen, rest.lstrip(",: ") or "see whether that is meant")

    @classmethod
    def skipped(cls, why: str) -> "Finding":
        return cls(Verdict.SKIPPED, why)

    @classmethod
    def of(cls, error: BackupError) -> "Finding":
        seen = f"{error.what}: {error.why}" if error.why else error.what
        return cls(Verdict.FAILED, seen, error.fix, error)


class CheckList:
    """Prints each finding as it comes: a line for a person, or one of JSON for a program."""

    def __init__(self, report: Report, titles: Collection[str], *, as_json: bool) -> None:
        self._report = report
        self._width = max(map(len, titles))
        self._as_json = as_json
        self._coloured = not as_json and _takes_colours()

    def tell(self, title: str, finding: Finding) -> None:
        if self._as_json:
            facts = self._report.redact.deep(_facts(title, finding))
            self._report.print(encode(facts))  # type: ignore[arg-type]  # it was a dictionary
            return
        indent = " " * (_VERDICT_WIDTH + self._width + 4)
        self._report.print(f"{self._head(title, finding)}{_flat(finding.seen)}")
        if finding.fix:
            self._report.print(f"{indent}to do: {_flat(finding.fix)}")

    def _head(self, title: str, finding: Finding) -> str:
        verdict = f"{finding.verdict:<{_VERDICT_WIDTH}}"
        if self._coloured:
            verdict = f"\x1b[{_COLOURS[finding.verdict]}m{verdict}\x1b[0m"
        return f"{verdict}  {title:<{self._width}}  "


def _facts(title: str, finding: Finding) -> dict[str, Any]:
    error = finding.error
    return {
        "check": title,
        "verdict": str(finding.verdict),
        "seen": finding.seen,
        "fix": finding.fix or None,
        "reason": str(error.reason) if error else None,
        "exit_code": int(error.exit_code) if error else None,
    }


def _flat(text: str) -> str:
    """Return a text as one line: what others chose must not move the cursor."""
    return str(visible(" ".join(text.splitlines()).replace("\t", " ")))


def _takes_colours() -> bool:
    # Python has no sys.stdout where it was closed.
    terminal = sys.stdout is not None and sys.stdout.isatty()
    dumb = os.environ.get("TERM", "") in {"", "dumb", "unknown"}
    return terminal and not dumb and not os.environ.get("NO_COLOR")
