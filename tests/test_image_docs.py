"""docs/image.md holds against the Dockerfile, and the Jobs of the pages against `restricted`."""

import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # of moto's requirements, without annotations

from backup_manager import __version__
from tests.command import ROOT

PAGE = (ROOT / "docs" / "image.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
# The volumes that the level `restricted` admits:
# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
    "projected", "secret",
}  # fmt: skip


def commands() -> list[list[str]]:
    """The commands of the page's shell blocks, as a shell splits them."""
    blocks = re.findall(r"(?s)```shell\n(.*?)```", PAGE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line]


BUILDS = [words for words in commands() if "build" in words]


@pytest.mark.parametrize("words", BUILDS, ids=" ".join)
def test_every_build_gives_arguments_that_there_are(words: list[str]) -> None:
    declared = set(re.findall(r"(?m)^ARG (\w+)", DOCKERFILE))
    given = [words[at + 1] for at, word in enumerate(words) if word == "--build-arg"]
    assert set() == {pair.partition("=")[0] for pair in given} - declared
    assert all("=" in pair for pair in given)
    known = {"--build-arg", "--tag", "--push", "--platform", "--sbom", "--provenance"}
    assert set() == {word.partition("=")[0] for word in words if word.startswith("--")} - known
    assert words[0] == "docker"
    assert "." == next(word for word in reversed(words) if not word.startswith("-"))
    assert f"REGISTRY/backup-manager:{__version__}" in " ".join(words)


def test_there_are_builds() -> None:
    assert 6 < len(BUILDS)
    assert ["docker", "build", "--tag", f"REGISTRY/backup-manager:{__version__}", "."] in BUILDS


def test_every_argument_is_documented_with_its_default() -> None:
    rows = dict(re.findall(r"(?m)^\| (`[A-Z_`, ]+`) \| (.+?) \|", PAGE))
    documented = {name: rows[cell] for cell in rows for name in re.findall(r"\w+", cell)}
    declared: dict[str, str] = {}
    for name, _, default in re.findall(r"(?m)^ARG (\w+)(=(.*))?$", DOCKERFILE):
        declared[name] = default or declared.get(name, "")
    assert set(declared) == set(documented)
    for name, default in declared.items():
        assert default in documented[name], name


def test_each_stage_takes_its_base_from_an_argument() -> None:
    bases = re.findall(r"(?m)^FROM (\S+)", DOCKERFILE)
    assert [
        "${DUMPLING_IMAGE}:${DUMPLING_VERSION}",
        "${PYTHON_IMAGE}",
        "${PYTHON_IMAGE}",
    ] == bases


def test_the_paths_of_the_page_are_those_of_the_image() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    table = PAGE.split("## What is in it\n")[1].split("\n\n")[1]
    for path in re.findall(r"`(/\w[\w./-]*)`", table):
        assert re.search(rf"(?m)^COPY .* {path}$", final), path
    assert "--without-pip /opt/backup-manager" in DOCKERFILE
    (inspect,) = (words for words in commands() if "inspect" in words and "run" in words)
    # test_image_build runs the rest of it.
    expected = ["-m", "pip", "--python=/opt/backup-manager/bin/python", "inspect"]
    assert expected == inspect[-4:]


def _pod(text: str) -> dict[str, Any]:
    """The Pod that `render` makes of an object."""
    words = [sys.executable, "-m", "backup_manager", "render", "--image=backup-manager"]
    made = subprocess.run(words, input=text, capture_output=True, text=True, check=True)
    documents = {document["kind"]: document for document in yaml.safe_load_all(made.stdout)}
    cron = documents.get("CronJob")
    job = cron["spec"]["jobTemplate"] if cron else documents["Job"]
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def _manifest(page: str, heading: str) -> str:
    text = (ROOT / page).read_text(encoding="utf-8").split(heading)[1].split("\n## ")[0]
    (found,) = re.findall(r"(?s)```yaml\n(.*?)```", text)
    return str(found)


PODS = [("README.md", "## In Kubernetes"), ("docs/operations.md", "## On a schedule")]


@pytest.mark.parametrize(("page", "heading"), PODS)
def test_the_pods_of_the_pages_are_admitted_by_restricted(page: str, heading: str) -> None:
    pod = _pod(_manifest(page, heading))
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert "RuntimeDefault" == context["seccompProfile"]["type"]
    for volume in pod["volumes"]:
        assert set(volume) - {"name"} <= VOLUMES
    (container,) = pod["containers"]
    own = container["securityContext"]
    assert own["allowPrivilegeEscalation"] is False
    assert {"drop": ["ALL"]} == own["capabilities"]
    # Beyond the level: nothing of the image has to be written.
    assert own["readOnlyRootFilesystem"] is True
    assert not {"privileged", "procMount", "runAsUser", "seLinuxOptions"} & set(own)
    assert {"/backup", "/tmp"} == {mount["mountPath"] for mount in container["volumeMounts"]}
    assert not any("hostPort" in port for port in container.get("ports", []))
