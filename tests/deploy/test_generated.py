"""What `make deploy` writes is what is committed, and nothing of it is left over."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no annotations of its own

from backup_manager import __version__
from backup_manager.definitions import DEFINITIONS
from tests.command import ROOT

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "backup-manager"
BY_HAND = {
    "README.md",
    "helm/backup-manager/values.yaml",
    "helm/backup-manager/templates/NOTES.txt",
    "helm/backup-manager/templates/_helpers.tpl",
    *(f"kustomize/example/{file.name}" for file in (DEPLOY / "kustomize/example").iterdir()),
}


def files(directory: Path) -> dict[str, str]:
    return {
        str(file.relative_to(directory)): file.read_text(encoding="utf-8")
        for file in directory.rglob("*")
        if file.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("deploy")
    command = [sys.executable, "-m", "scripts.deploy", str(directory)]
    subprocess.run(command, check=True, cwd=ROOT)
    return files(directory)


def test_it_is_up_to_date(made: dict[str, str]) -> None:
    committed = {name: text for name, text in files(DEPLOY).items() if name not in BY_HAND}
    assert committed == made, "run `make deploy` and commit deploy/"


def test_the_chart_has_the_version_of_the_program() -> None:
    card = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert __version__ == card["version"] == card["appVersion"]


def _paths(fields: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """The values that are there, with what is in them where the schema knows that."""
    for name, value in fields.items():
        inner = schema["properties"].get(name, {})
        if "properties" in inner:
            yield from _paths(value, inner, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def _known(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, inner in schema["properties"].items():
        if "properties" in inner:
            yield from _known(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_values_has_each_value_that_the_schema_knows() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    # Helm's own, and what a Backup that is pasted may have, to no effect.
    unsaid = {"global", "backupType", "backupMode"}
    assert set(_known(schema)) - unsaid == set(_paths(values, schema))


def test_settings_has_what_it_can_say_as_variables_of_ours() -> None:
    text = (DEPLOY / "kustomize/base/settings.env").read_text(encoding="utf-8")
    said = {line.strip("#=") for line in text.splitlines() if line.endswith("=")}
    assert said <= {definition.own_variable for definition in DEFINITIONS}
    for name in ("HOST", "BUCKET", "TABLE_FILTER", "MAX_BACKUPS", "S3_OPTION"):
        assert f"BACKUP_MANAGER_{name}" in said
    assert "BACKUP_MANAGER_SCHEDULE" not in said
