"""The commands of deploy/README.md and of the chart's notes; no cluster is asked for anything.

What would change a cluster is put into its tool as what only shows what it would do.
"""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it has no annotations of its own

from tests.command import ROOT
from tests.deploy import kustomize
from tests.deploy.charts import CLUSTER, HELM, helm
from tests.servers.helm import ABSENT

_DEPLOY = ROOT / "deploy"
_TEXT = (_DEPLOY / "README.md").read_text(encoding="utf-8")
_SHOWS = {
    "helm upgrade --install": f"helm template {CLUSTER}",
    "kubectl apply --kustomize": "kubectl kustomize",
}
# What finds its objects by name alone; kubectl then finds no server.
_NOBODY = "--server=http://127.0.0.1:9"


def _commands(heading: str) -> list[list[str]]:
    section = _TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"(?s)```shell\n(.*?)```", section)
    inline = re.findall(r"`((?:kubectl|helm) [^`]* [^`]*)`", section)
    lines = [re.sub(r"\s+#.*", "", line) for block in blocks for line in block.splitlines()]
    found = []
    for line in [*lines, *inline]:
        text = line
        for command, shown in _SHOWS.items():
            text = text.replace(command, shown)
        found.append(shlex.split(text))
    return found


def _run(words: list[str], directory: Path) -> None:
    if words[0] == "helm":
        if words[1] == "uninstall":
            return
        assert HELM is not None
        words = [HELM, *words[1:]]
    asks = words[0] == "kubectl" and words[1] != "kustomize"
    done = subprocess.run(
        [*words, _NOBODY] if asks else words,
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
    )
    if asks:
        assert "127.0.0.1:9" in done.stderr, done.stderr
    else:
        assert not done.returncode, done.stderr


@pytest.mark.skipif(HELM is None, reason=ABSENT)
@pytest.mark.skipif(bool(kustomize.ABSENT), reason=kustomize.ABSENT)
def test_the_commands_of_helm_work(tmp_path: Path) -> None:
    shutil.copytree(_DEPLOY, tmp_path / "deploy")
    (values,) = re.findall(r"(?s)```yaml\n(.*?)```", _TEXT)
    (tmp_path / "demo1.yaml").write_text(values)
    commands = _commands("Helm")
    assert 6 == len(commands)
    for words in commands:
        _run(words, tmp_path)


@pytest.mark.skipif(bool(kustomize.ABSENT), reason=kustomize.ABSENT)
def test_the_commands_of_kustomize_work(tmp_path: Path) -> None:
    shutil.copytree(_DEPLOY, tmp_path / "deploy")
    commands = _commands("kustomize")
    assert 4 == len(commands)
    for words in commands:
        _run(words, tmp_path)


@pytest.mark.skipif(HELM is None, reason=ABSENT)
@pytest.mark.skipif(bool(kustomize.ABSENT), reason=kustomize.ABSENT)
@pytest.mark.parametrize("schedule", ["", "@daily"])
def test_the_commands_of_the_notes_work(schedule: str, tmp_path: Path) -> None:
    # Helm shows notes only once it has installed: here they are made an object's text.
    chart = shutil.copytree(_DEPLOY / "helm" / "backup-manager", tmp_path / "chart")
    (chart / "templates" / "NOTES.txt").rename(chart / "notes")
    shown = '{"notes": {{ tpl ($.Files.Get "notes") $ | toJson }}}'
    (chart / "templates" / "notes.yaml").write_text(shown)
    values = "image=a,from.host=a,from.secretName=a,s3.bucket=abc"
    words = ["template", "demo1", str(chart), CLUSTER, "--show-only=templates/notes.yaml"]
    done = helm(*words, "--namespace=test1", f"--set={values},schedule={schedule}")
    assert not done.returncode, done.stderr
    notes = yaml.safe_load(done.stdout)["notes"]
    commands = [shlex.split(line) for line in notes.splitlines() if line.startswith("  kubectl")]
    assert 3 == len(commands)
    for words in commands:
        assert "--namespace test1" in " ".join(words)
        _run(words, tmp_path)


def test_what_it_points_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)", _TEXT)
    assert links
    assert [] == [link for link in links if not (_DEPLOY / link).exists()]
