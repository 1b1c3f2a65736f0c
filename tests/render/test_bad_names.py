"""Kinds, versions and names that are none; what is ignored, and what is said of it."""

import pytest

from .rendering import BACKUP, SCHEDULE, changed, remedy, render, spec, told

# Kinds -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("kind: Backup", "kind: backup", "line 2: kind backup is not rendered"),
        ("kind: Backup", "kind: Restore", "line 2: kind Restore is not rendered"),
        ("kind: Backup", "kind: 5", "line 2: kind is the number 5"),
        ("kind: Backup\n", "", "line 1: there is no kind"),
        ("apiVersion: pingcap.com/v1alpha1\n", "", "line 1: there is no apiVersion"),
        (
            "pingcap.com/v1alpha1",
            "br.pingcap.com/v1alpha1",
            "line 1: apiVersion br.pingcap.com/v1alpha1 has no Backup with Dumpling",
        ),
        (
            "pingcap.com/v1alpha1",
            "[a]",
            "line 1: apiVersion is a list",
        ),
    ],
)
def test_another_kind_or_version(old: str, new: str, expected: str) -> None:
    assert expected == told(changed(BACKUP, old, new))


def test_a_kind_that_is_nearly_right_is_named() -> None:
    assert remedy(changed(BACKUP, "kind: Backup", "kind: backup")).startswith("is Backup meant?")
    assert remedy(changed(SCHEDULE, "kind: BackupSchedule", "kind: BackupSchedul")).startswith(
        "is BackupSchedule meant?"
    )


# Names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ['""', "Demo", "a_b", "-a", "a-", "é", "a/b", "..", "a..b", ".a", "a.-b", '"a\\nb"', '"a b"'],
)
def test_a_name_that_no_object_has(name: str) -> None:
    assert told(changed(BACKUP, "demo1", name)).startswith("line 4: metadata.name: ")
    assert told(changed(SCHEDULE, "nightly", name)).startswith("line 4: metadata.name: ")


@pytest.mark.parametrize(
    ("text", "own", "longest", "kind"),
    [(BACKUP, "demo1", 63, "a Job"), (SCHEDULE, "nightly", 52, "a CronJob")],
)
def test_the_longest_name(text: str, own: str, longest: int, kind: str) -> None:
    assert 0 == render(changed(text, own, "a" * longest)).exit_code
    wrong = changed(text, own, "a" * (longest + 1))
    expected = f"line 4: metadata.name has {longest + 1} characters, and becomes {kind}"
    assert expected == told(wrong)
    assert f"give one of {longest} at most" == remedy(wrong)


@pytest.mark.parametrize("name", ["a.b", "a" * 64, "Test", "''"])
def test_a_name_that_no_namespace_has(name: str) -> None:
    assert told(changed(BACKUP, "test1", name)).startswith("line 5: metadata.namespace: ")


@pytest.mark.parametrize(
    "text",
    [
        changed(BACKUP, "  name: demo1\n", ""),
        changed(BACKUP, "  name: demo1\n", "  generateName: demo1-\n"),
        changed(BACKUP, "name: demo1", "name:"),
        changed(BACKUP, "metadata:\n  name: demo1\n  namespace: test1\n", ""),
    ],
)
def test_no_name(text: str) -> None:
    assert told(text).endswith("there is no metadata.name")


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        (changed(BACKUP, "tidb-secret", "A b"), "spec.from.secretName", 11),
        (changed(BACKUP, "s3-secret", "A b"), "spec.s3.secretName", 16),
        (spec("serviceAccount: A b"), "spec.serviceAccount", 18),
        (spec("priorityClassName: A b"), "spec.priorityClassName", 18),
        (spec("storageClassName: A b"), "spec.storageClassName", 18),
        (
            spec("serviceAccount: A b", SCHEDULE),
            "spec.backupTemplate.serviceAccount",
            21,
        ),
    ],
)
def test_a_name_of_something_else_that_is_none(text: str, path: str, line: int) -> None:
    assert f"line {line}: {path} is wrong: 'A b' is no name of an object" == told(text)


@pytest.mark.parametrize(
    ("first", "second"),
    [(BACKUP, BACKUP), (BACKUP, changed(SCHEDULE, "nightly", "demo1")), (SCHEDULE, SCHEDULE)],
)
def test_two_of_one_name(first: str, second: str) -> None:
    kind = "Backup" if first == BACKUP else "BackupSchedule"
    line = len(first.splitlines()) + 5
    found = told(f"{first}---\n{second}")
    assert found.startswith(f"line {line}: ")
    assert f"has the name of the {kind} in stdin, line 4, and each name has one volume" in found


def test_two_of_one_name_in_two_namespaces() -> None:
    other = changed(BACKUP, "test1", "test2")
    assert 0 == render(f"{BACKUP}---\n{other}").exit_code
    assert "has the name of the Backup" in told(f"{BACKUP}---\n{other}", "--namespace=x")


# Ignored -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("br: {cluster: x}", "it has a meaning for BR only"),
        ("gcs: {bucket: x}", "backups go to spec.s3 alone"),
        ("cleanPolicy: Delete", "no backup goes when a Job is deleted"),
        ("cleanOption: {pageSize: 5}", "it tells the operator what to do"),
        ("backoffRetryPolicy: {maxRetryTimes: 5}", "the Job's backoffLimit takes its place"),
        ("volumeBackupInitJobMaxActiveSeconds: 5", "it has a meaning for BR only"),
        ("calcSizeLevel: last", "it has a meaning for BR only"),
        ("logStop: true", "it has a meaning for BR only"),
    ],
)
def test_what_is_ignored_is_said(field: str, why: str) -> None:
    made = render(spec(field))
    (warning,) = made.warnings
    assert warning.startswith(f"stdin, line 18: spec.{field.partition(':')[0]} is ignored: {why}")
    assert render(BACKUP).stdout == made.stdout


@pytest.mark.parametrize(
    "field",
    [
        "cleanPolicy: Retain",
        "calcSizeLevel: all",
        "backupMode: snapshot",
        "backupType: full",
        "volumeBackupInitJobMaxActiveSeconds: 600",
        "backoffRetryPolicy:\n  {maxRetryTimes: 2, minRetryDuration: 300s, retryTimeout: 30m}",
        "br:",
        "gcs: null",
    ],
)
def test_what_the_api_server_puts_there_by_itself_is_no_matter(field: str) -> None:
    made = render(spec(field))
    assert [] == made.warnings
    assert render(BACKUP).stdout == made.stdout


def test_two_table_filters_and_a_type_of_br_are_warned_of() -> None:
    made = render(spec("tableFilter: [a.b]\ndumpling: {tableFilter: [c.d]}\nbackupType: db"))
    first, second = made.warnings
    assert first.startswith("stdin, line 19: spec.dumpling.tableFilter counts for nothing, as spec")
    assert second.startswith("stdin, line 20: backupType db has a meaning for BR only: the table")
    assert ["--table-filter=a.b"] == [word for word in made.args if "filter" in word]
