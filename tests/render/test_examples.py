"""The guide's eight examples as they stand there: what is missing in them, and what is wrong."""

import re
from pathlib import Path

import pytest

from .rendering import GOOD_EXAMPLES, HERE, PLACEHOLDERS, changed, filled, render

SLIPS = HERE / "slips"
GOOD = [
    GOOD_EXAMPLES / f"{name}.yaml"
    for name in ("key", "ceph", "schedule-key", "schedule-ceph", "schedule-pod-role")
]
AD_HOC = [SLIPS / "pod-role.yaml", SLIPS / "account-role.yaml"]
SCHEDULED = SLIPS / "schedule-account-role.yaml"
by_name = pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
indented_wrong = pytest.mark.parametrize("file", AD_HOC, ids=lambda file: file.stem)


def to_be_filled(text: str) -> list[tuple[int, str]]:
    """The line of each placeholder that is no comment's, and the placeholder."""
    lines = enumerate(text.splitlines(), 1)
    return [
        (number, found[0])
        for number, line in lines
        if (found := re.search(r"\$\{\w+\}", line)) and "#" not in line
    ]


@by_name
def test_each_placeholder_of_an_example_is_told_with_its_line(file: Path) -> None:
    text = file.read_text()
    made = render(text)
    assert 2 == made.exit_code
    expected = to_be_filled(text)
    assert len(expected) >= 5
    found = [re.match(r"stdin, line (\d+): .*placeholder (\S+?)\.", each) for each in made.errors]
    assert expected == [(int(each[1]), each[2]) for each in found if each]
    assert len(expected) == len(made.errors)
    (count,) = [each["event"] for each in made.log if "exit_code" in each]
    assert f"there are {len(expected)} mistakes in stdin" in count


@by_name
@pytest.mark.parametrize("name", sorted(PLACEHOLDERS))
def test_the_last_placeholder_alone_is_told_too(file: Path, name: str) -> None:
    text = file.read_text()
    left = filled(text.replace(name, "@@")).replace("@@", name)
    made = render(left)
    assert [f"{line}" for line, _ in to_be_filled(left)] == [
        re.findall(r"line (\d+)", each)[0] for each in made.errors
    ]
    assert (2 if name in left else 0) == made.exit_code


@by_name
def test_an_example_is_rendered_once_it_is_filled_in(file: Path) -> None:
    made = render(filled(file.read_text()))
    kind = "CronJob" if file.stem.startswith("schedule") else "Job"
    assert ["PersistentVolumeClaim", kind] == [each["kind"] for each in made.objects]
    assert [] == made.warnings


@indented_wrong
def test_what_stands_beside_metadata_and_spec_is_told_with_its_lines(file: Path) -> None:
    text = file.read_text()
    lines = [""] + [line.strip() for line in text.splitlines()]
    made = render(text)
    assert 2 == made.exit_code
    assert 2 == len(made.errors)
    for error, key, child in zip(
        made.errors, ("metadata", "spec"), ("name", "backupType"), strict=True
    ):
        assert f"line {lines.index(f'{key}:')}: {key} is empty" in error
        assert f"({child} ...) stands beside it" in error
        assert f"indent lines {lines.index(f'{key}:') + 1} to " in error


@indented_wrong
def test_an_example_is_rendered_once_its_lines_are_indented_as_the_message_says(
    file: Path,
) -> None:
    lines = filled(file.read_text()).splitlines()
    for error in render("\n".join(lines)).errors:
        found = re.search(r"indent lines (\d+) to (\d+) by two more spaces", error)
        assert found, error
        for number in range(int(found[1]) - 1, int(found[2])):
            lines[number] = f"  {lines[number]}"
    text = "\n".join(lines) + "\n"
    right = render(filled((GOOD_EXAMPLES / file.name).read_text()))
    assert right.objects == render(text).objects


@indented_wrong
def test_placeholders_are_told_where_the_indentation_is_right(file: Path) -> None:
    text = (GOOD_EXAMPLES / file.name).read_text()
    made = render(text)
    assert len(to_be_filled(text)) == len(made.errors)
    assert 0 == render(filled(text)).exit_code


def test_the_account_beside_the_template_belongs_into_it() -> None:
    text = filled(SCHEDULED.read_text())
    made = render(text)
    assert 2 == made.exit_code
    (error,) = made.errors
    line = 1 + text.splitlines().index("  serviceAccount: tidb-backup-manager")
    assert error.startswith(f"stdin, line {line}: spec.serviceAccount is no field")
    assert "it belongs into spec.backupTemplate: move it there" in error


def test_the_scheduled_example_is_rendered_once_the_account_is_moved() -> None:
    text = changed(
        filled(SCHEDULED.read_text()),
        "  serviceAccount: tidb-backup-manager\n  backupTemplate:\n",
        "  backupTemplate:\n    serviceAccount: tidb-backup-manager\n",
    )
    assert "tidb-backup-manager" == render(text).pod["spec"]["serviceAccountName"]


def test_slips_and_placeholders_are_told_together() -> None:
    text = SCHEDULED.read_text()
    assert 1 + len(to_be_filled(text)) == len(render(text).errors)


def test_the_three_slips_are_those_of_the_mended_examples() -> None:
    for file in AD_HOC:
        mended = (GOOD_EXAMPLES / file.name).read_text().splitlines()[1:]
        slips = file.read_text().splitlines()
        assert [line.strip(" #") for line in mended] == [line.strip(" #") for line in slips]
