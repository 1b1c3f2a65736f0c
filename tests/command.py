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

import json
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self

from coverage import Coverage

from .here import run_here
from .running import END_SECONDS, ROOT, Event, Result, Running, assert_no_secret
from .servers import Database, S3Server
from .servers.process import program

__all__ = [
    "CANARY_PASSWORD",
    "DOUBLE",
    "END_SECONDS",
    "ROOT",
    "Event",
    "Export",
    "Result",
    "Running",
    "assert_no_secret",
    "find_dumpling",
]

DOUBLE = ROOT / "tests" / "doubles" / "dumpling"

# Characters that quoting, URLs, JSON and shells treat in their own ways.
CANARY_PASSWORD = "canary'p$w\\rd \"é:@/%?&=#"


def find_dumpling() -> Path:
    """A real Dumpling, from DUMPLING or PATH, where there is one; else the test double."""
    named = os.environ.get("DUMPLING")
    found = shutil.which(named or "dumpling")
    if named and not found:
        raise FileNotFoundError(f"DUMPLING={named}: there is no such program")
    return Path(found).absolute() if found else DOUBLE


def _measured() -> list[str]:
    """What makes Python measure the command's coverage where that of the tests is measured.

    A variable would do it too, but the test double would inherit it, and pay for it each time.
    """
    if Coverage.current() is None:
        return []
    options = [f"--rcfile={ROOT / 'pyproject.toml'}", f"--data-file={ROOT / '.coverage'}"]
    return ["-m", "coverage", "run", "--parallel-mode", *options]


class _Scratch:
    """A directory for the password's file; it goes when nobody uses it any more."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="export-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class Export:
    """`backup-manager export` with these settings; nothing of our environment reaches it.

    Settings are the flags with underscores: a list is a repeated flag, True a switch, None leaves
    it out. Apart from them: `password` (given by a file, or with `password_by="environment"` by
    the variable), `access_key`, `secret_key`, `session_token`, `environment` (more variables; None
    removes one), `after` (what stands after `--`).
    """

    def __init__(
        self,
        *,
        password: str | None = CANARY_PASSWORD,
        password_by: str = "file",
        access_key: str | None = None,
        secret_key: str | None = None,
        session_token: str | None = None,
        environment: Mapping[str, str | None] | None = None,
        after: Sequence[str] = (),
        **settings: object,
    ) -> None:
        self._own: dict[str, Any] = {
            "password": password,
            "password_by": password_by,
            "access_key": access_key,
            "secret_key": secret_key,
            "session_token": session_token,
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
        names = ("password", "secret_key", "session_token")
        return [value for name in names if (value := self._own[name])]

    def argv(self, *further: str) -> list[str]:
        """The command line; no secret is in it."""
        words = [sys.executable, *_measured(), "-m", "backup_manager", "export"]
        words += [*self._flags(), *further]
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
        made: dict[str, str | None] = {"LANG": os.environ.get("LANG")}
        # This Python first, so that the double finds its packages at once.
        made["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        # No ~/.aws, no metadata service: what it uses is what the test gives.
        made["HOME"] = "/nonexistent"
        made["AWS_EC2_METADATA_DISABLED"] = "true"
        made["AWS_ACCESS_KEY_ID"] = self._own["access_key"]
        made["AWS_SECRET_ACCESS_KEY"] = self._own["secret_key"]
        made["AWS_SESSION_TOKEN"] = self._own["session_token"]
        if self._own["password"] is not None:
            if self._own["password_by"] == "environment":
                made["BACKUP_MANAGER_PASSWORD"] = self._own["password"]
            else:
                # One for each run: another may be reading its own just now.
                descriptor, file = tempfile.mkstemp(prefix="password-", dir=self._scratch.path)
                with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123
                    stream.write(self._own["password"] + "\n")
                made["BACKUP_MANAGER_PASSWORD_FILE"] = file
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

    def refused(self, *further: str) -> Result:
        """Run it in this process, to a wrong setting: before anything is asked of anybody.

        It takes a twentieth of the time; that a process ends so too, others show.
        """
        words = self.argv(*further)
        called = words[words.index("backup_manager") + 1 :]
        code, stdout, stderr = run_here(called, self.environment(), self.secrets)
        log = [json.loads(line) for line in stderr.splitlines()]
        return Result(words, code, stdout, stderr, json.loads(stdout), log, self.secrets)

    def run(self, *further: str, timeout: float = 120) -> Result:
        """Run it to its end."""
        with self.start(*further) as running:
            return running.result(timeout)
