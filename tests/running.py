"""A run of the command line as a subprocess, what it said, and what must hold of every run."""

import base64
import contextlib
import json
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import quote, quote_plus

from tests.scoped import Scoped

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client  # annotations: not installed where tests only run

ROOT = Path(__file__).resolve().parents[1]
TERMINATION_LOG = Path("/dev/termination-log")
SUMMARY_FIELDS = {
    "status", "reason", "message", "exit_code", "backup", "name", "snapshot", "files", "bytes",
    "seconds", "resumed", "warnings",
}  # fmt: skip
# The contract bounds the end after SIGTERM; a run that is still there later is a failure.
END_SECONDS = 25

Event = dict[str, Any]


def spellings(secret: str) -> set[bytes]:
    """A secret in each form in which it could slip out."""
    raw = secret.encode()
    texts = {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        shlex.quote(secret),
        secret.replace("'", "''"),
        quote(secret, safe="").lower(),
        raw.hex(),
        base64.b64encode(raw).decode(),
    }
    return {text.encode() for text in texts}


def assert_no_secret(secrets: Sequence[str], where: str, data: bytes) -> None:
    for number, secret in enumerate(secrets, start=1):
        for spelling in spellings(secret):
            at = data.find(spelling)
            # The secret itself is not in the message either.
            assert at < 0, f"secret {number} of {len(secrets)} is in {where}, at byte {at}"


@dataclass(frozen=True)
class Result:
    """What one run came to. A run that was killed has no summary."""

    argv: list[str]
    exit_code: int
    stdout: str
    stderr: str
    summary: dict[str, Any]
    log: list[Event]
    secrets: Sequence[str] = field(repr=False)
    seconds: float = 0.0

    @property
    def message(self) -> str:
        return str(self.summary["message"])

    @property
    def warnings(self) -> list[str]:
        return list(self.summary["warnings"])

    @property
    def directory(self) -> str:
        """The backup's directory as a key in its bucket."""
        return str(self.summary["backup"]).removeprefix("s3://").partition("/")[2]

    def events(self, text: str) -> list[Event]:
        """The log's lines that hold a text in their event."""
        return [event for event in self.log if text in event["event"]]

    def expect(self, exit_code: int, reason: str | None = None) -> Self:
        """Self, if it ended so; else an AssertionError with what it said."""
        same = exit_code == self.exit_code
        same = same and (reason is None or reason == self.summary.get("reason"))
        assert same, (
            f"expected exit code {exit_code}{f' ({reason})' if reason else ''}, got"
            f" {self.exit_code}: {self.stdout or '(nothing on stdout)'}\n"
            + "\n".join(self.stderr.splitlines()[-40:])
        )
        return self

    def assert_clean_bucket(self, client: "S3Client", bucket: str, prefix: str = "") -> None:
        """No secret is in any key or body under the prefix."""
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for each in page.get("Contents", []):
                key = each["Key"]
                body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
                assert_no_secret(self.secrets, "a key", key.encode())
                assert_no_secret(self.secrets, f"the object {key}", body)

    def assert_clean_volume(self, volume: Path) -> None:
        """No secret is in any file's name or content on the volume."""
        for path in volume.rglob("*"):
            assert_no_secret(self.secrets, "a file's name", os.fsencode(path.name))
            if path.is_file():
                assert_no_secret(self.secrets, str(path), path.read_bytes())


class Running(Scoped):
    """A run under way; leaving its `with` block kills what still runs."""

    def __init__(
        self, argv: list[str], environment: Mapping[str, str], secrets: Sequence[str]
    ) -> None:
        self.argv = argv
        self.keep: object = None  # what must live as long as the run
        self._secrets = secrets
        self._log: list[Event] = []
        self._noise: list[str] = []
        self._texts: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._news = threading.Condition()
        self._began = time.monotonic()
        self._killed = False
        # A group of its own: a signal to our terminal's group is not meant for it.
        self.process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
            process_group=0,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in self._texts
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        stream: IO[str] = getattr(self.process, name)
        for line in stream:
            with self._news:
                self._texts[name].append(line)
                if name == "stderr":
                    self._take(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def _take(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict) and {"event", "level", "time"} <= event.keys():
            self._log.append(event)
        else:
            self._noise.append(line)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> list[Event]:
        """The log's lines up to now."""
        with self._news:
            return list(self._log)

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def wait_for(self, wanted: str | Callable[[Event], bool], *, seconds: float = 60) -> Event:
        """The first line of the log whose event holds the text, or that the predicate takes.

        An AssertionError tells the log if it does not come, or the run ends before.
        """
        taken: Callable[[Event], bool]
        if isinstance(wanted, str):
            text = wanted

            def taken(event: Event) -> bool:
                return text in event["event"]

        else:
            taken = wanted
        deadline = time.monotonic() + seconds
        seen = 0
        with self._news:
            while True:
                for event in self._log[seen:]:
                    if taken(event):
                        return event
                seen = len(self._log)
                # The readers end when the run has; only then is the log all there is.
                over = not any(reader.is_alive() for reader in self._readers)
                late = time.monotonic() > deadline
                assert not over, f"it ended before {wanted}:\n{self._tail()}"
                assert not late, f"{wanted} did not come in {seconds:g} s:\n{self._tail()}"
                self._news.wait(0.05)

    def wait_until(
        self, holds: Callable[[], bool], *, seconds: float = 60, every: float = 0.02
    ) -> None:
        """Poll until something holds while the run is under way."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert not self.ended, f"it ended before that:\n{self._tail()}"
            assert time.monotonic() < deadline, f"not so in {seconds:g} s:\n{self._tail()}"
            time.sleep(every)

    def _tail(self) -> str:
        return "".join(self._texts["stderr"][-40:] + self._texts["stdout"])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, to it alone; wait until it is gone."""
        self._killed = True
        self.process.kill()
        self.process.wait()

    def result(self, timeout: float = END_SECONDS) -> Result:
        """Wait for the end, and check what must hold of every run."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s:\n{self._tail()}") from None
        seconds = time.monotonic() - self._began
        for reader in self._readers:
            reader.join(5)
            assert not reader.is_alive(), "something still holds its stdout or stderr open"
        stdout, stderr = ("".join(self._texts[name]) for name in ("stdout", "stderr"))
        summary = {} if self._killed else self._summary(code, stdout, stderr)
        self._check_secrets(stdout, stderr)
        if not self._killed:
            assert not self._noise, f"no JSON lines on stderr: {''.join(self._noise)}"
        return Result(self.argv, code, stdout, stderr, summary, self.log, self._secrets, seconds)

    def _summary(self, code: int, stdout: str, stderr: str) -> dict[str, Any]:
        said = f"\n{stdout}\n{stderr}"
        assert stdout.endswith("\n"), f"no whole line on stdout, exit code {code}{said}"
        summary: dict[str, Any] = json.loads(stdout.splitlines()[-1])
        assert SUMMARY_FIELDS == summary.keys(), said
        assert code == summary["exit_code"], said
        assert ("complete" if code == 0 else "failed") == summary["status"], said
        return summary

    def _check_secrets(self, stdout: str, stderr: str) -> None:
        for name, text in (("stdout", stdout), ("stderr", stderr)):
            data = text.encode("utf-8", "surrogateescape")
            assert_no_secret(self._secrets, name, data)
        if TERMINATION_LOG.is_file():
            data = TERMINATION_LOG.read_bytes()
            assert_no_secret(self._secrets, str(TERMINATION_LOG), data)

    def stop(self) -> None:
        if not self.ended:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()
