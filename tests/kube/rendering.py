"""Somebody without the operator: `backup-manager render … | kubectl apply -f -`, and the Jobs."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.command import ROOT
from tests.running import Result
from tests.servers.kubernetes import Object
from tests.servers.process import program

from . import paths
from .cluster import Cluster
from .jobs import IMAGE
from .nightly import Nightly
from .running_pod import RunningPod

# The namespace takes no other Pods, and tells of each object that would make such.
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
_VERSION = "pingcap.com/v1alpha1"


@dataclass(frozen=True)
class Rendering:
    """The namespace has no role and no ServiceAccount; files are in `directory`."""

    nightly: Nightly
    directory: Path

    @property
    def cluster(self) -> Cluster:
        return self.nightly.cluster

    def backup(self, name: str, *controls: Object, **changes: Any) -> Object:
        """A Backup as `nightly` has it, but for what its Pods need of a security context."""
        return self._document("Backup", name, self._spec(*controls, **changes))

    def schedule(self, name: str, *controls: Object, schedule: Object, **changes: Any) -> Object:
        """A BackupSchedule; `schedule` is what it has beside its template."""
        spec = schedule | {"backupTemplate": self._spec(*controls, **changes)}
        return self._document("BackupSchedule", name, spec)

    def _spec(self, *controls: Object, **changes: Any) -> Object:
        made = self.nightly.spec(*controls, **{"podSecurityContext": None, **changes})
        return {name: value for name, value in made.items() if value is not None}

    def _document(self, kind: str, name: str, spec: Object) -> Object:
        metadata = {"name": name, "namespace": self.cluster.namespace}
        return {"apiVersion": _VERSION, "kind": kind, "metadata": metadata, "spec": spec}

    def apply(self, given: str | Object, *flags: str, dry: bool = False) -> list[str]:
        """What kubectl says of each object; neither of the two has anything to warn of."""
        done = self.try_to_apply(given, *flags, dry=dry)
        assert (0, "") == (done.returncode, done.stderr), done.stderr
        return done.stdout.splitlines()

    def try_to_apply(
        self, given: str | Object, *flags: str, dry: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        kubectl = ["apply", "--filename=-", "--validate=strict"]
        kubectl += ["--dry-run=server"] if dry else []
        return self._run(f"{self._render(given, *flags)} | {self._kubectl(*kubectl)}")

    def render(self, given: str | Object, *flags: str) -> "subprocess.CompletedProcess[str]":
        """The command alone."""
        return self._run(self._render(given, *flags))

    def kubectl(self, *words: str) -> str:
        done = self._run(self._kubectl(f"--namespace={self.cluster.namespace}", *words))
        assert 0 == done.returncode, done.stderr
        return done.stdout

    def _render(self, given: str | Object, *flags: str) -> str:
        file = self.directory / "wanted.yaml"
        file.write_text(given if isinstance(given, str) else json.dumps(given))
        command = [sys.executable, "-m", "backup_manager", "render", f"--image={IMAGE}"]
        return shlex.join([*command, *flags, str(file)])

    def _kubectl(self, *words: str) -> str:
        api = self.cluster.api
        options = [f"--kubeconfig={api.kubeconfig}", f"--cache-dir={api.directory / 'kubectl'}"]
        return shlex.join([program("kubectl"), *options, *words])

    def _run(self, line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=ROOT,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def job_now(self, schedule: str, name: str) -> str:
        """Make a Job of a CronJob at once; its name."""
        self.kubectl("create", "job", name, f"--from=cronjob/{schedule}")
        return name

    def jobs(self, schedule: str) -> list[str]:
        """The names of a schedule's Jobs."""
        selector = f"tidb.pingcap.com%2Fbackup-schedule%3D{schedule}"
        where = f"{paths.job(self.cluster.namespace)}?labelSelector={selector}"
        return [each["metadata"]["name"] for each in self.cluster.api.admin.items(where)]

    def run(self, job: str) -> RunningPod:
        return self.cluster.node.run(job)

    def complete(self, pod: RunningPod, job: str) -> Result:
        """Wait until both have ended well; the record in the store has the Job's name."""
        result = pod.end().expect(0)
        self.cluster.wait_for_job(job, "Complete")
        assert job == self.record(result)["name"]
        keys = self.nightly.objects(f"{result.directory}/")
        assert any(f"/{self.nightly.schema}.orders." in key for key in keys)
        return result

    def record(self, result: Result) -> Object:
        answer = self.nightly.store.client().get_object(
            Bucket=self.nightly.bucket, Key=f"{result.directory}/backup.json"
        )
        record: Object = json.loads(answer["Body"].read())
        return record

    def backups(self) -> set[str]:
        """The directories of all backups that are published."""
        keys = self.nightly.objects()
        return {key.rpartition("/")[0] for key in keys if key.endswith("/backup.json")}
