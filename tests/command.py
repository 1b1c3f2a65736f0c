"""The real command line, as a subprocess: its settings, its environment, and what it said.

    export = Export.of(tidb, ceph, bucket, volume, dumpling=dumpling, prefix="nightly")
    result = export.run().expect(0)
    with export.but(name="other").start() as running:
        running.wait_for("dumping")
        running.terminate()
        running.result().expect(143)

Every run is held against what the contract says of all: the summary's line, its agreement with the
exit code, JSON lines on stderr, and no secret anywhere.
"""

import base64
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import quote, quote_plus

from .servers import Database, S3Server
from .servers.process import program

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client  # annotations: not installed where tests only run

ROOT = Path(__file__).resolve().parents[1]
DOUBLE = ROOT / "tests" / "doubles" / "dumpling"
TERMINATION_LOG = Path("/dev/termination-log")

# Characters that quoting, URLs, JSON and shells treat in their own ways.
CANARY_PASSWORD = "canary'p$w\\rd \"é:@/%?&=#"
SUMMARY_FIELDS = {
    "status", "reason", "message", "exit_code", "backup", "name", "snapshot", "files", "bytes",
    "seconds", "resumed", "warnings",
}  # fmt: skip
# Of our own environment, beside PATH: the language, and what measures coverage in it.
_INHERITED = ("LANG", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
# The contract bounds the end after SIGTERM; a run that is still there later is a failure.
END_SECONDS = 25

Event = dict[str, Any]


def find_dumpling() -> Path:
    """A real Dumpling, from DUMPLING or PATH, where there is one; else the test double."""
    named = os.environ.get("DUMPLING")
    found = shutil.which(named or "dumpling")
    if named and not found:
        raise FileNotFoundError(f"DUMPLING={named}: there is no such program")
    return Path(found).absolute() if found else DOUBLE


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


class Running:
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self.ended:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()


class _Scratch:
    """A directory for the password's file; it goes when nobody uses it any more."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="export-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class Export:
    """`backup-manager export` with these settings; nothing of our environment reaches it.

    Settings are the flags with underscores: a list is a repeated flag, True a switch, None leaves
    it out. Apart from them: `password` (given by a file, or with `password_by="environment"` by
    the variable), `access_key`, `secret_key`, `environment` (more variables; None removes one),
    `after` (what stands after `--`).
    """

    def __init__(
        self,
        *,
        password: str | None = CANARY_PASSWORD,
        password_by: str = "file",
        access_key: str | None = None,
        secret_key: str | None = None,
        environment: Mapping[str, str | None] | None = None,
        after: Sequence[str] = (),
        **settings: object,
    ) -> None:
        self._own: dict[str, Any] = {
            "password": password,
            "password_by": password_by,
            "access_key": access_key,
            "secret_key": secret_key,
            "environment": dict(environment or {}),
            "after": list(after),
        }
        self.settings = settings
        self._scratch = _Scratch()

    @classmethod
    def of(
        cls,
        database: Database,
        store: S3Server,
        bucket: str,
        volume: Path,
        *,
        secure: bool = False,
        **settings: Any,
    ) -> Self:
        """An export of this database to this bucket by way of this volume, over HTTPS if `secure`.

        The account is `backup` with CANARY_PASSWORD, unless the settings name another.
        """
        defaults: dict[str, Any] = {
            "host": database.host,
            "port": database.port,
            "user": "backup",
            "endpoint": store.https if secure else store.http,
            "region": "us-east-1",
            "bucket": bucket,
            "volume": volume,
            "dumpling": find_dumpling(),
            "connect_timeout": "10s",
            "lock_timeout": "5s",
            "access_key": store.access_key,
            "secret_key": store.secret_key,
        }
        given = defaults | settings
        if secure and store.ca_file is not None:
            trust = {"AWS_CA_BUNDLE": str(store.ca_file)}
            given["environment"] = trust | dict(given.get("environment") or {})
        return cls(**given)

    def but(self, **changes: Any) -> Self:
        """The same with other settings; `environment` adds to the one that is there."""
        other = copy(self)
        own = {name: changes.pop(name) for name in list(changes) if name in self._own}
        if "environment" in own:
            own["environment"] = self._own["environment"] | dict(own["environment"])
        other._own = self._own | own
        other.settings = self.settings | changes
        return other

    def with_double(self, *controls: Mapping[str, Any]) -> Self:
        """The same with the test double of Dumpling, told to do this (tests/doubles/README.md)."""
        return self.but(
            dumpling=DOUBLE, environment={"DUMPLING_DOUBLE": json.dumps(list(controls))}
        )

    @property
    def volume(self) -> Path:
        return Path(str(self.settings["volume"]))

    @property
    def secrets(self) -> list[str]:
        """What must turn up nowhere."""
        return [value for name in ("password", "secret_key") if (value := self._own[name])]

    def argv(self, *further: str) -> list[str]:
        """The command line; no secret is in it."""
        words = [sys.executable, "-m", "backup_manager", "export", *self._flags(), *further]
        words += ["--", *self._own["after"]] if self._own["after"] else []
        for word in words:
            assert_no_secret(self.secrets, "the command line", os.fsencode(word))
        return words

    def _flags(self) -> Iterator[str]:
        for name, value in self.settings.items():
            flag = f"--{name.replace('_', '-')}"
            if value is True:
                yield flag
            elif isinstance(value, list | tuple):
                yield from (f"{flag}={each}" for each in value)
            elif value is not None and value is not False:
                yield f"{flag}={value}"

    def environment(self) -> dict[str, str]:
        """What the process gets; the password's file is written here."""
        made: dict[str, str | None] = {
            name: os.environ[name] for name in _INHERITED if name in os.environ
        }
        # This Python first, so that the double finds its packages at once.
        made["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        # No ~/.aws, no metadata service: what it uses is what the test gives.
        made["HOME"] = "/nonexistent"
        made["AWS_EC2_METADATA_DISABLED"] = "true"
        made["AWS_ACCESS_KEY_ID"] = self._own["access_key"]
        made["AWS_SECRET_ACCESS_KEY"] = self._own["secret_key"]
        if self._own["password"] is not None:
            if self._own["password_by"] == "environment":
                made["BACKUP_MANAGER_PASSWORD"] = self._own["password"]
            else:
                file = self._scratch.path / "password"
                file.touch(mode=0o600)
                file.write_text(self._own["password"] + "\n", encoding="utf-8")
                made["BACKUP_MANAGER_PASSWORD_FILE"] = str(file)
        made |= self._own["environment"]
        return {name: value for name, value in made.items() if value is not None}

    def start(self, *further: str) -> Running:
        """Start it; `further` are more words of the command line."""
        argv = self.argv(*further)
        environment = self.environment()
        # setpriv lets it die with us, and becomes it under the same pid.
        wrapped = [program("setpriv"), "--pdeathsig", "KILL", "--", *argv]
        running = Running(wrapped, environment, self.secrets)
        running.keep = self._scratch
        return running

    def run(self, *further: str, timeout: float = 120) -> Result:
        """Run it to its end."""
        with self.start(*further) as running:
            return running.result(timeout)
