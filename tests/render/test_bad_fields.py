"""Fields that are not there, are elsewhere, or are of another type; names; what is ignored."""

import pytest

from .rendering import BACKUP, SCHEDULE, changed, remedy, render, spec, told

ENV = "env:\n- name: A\n  "


# Fields ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "line", "fix"),
    [
        ("bucket:", "buckets:", 15, "is bucket meant?"),
        ("storageSize", "storagesize", 17, "is storageSize meant?"),
        ("secretName: t", "secretname: t", 11, "is secretName meant?"),
        ("spec:\n", "spec:\n  storageClasName: x\n", 7, "is storageClassName meant?"),
        ("spec:\n", "spec:\n  bucket: x\n", 7, "it belongs into spec.s3: move it there"),
        ("spec:\n", "spec:\n  host: x\n", 7, "it belongs into spec.from: move it there"),
        ("spec:\n", "spec:\n  user: x\n", 7, "it belongs into spec.from: move it there"),
        ("spec:\n", "spec:\n  secretName: x\n", 7, "it belongs into spec.from or spec.s3: move"),
        ("    bucket", "    storageSize: 1Gi\n    bucket", 15, "it belongs into spec: move it"),
        ("    bucket", "    tikvGCLifeTime: 1h\n    bucket", 15, "it belongs into spec: move it"),
        ("spec:\n", "tableFilter: []\nspec:\n", 6, "it belongs into spec or spec.dumpling: move"),
        ("spec:\n", "spec:\n  schedule: x\n", 7, "it is one of a BackupSchedule: leave"),
        ("spec:\n", "spec:\n  maxReservedTime: x\n", 7, "it is one of a BackupSchedule: leave"),
        ("spec:\n", "spec:\n  qqqqqq: x\n", 7, "leave it away, or see whether it is spelled right"),
        ("spec:\n", "qqqqqq: x\nspec:\n", 6, "leave it away, or see whether it is spelled right"),
        ("spec:\n", "  spec: {}\nspec:\n", 6, "it belongs beside kind and metadata: indent it"),
        ("spec:\n", "spec:\n  a.b.c: x\n", 7, "leave it away"),
        ("spec:\n", "spec:\n  1: x\n", 7, "leave it away"),
    ],
)
def test_an_unknown_field_of_a_backup(old: str, new: str, line: int, fix: str) -> None:
    text = changed(BACKUP, old, new)
    assert told(text).startswith(f"line {line}: ")
    assert told(text).endswith(" is no field of a Backup")
    assert remedy(text).startswith(fix)


@pytest.mark.parametrize("name", ["s3", "from", "serviceAccount", "dumpling", "tableFilter", "env"])
def test_a_field_one_level_too_high_in_a_schedule(name: str) -> None:
    text = changed(SCHEDULE, "  backupTemplate:\n", f"  {name}: x\n  backupTemplate:\n")
    assert f"line 9: spec.{name} is no field of a BackupSchedule" == told(text)
    assert "it belongs into spec.backupTemplate" in remedy(text)


@pytest.mark.parametrize("name", ["schedule", "maxBackups", "pause"])
def test_a_field_one_level_too_low_in_a_schedule(name: str) -> None:
    text = spec(f"{name}: x", SCHEDULE)
    assert f"line 21: spec.backupTemplate.{name} is no field of a BackupSchedule" == told(text)
    assert "it belongs into spec: move it there" == remedy(text)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_lines() -> None:
    text = changed(BACKUP, "port: 4000", 'port: "4000"')
    text = changed(text, "root", "12")
    text = changed(text, "bucket:", "buket:")
    made = render(text)
    assert ["line 9", "line 10", "line 15"] == [
        each.split(":")[0].removeprefix("stdin, ") for each in made.errors
    ]
    last = made.log[-1]
    assert "there are 3 mistakes in stdin" in last["event"]
    assert ("error", "InvalidSettings", 2) == (last["level"], last["reason"], last["exit_code"])


