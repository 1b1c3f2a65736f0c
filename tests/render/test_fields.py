"""The fields that are known here are those of the operator's own definitions."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no annotations of its own

from backup_manager.render.fields import KINDS, OBJECTS, Ignored, Kind, children_of

from .rendering import HERE

# CronJobs have it, and BackupSchedules of v1.6 have not.
OUR_OWN = {"spec.timeZone"}
TYPES = {"string": Kind.TEXT, "integer": Kind.NUMBER, "boolean": Kind.BOOLEAN}


def definitions() -> dict[str, dict[str, Any]]:
    """The schema of `spec`, by kind."""
    text = (HERE.parent / "kube" / "crds.yaml").read_text()
    found = {}
    for each in yaml.safe_load(text)["items"]:
        (version,) = each["spec"]["versions"]
        schema = version["schema"]["openAPIV3Schema"]
        found[each["spec"]["names"]["kind"]] = schema["properties"]["spec"]
    return found


def differences(schema: Mapping[str, Any], known: Any, path: str) -> Iterator[str]:
    """What the definition has, and is not known here with that type."""
    if isinstance(known, Ignored):
        return
    if isinstance(known, Mapping):
        for name, inner in schema["properties"].items():
            if name in known:
                yield from differences(inner, known[name], f"{path}.{name}")
            else:
                yield f"{path}.{name} is not known"
        return
    expected = TYPES.get(schema["type"])
    if schema["type"] == "array":
        expected = Kind.TEXTS if schema["items"]["type"] == "string" else Kind.LIST
    elif schema["type"] == "object":
        expected = Kind.OBJECT
    if expected is not known:
        yield f"{path} is {known!r}, and {expected!r} there"


@pytest.mark.parametrize("kind", KINDS)
def test_all_fields_of_the_operators_definition_are_known_with_their_types(kind: str) -> None:
    assert [] == list(differences(definitions()[kind], KINDS[kind], "spec"))


def no_fields_of(schema: Mapping[str, Any], known: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, inner in known.items():
        there = schema["properties"].get(name)
        if there is None:
            yield f"{path}.{name}"
        elif isinstance(inner, Mapping):
            yield from no_fields_of(there, inner, f"{path}.{name}")


def test_what_is_asked_of_users_is_in_the_operators_definition() -> None:
    """Else a user could not give the same file to a cluster with the operator."""
    extra = set(no_fields_of(definitions()["Backup"], KINDS["Backup"], "spec"))
    assert set() == extra
    scheduled = set(no_fields_of(definitions()["BackupSchedule"], KINDS["BackupSchedule"], "spec"))
    of_br = {f"spec.{name}" for name, kind in KINDS["BackupSchedule"].items() if kind == _ignored()}
    assert OUR_OWN == scheduled - of_br


def _ignored() -> Ignored:
    known = KINDS["BackupSchedule"]["br"]
    assert isinstance(known, Ignored)
    return known


def test_defaults_of_the_definition_are_those_of_which_nothing_is_said() -> None:
    for name, schema in definitions()["Backup"]["properties"].items():
        known = KINDS["Backup"][name]
        if isinstance(known, Ignored) and schema.get("default"):
            assert schema["default"] == known.default, name


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_what_belongs_into_an_object_is_known_where_its_indentation_is_looked_at(name: str) -> None:
    holds, beside = children_of(name)
    assert holds
    assert name in beside


def test_what_holds_fields_is_known_by_its_name() -> None:
    nested = {
        name
        for fields in KINDS.values()
        for name, inner in fields.items()
        if isinstance(inner, Mapping)
    }
    assert nested | {"metadata", "spec"} == OBJECTS
