"""docs/kubernetes.md, followed: each of its commands is run, on the files that it shows.

helm is not there, so the line with it is held against what it takes. A Pod's log comes from the
kubelet, which tests play without its API.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # of moto's requirements, without annotations

import backup_manager
from tests.command import CANARY_PASSWORD, ROOT
from tests.running import Result
from tests.servers import missing

from . import paths
from .nightly import Nightly

NAME = "demo1-backup-s3"
JOB = f"backup-{NAME}"
IMAGE = f"REGISTRY/backup-manager:{backup_manager.__version__}"
TEXT = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
YAML = re.findall(r"(?s)```yaml\n(.*?)```", TEXT)
FRAGMENTS = [text for text in YAML if "kind:" not in text]


WITH, WITHOUT = TEXT.split("\n## Without the operator\n")


def _lines(text: str) -> Iterator[str]:
    """The commands in the page's order, each on one line."""
    for block in re.findall(r"(?s)```shell\n(.*?)```", text):
        yield from block.replace("\\\n", " ").splitlines()


def file(name: str) -> str:
    """The page's text for a file: the block after its first mention."""
    return str(TEXT.split(f"`{name}`", 1)[1].split("```yaml\n", 1)[1].split("```", 1)[0])


class Reader:
    """Somebody at a shell in a directory, who takes the page's commands one after the other."""

    def __init__(self, nightly: Nightly, directory: Path, text: str) -> None:
        self.nightly = nightly
        self.directory = directory
        self._left = list(_lines(text))
        store = nightly.store
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(directory),
            "KUBECONFIG": str(nightly.cluster.api.kubeconfig),
            "PASSWORD": CANARY_PASSWORD,
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
        }
        (directory / "rbac.yaml").write_text(file("rbac.yaml"))
        port = f"port: {nightly.database.port}"
        backup = self._placed(file("backup-s3.yaml"), {"port: 4000": port})
        (directory / "backup-s3.yaml").write_text(backup)

    def _placed(self, text: str, more: dict[str, str]) -> str:
        """The page's object, with the addresses that there are here."""
        nightly = self.nightly
        for shown, here in {
            "host: demo1-tidb": f"host: {nightly.database.host}",
            "endpoint: http://rgw.ceph:7480": f"endpoint: {nightly.store.http}",
            "bucket: backups": f"bucket: {nightly.bucket}",
            **more,
        }.items():
            assert 1 == text.count(shown), shown
            text = text.replace(shown, here)
        return self._named(text)

    def takes_the_schedule_of(self, page: str) -> None:
        """Save the file that another page shows."""
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        shown = text.split("`schedule.yaml`", 1)[1].split("```yaml\n", 1)[1].split("```", 1)[0]
        port = f"user: backup\n      port: {self.nightly.database.port}"
        made = self._placed(shown, {"user: backup": port})
        (self.directory / "schedule.yaml").write_text(made)

    def _named(self, text: str) -> str:
        return re.sub(r"\btest1\b", self.nightly.cluster.namespace, text)

    def passes(self, beginning: str) -> str:
        """Take the next command, which is this one, and leave it at that."""
        line = self._left.pop(0)
        assert line.startswith(beginning), line
        return self._named(line)

    def runs(self, beginning: str) -> str:
        """Run the next command, which is this one; what it prints."""
        done = self._run(self.passes(beginning))
        assert 0 == done.returncode, f"{done.args}\n{done.stderr}"
        return done.stdout

    def looks_for_the_log(self, beginning: str) -> None:
        """Run it as far as that goes: the Pod is found, and its node is asked."""
        done = self._run(self.passes(beginning))
        assert 1 == done.returncode
        assert '"node" not found' in done.stderr, done.stderr

    def _run(self, line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def is_at_the_end(self) -> bool:
        return not self._left


@pytest.fixture
def reader(nightly: Nightly, tmp_path: Path) -> Reader:
    """In a namespace that has no role for backups yet."""
    return new_reader(nightly, tmp_path, WITH)


def new_reader(nightly: Nightly, directory: Path, text: str) -> Reader:
    name = "tidb-backup-manager"
    things = [f"{kind}/{name}" for kind in ("role", "rolebinding", "serviceaccount")]
    nightly.cluster.api.kubectl("--namespace", nightly.cluster.namespace, "delete", *things)
    directory /= "reader"
    directory.mkdir()
    return Reader(nightly, directory, text)


def test_the_way_with_the_operator(reader: Reader, nightly: Nightly) -> None:
    cluster = nightly.cluster
    reader.passes("helm upgrade ")
    reader.runs("kubectl apply -f rbac.yaml ")
    # The least role is the one in force.
    assert 403 == cluster.account().ask("GET", paths.backup(cluster.namespace)).code

    reader.runs("kubectl create secret generic backup-demo1-tidb-secret ")
    reader.runs("kubectl create secret generic s3-secret ")
    reader.runs("kubectl apply -f backup-s3.yaml")
    cluster.operator.reconcile(NAME)
    result = cluster.node.run(JOB).end().expect(0)
    cluster.wait_for_job(JOB, "Complete")
    assert [] == result.warnings

    header, line = reader.runs("kubectl get bk ").splitlines()
    for column in ("STATUS", "BACKUPPATH", "BACKUPSIZE", "COMMITTS", "STARTED", "COMPLETED"):
        assert column in header
    for text in (NAME, "Complete", result.summary["backup"], result.summary["snapshot"]["tso"]):
        assert text in line
    assert_described(reader.runs("kubectl describe bk "))
    reader.looks_for_the_log(f"kubectl logs -f job/{JOB} ")

    if missing("jq"):
        pytest.skip("not installed: jq; the doctor's Job is not tried")
    before = cluster.backup(NAME), nightly.objects(), cluster.events(NAME)
    reader.runs(f"kubectl get job {JOB} ")
    reader.runs("jq ")
    reader.runs("jq ")
    assert_well(cluster.node.run("doctor").end().expect(0))
    cluster.wait_for_job("doctor", "Complete")
    assert before == (cluster.backup(NAME), nightly.objects(), cluster.events(NAME))
    reader.looks_for_the_log("kubectl logs -f job/doctor ")
    assert reader.is_at_the_end()


def test_the_way_without_the_operator(nightly: Nightly, tmp_path: Path) -> None:
    reader, cluster = new_reader(nightly, tmp_path, WITHOUT), nightly.cluster
    cluster.node.images[IMAGE] = cluster.node.images["backup-manager"]
    reader.takes_the_schedule_of("operations.md")
    cluster.secret("backup-demo1-tidb-secret", password=CANARY_PASSWORD)
    store = nightly.store
    cluster.secret("s3-secret", access_key=store.access_key, secret_key=store.secret_key)

    reader.runs("backup-manager render ")
    reader.runs("sed ")
    assert_all_well(cluster.node.run(NAME).end().expect(0))
    reader.runs(f"kubectl wait --for=condition=complete job/{NAME} ")
    reader.looks_for_the_log(f"kubectl logs job/{NAME} ")
    reader.runs("kubectl delete job ")
    assert [] == nightly.objects()

    reader.runs("kubectl apply -f rendered.yaml")
    result = cluster.node.run(NAME).end().expect(0)
    cluster.wait_for_job(NAME, "Complete")
    assert [] == result.warnings
    names = re.findall(r"(?m)^(\w[\w.]*/\S+)", reader.runs("kubectl get job,pvc "))
    assert [f"job.batch/{NAME}", f"persistentvolumeclaim/{NAME}"] == names
    reader.looks_for_the_log(f"kubectl logs -f job/{NAME} ")
    assert result.summary["backup"] in reader.runs("kubectl describe pod ")

    before = nightly.objects()
    reader.runs("backup-manager render ")
    if missing("jq"):
        pytest.skip("not installed: jq; the doctor's Job is not tried")
    reader.runs("kubectl create job doctor ")
    reader.runs("jq ")
    assert_all_well(cluster.node.run("doctor").end().expect(0))
    reader.runs("kubectl wait --for=condition=complete job/doctor ")
    assert before == nightly.objects()
    assert reader.is_at_the_end()


def assert_all_well(doctor: Result) -> None:
    assert [] == doctor.warnings
    rows = doctor.stdout.splitlines()[:-1]
    assert {"ok"} == {row.split()[0] for row in rows if row[0] != " "}


def assert_described(text: str) -> None:
    """`kubectl describe` tells conditions, progress and events."""
    status, events = text.split("Status:", 1)[1].split("Events:")
    conditions, progress = status.split("Progresses:")
    kinds = re.findall(r"Type: +(\w+)", conditions)
    assert ["Scheduled", "Prepare", "Running", "Complete"] == kinds
    assert ["Dump", "Upload"] == re.findall(r"Step: +(\w+)", progress)
    told = re.findall(r"(?m)^ +Normal +(\w+) .* backup-manager +", events)
    assert {"Started", "Complete"} == set(told)


def assert_well(result: Result) -> None:
    """Every check of the doctor is well; the backup that is there already is no more than said."""
    checks = re.findall(r"(?m)^(ok|warning|failed|skipped) +(\w+(?: \w+)?)  +\S", result.stdout)
    assert {("warning", "backup object")} == {each for each in checks if each[0] != "ok"}
    assert {"backup object", "status", "events", "volume", "write"} <= {
        title for _, title in checks
    }
    (warning,) = result.warnings
    assert "is complete already" in warning


@pytest.mark.parametrize("text", FRAGMENTS, ids=lambda text: text.split()[1].rstrip(":"))
def test_a_fragment_is_what_a_backup_may_have(reader: Reader, text: str) -> None:
    """Else the API drops it without a word."""
    whole = yaml.safe_load((reader.directory / "backup-s3.yaml").read_text())
    whole["spec"] |= yaml.safe_load(text)["spec"]
    reader.nightly.cluster.api.kubectl(
        "create", "--filename=-", "--dry-run=server", "--validate=strict", given=yaml.dump(whole)
    )


def test_the_value_of_the_chart() -> None:
    """There is no helm here: what the line holds is what helm and the chart take."""
    words = shlex.split(next(_lines(WITH)))
    assert ["helm", "upgrade", "tidb-operator", "pingcap/tidb-operator"] == words[:4]
    options = iter(words[4:])
    given = {option: option == "--reuse-values" or next(options) for option in options}
    image = IMAGE
    assert {
        "--namespace": "tidb-admin",
        "--reuse-values": True,
        "--set": f"tidbBackupManagerImage={image}",
    } == given
    assert {image} == set(re.findall(r"REGISTRY/[\w.:-]+", TEXT))