# Types -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected", "fix"),
    [
        (
            changed(BACKUP, "4000", '"4000"'),
            "line 9: spec.from.port is the text '4000'",
            "give a whole number",
        ),
        (
            changed(BACKUP, "4000", "4000.5"),
            "line 9: spec.from.port is the number 4000.5",
            "give a whole number",
        ),
        (
            changed(BACKUP, "4000", "yes"),
            "line 9: spec.from.port is yes, which YAML reads as true or false",
            "give a whole number",
        ),
        (
            changed(BACKUP, "root", "12"),
            "line 10: spec.from.user is the number 12",
            'put quotes around it: user: "12"',
        ),
        (
            changed(BACKUP, "root", "[root]"),
            "line 10: spec.from.user is a list",
            "give a text",
        ),
        (
            spec("useKMS: 'true'"),
            "line 18: spec.useKMS is the text 'true'",
            "give true or false",
        ),
        (
            spec("dumpling:\n  options: --threads=4"),
            "line 19: spec.dumpling.options is the text '--threads=4'",
            "give a list of texts",
        ),
        (
            spec("dumpling:\n  options:\n  - 4"),
            "line 20: spec.dumpling.options[0] is the number 4",
            'put quotes around it: - "4"',
        ),
        (
            spec("dumpling:\n  options:\n  -"),
            "line 20: spec.dumpling.options[0] is empty",
            "give a text",
        ),
        (spec("tableFilter: [{a: b}]"), "line 18: spec.tableFilter[0] is an object", "give a text"),
        (spec("dumpling: x"), "line 18: spec.dumpling is the text 'x'", "give an object"),
        (spec("affinity: []"), "line 18: spec.affinity is a list", "give an object"),
        (spec("resources: x"), "line 18: spec.resources is the text 'x'", "give an object"),
        (
            spec("tolerations: {a: b}"),
            "line 18: spec.tolerations is an object",
            "give a list of objects",
        ),
        (
            spec("imagePullSecrets: [registry]"),
            "line 18: spec.imagePullSecrets[0] is the text 'registry'",
            "give an object",
        ),
        (
            changed(SCHEDULE, 'maxReservedTime: "72h"', 'maxBackups: "3"'),
            "line 8: spec.maxBackups is the text '3'",
            "give a whole number",
        ),
        (
            changed(SCHEDULE, '"72h"', "72"),
            "line 8: spec.maxReservedTime is the number 72",
            'put quotes around it: maxReservedTime: "72"',
        ),
    ],
)
def test_a_value_of_another_type(text: str, expected: str, fix: str) -> None:
    assert expected == told(text)
    assert fix == remedy(text)


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_labels_and_annotations_are_texts(field: str) -> None:
    text = changed(BACKUP, "spec:\n", f"  {field}:\n    team: 5\nspec:\n")
    assert f"line 7: metadata.{field}.team is the number 5" == told(text)
    assert 'put quotes around it: team: "5"' == remedy(text)


@pytest.mark.parametrize("body", ["metadata: x\n", "metadata: [a]\n", "metadata: 5\n"])
def test_metadata_that_is_no_object_is_one_mistake(body: str) -> None:
    text = changed(BACKUP, "metadata:\n  name: demo1\n  namespace: test1\n", body)
    assert told(text).startswith("line 3: metadata is ")


# Variables ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "expected", "fix"),
    [
        ("value: 5", "line 20: the value of A is the number 5", 'put quotes around it: value: "5"'),
        (
            "value: yes",
            "line 20: the value of A is yes, which YAML reads as true or false",
            'put quotes around it: value: "yes"',
        ),
        ("value:", "line 20: the value of A is empty", 'put quotes around it: value: ""'),
        ("value: [a]", "line 20: the value of A is a list", "give a text"),
        ("valu: x", "line 20: the variable A has the unknown field valu", "is value meant?"),
        (
            "x: y",
            "line 20: the variable A has the unknown field x",
            "give value or valueFrom",
        ),
        (
            "value: x\n  valueFrom: {fieldRef: {fieldPath: metadata.name}}",
            "line 19: A has value and valueFrom",
            "leave one of them",
        ),
    ],
)
def test_a_variable_that_cannot_be(entry: str, expected: str, fix: str) -> None:
    assert expected == told(spec(ENV + entry))
    assert fix == remedy(spec(ENV + entry))


@pytest.mark.parametrize("entry", ["value: x", "name: ''", "name: 5", "name:", "name: a=b"])
def test_a_variable_without_a_name(entry: str) -> None:
    assert told(spec(f"env:\n- {entry}")).startswith("line 19: this variable has no name")


@pytest.mark.parametrize("text", [BACKUP, SCHEDULE])
def test_a_variable_with_a_setting_that_is_wrong(text: str) -> None:
    line = 1 + len(text.splitlines())
    wrong = spec("env: [{name: BACKUP_MANAGER_PORT, value: x}]", text)
    assert f"line {line}: BACKUP_MANAGER_PORT is wrong: 'x' is no port" == told(wrong)


def test_a_variable_that_is_spelt_wrong_is_warned_of() -> None:
    made = render(spec("env: [{name: BACKUP_MANAGER_BUKET, value: x}]"))
    (warning,) = made.warnings
    assert warning.startswith("stdin, line 18: the variable BACKUP_MANAGER_BUKET is no setting")


# Placeholders ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["${x}", "a-${x_1}-b", "${ x }", "${x:-y}", "${}"])
@pytest.mark.parametrize(
    "field",
    [
        "tikvGCLifeTime: '@'",
        "tableFilter: ['@']",
        "affinity: {a: [{b: '@'}]}",
        "imagePullSecrets: [{name: '@'}]",
        "env: [{name: A, value: '@'}]",
        "toolImage: '@'",
    ],
)
def test_a_placeholder_anywhere(field: str, value: str) -> None:
    assert " still has the placeholder ${" in told(spec(field.replace("@", value)))


def test_a_placeholder_of_an_annotation() -> None:
    text = changed(BACKUP, "spec:\n", "  annotations:\n    role: ${role}\nspec:\n")
    assert "line 7: metadata.annotations.role still has the placeholder ${role}" == told(text)
