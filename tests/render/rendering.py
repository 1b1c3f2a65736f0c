"""`backup-manager render` in this process, with a file of these contents; what it said and made.

    rendered = render(BACKUP.replace("root", "yes"))
    assert 2 == rendered.exit_code

Every run is held against what the contract says of all: a mistake of a user ends with exit code 2,
nothing on stdout and no stack trace.
"""

import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml  # type: ignore[import-untyped]  # it has no annotations of its own

from tests.here import run_here

HERE = Path(__file__).parent
GOOD_EXAMPLES = HERE.parent / "kube" / "seed"
IMAGE = "example.com/backup-manager:1"

BACKUP = """\
apiVersion: pingcap.com/v1alpha1
kind: Backup
metadata:
  name: demo1
  namespace: test1
spec:
  from:
    host: tidb
    port: 4000
    user: root
    secretName: tidb-secret
  s3:
    provider: aws
    region: eu-central-1
    bucket: backups
    secretName: s3-secret
  storageSize: 10Gi
"""
SCHEDULE = """\
apiVersion: pingcap.com/v1alpha1
kind: BackupSchedule
metadata:
  name: nightly
  namespace: test1
spec:
  schedule: "0 2 * * *"
  maxReservedTime: "72h"
  backupTemplate:
    from:
      host: tidb
      port: 4000
      user: root
      secretName: tidb-secret
    s3:
      provider: aws
      region: eu-central-1
      bucket: backups
      secretName: s3-secret
    storageSize: 10Gi
"""
PLACEHOLDERS = {
    "${tidb_host}": "demo1-tidb",
    "${tidb_port}": "4000",
    "${tidb_user}": "root",
    "${region}": "eu-central-1",
    "${bucket}": "backups",
    "${endpoint}": "http://rgw.ceph:7480",
}


def filled(text: str) -> str:
    """The text with the placeholders of the guide filled in."""
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return text


def changed(text: str, old: str, new: str) -> str:
    """The text with a part changed that is there, and there alone."""
    assert 1 == text.count(old), f"{old!r} is there {text.count(old)} times"
    return text.replace(old, new)


def spec(more: str, text: str = BACKUP) -> str:
    """The object with more fields at the end of its spec; of its template, for a schedule."""
    indent = "    " if "\n  backupTemplate:" in text else "  "
    return text + "".join(f"{indent}{line}\n" for line in more.splitlines())


@dataclass(frozen=True)
class Rendered:
    """What one run came to."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def log(self) -> list[dict[str, Any]]:
        # Not splitlines: U+0085 and the like stand in JSON as they are.
        return [json.loads(line) for line in self.stderr.split("\n") if line]

    @property
    def errors(self) -> list[str]:
        """What is wrong, each with its place; without the line that counts them."""
        said = [event["event"] for event in self.log if event["level"] == "error"]
        return said[:-1] if len(said) > 1 else said

    @property
    def warnings(self) -> list[str]:
        return [event["event"] for event in self.log if event["level"] == "warning"]

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        assert 0 == self.exit_code, self.stderr
        return list(yaml.safe_load_all(self.stdout))

    def one(self, kind: str) -> dict[str, Any]:
        (found,) = [each for each in self.objects if each["kind"] == kind]
        return found

    @property
    def pod(self) -> dict[str, Any]:
        """The Pod's template of the one Job or CronJob."""
        (found,) = [each for each in self.objects if each["kind"] in {"Job", "CronJob"}]
        job = found["spec"]["jobTemplate"] if found["kind"] == "CronJob" else found
        return dict(job["spec"]["template"])

    @property
    def container(self) -> dict[str, Any]:
        (found,) = self.pod["spec"]["containers"]
        return dict(found)

    @property
    def args(self) -> list[str]:
        return list(self.container["args"])

    @property
    def env(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.container["env"]}


def run(
    words: Sequence[str], stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> Rendered:
    """Run it with these words of the command line."""
    with patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))):
        code, stdout, stderr = run_here(["render", *words], environment or {})
    made = Rendered(code, stdout, stderr)
    assert made.exit_code in {0, 2}, made.stderr
    assert "Traceback" not in made.stderr
    assert "defect" not in made.stderr
    assert made.exit_code == 0 or not made.stdout
    return made


def render(
    text: str | bytes, *flags: str, environment: Mapping[str, str] | None = None
) -> Rendered:
    """Render what stdin has."""
    data = text if isinstance(text, bytes) else text.encode()
    return run([f"--image={IMAGE}", *flags], data, environment)


def told(text: str | bytes, *flags: str) -> str:
    """The one thing that is wrong with it, without what is to be done."""
    return _refused(text, flags)[0]


def remedy(text: str | bytes, *flags: str) -> str:
    """What is to be done about the one thing that is wrong."""
    return _refused(text, flags)[1]


def _refused(text: str | bytes, flags: Sequence[str]) -> tuple[str, str]:
    made = render(text, *flags)
    assert 2 == made.exit_code, made.stdout
    (only,) = made.errors
    what, _, fix = only.partition(". To do: ")
    assert fix, f"{only} does not say what to do"
    return what.removeprefix("stdin, "), fix
