"""Values, characters, ends of lines and documents, as the tools of Kubernetes read them."""

import json

import pytest

from .rendering import BACKUP, SCHEDULE, changed, remedy, render, spec, told

# Values of YAML 1.1, and tags --------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["1:30", "1e3", "2026-01-01", "2026-01-01T10:00:00Z", "=", "<<", "0o17", "y", "n", "!!str 12"],
)
def test_plain_words_that_are_texts(value: str) -> None:
    made = render(changed(BACKUP, "root", value))
    assert f"--user={value.removeprefix('!!str ')}" in made.args


@pytest.mark.parametrize(
    ("value", "reads"),
    [
        *(("012", "10"), ("0x1F", "31"), ("1_000", "1000"), ("1.0e+3", "1000.0")),
        *((".inf", "inf"), (".NaN", "nan"), ("0b11", "3"), ("+5", "5")),
    ],
)
def test_a_number_in_place_of_a_text_is_quoted_as_it_stands_there(value: str, reads: str) -> None:
    text = changed(BACKUP, "root", value)
    assert f"line 10: spec.from.user is {value}, which YAML reads as the number {reads}" == told(
        text
    )
    assert f'put quotes around it: user: "{value}"' == remedy(text)
    assert f"--user={value}" in render(changed(BACKUP, "root", f'"{value}"')).args


@pytest.mark.parametrize("value", ["yes", "No", "on", "OFF", "true", "False"])
def test_a_truth_in_place_of_a_text_is_quoted_as_it_stands_there(value: str) -> None:
    text = changed(BACKUP, "root", value)
    assert f"line 10: spec.from.user is {value}, which YAML reads as true or false" == told(text)
    assert f'put quotes around it: user: "{value}"' == remedy(text)
    assert f"--user={value}" in render(changed(BACKUP, "root", f'"{value}"')).args


@pytest.mark.parametrize("value", ["~", "null", "", "Null"])
def test_nothing_is_as_if_it_were_not_there(value: str) -> None:
    assert not [word for word in render(changed(BACKUP, "root", value)).args if "user" in word]
    assert told(changed(BACKUP, "host: tidb", f"host: {value}")).endswith(
        "there is no spec.from.host: it does not say what to back up"
    )


@pytest.mark.parametrize(
    "value",
    [
        *("!!python/object:os.system x", "!!binary aGVsbG8=", "!!timestamp abc", "!foo x"),
        *("!!set {a, b}", "!!omap [a: b]", "!!pairs [a: b]", "!!seq x", "!!int [1]", "!!map []"),
    ],
)
def test_tags_are_refused(value: str) -> None:
    tag = value.partition(" ")[0]
    found = told(changed(BACKUP, "root", value))
    assert f"line 10: {tag} is taken for a tag, and none is known here" == found


@pytest.mark.parametrize("value", ["!!int abc", "!!float abc", "!!bool abc", "9" * 5000])
def test_a_value_that_cannot_be_read_is_told_with_its_line(value: str) -> None:
    found = told(changed(BACKUP, "root", value))
    assert found.startswith("line 10: ")
    assert "could be read" in found


# Characters, and ends of lines -------------------------------------------------------------


def test_no_utf8_is_told_with_its_line() -> None:
    data = changed(BACKUP, "root", "röot").encode("latin-1")
    assert "line 10: this is no UTF-8" == told(data)
    assert "line 1: this is no UTF-8" == told(BACKUP.encode("utf-16"))


@pytest.mark.parametrize("character", ["\0", "\x01", "\x1b", "\x7f", "\x0b", "\x0c", "\ufffe"])
def test_characters_that_yaml_has_not_are_told_with_their_line(character: str) -> None:
    text = changed(BACKUP, "root", f"ro{character}ot")
    assert f"line 10: the character U+{ord(character):04X} stands in it" == told(text)


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_ends_of_lines_of_others(ends: str) -> None:
    assert render(BACKUP).stdout == render(BACKUP.replace("\n", ends)).stdout


def test_lines_are_counted_right_with_ends_of_lines_of_others() -> None:
    text = changed(BACKUP, "root", "12").replace("\n", "\r\n")
    assert told(text).startswith("line 10: ")
    text = changed(BACKUP, "root", "1\x012").replace("\n", "\r\n")
    assert told(text).startswith("line 10: ")


def test_a_byte_order_mark_is_no_matter() -> None:
    assert render(BACKUP).stdout == render(b"\xef\xbb\xbf" + BACKUP.encode()).stdout


@pytest.mark.parametrize("character", ["\u00a0", "\ufeff", "\u200b", "\u3000"])
def test_a_character_that_nobody_sees_before_a_key(character: str) -> None:
    text = changed(BACKUP, "    host: tidb", f"    {character}host: tidb")
    assert told(text).startswith("line 8: ")
    assert f"U+{ord(character):04X} stands in its name: type the line anew" == remedy(text)


def test_half_a_character_is_refused() -> None:
    assert told(changed(BACKUP, "root", '"\\ud800"')).startswith("line 10: ")


@pytest.mark.parametrize("field", ["host: tidb", "user: root", "name: demo1"])
def test_a_text_with_a_nul_ends_there_for_linux(field: str) -> None:
    key = field.partition(":")[0]
    made = render(changed(BACKUP, field, f'{key}: "a\\0b"'))
    assert 2 == made.exit_code
    assert "has the character NUL in it" in made.errors[0]


# Whole documents ---------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "\n", "# a comment\n", "---\n", "---\n---\n...\n", "~\n"])
def test_nothing_to_render(text: str) -> None:
    made = render(text)
    assert 2 == made.exit_code
    (error,) = made.errors
    assert error.startswith("there is nothing to render in stdin. To do: give")


@pytest.mark.parametrize("text", ["- a\n", "hello\n", "5\n", "true\n", '"x"\n', "[]\n"])
def test_what_is_no_object(text: str) -> None:
    assert "line 1: this is no object with apiVersion, kind, metadata and spec" == told(text)


def test_a_list_of_objects_says_where_it_is_wrong() -> None:
    listed = "apiVersion: v1\nkind: List\nitems:\n" + "".join(
        f"{'- ' if not number else '  '}{line}\n"
        for number, line in enumerate(changed(BACKUP, "bucket", "buket").splitlines())
    )
    assert "line 18: spec.s3.buket is no field of a Backup" == told(listed)
    assert render(BACKUP).stdout == render(listed.replace("buket", "bucket")).stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: List\n", "line 1: kind List is not rendered"),
        ("kind: List\nitems:\n- 5\n", "line 3: this is no object"),
        ("kind: [List]\nitems: []\n", "line 1: kind is a list"),
        ("kind: {a: List}\nitems: []\n", "line 1: kind is an object"),
    ],
)
def test_a_list_that_is_none(text: str, expected: str) -> None:
    assert told(text).startswith(expected)


def test_several_documents_are_rendered_in_their_order() -> None:
    made = render(f"{BACKUP}---\n# nothing\n---\n{SCHEDULE}...\n")
    assert ["demo1", "demo1", "nightly", "nightly"] == [
        each["metadata"]["name"] for each in made.objects
    ]
    wrong = changed(SCHEDULE, "bucket: backups", "buket: backups")
    expected = "line 36: spec.backupTemplate.s3.buket is no field of a BackupSchedule"
    assert expected == told(f"{BACKUP}---\n{wrong}")


def test_a_version_of_yaml_may_be_named() -> None:
    assert render(BACKUP).stdout == render(f"%YAML 1.2\n---\n{BACKUP}").stdout
    assert told(f"%YAML 2.0\n---\n{BACKUP}").startswith("line 1: ")


def test_json_with_tabs_and_with_characters_in_halves() -> None:
    body = {
        "apiVersion": "pingcap.com/v1alpha1",
        "kind": "Backup",
        "metadata": {"name": "demo1", "annotations": {"owner": "😀 é \t/"}},
        "spec": {"from": {"host": "tidb", "secretName": "s"}, "s3": {"bucket": "backups"}},
    }
    expected = render(json.dumps(body, ensure_ascii=False))
    assert "😀 é \t/" == expected.pod["metadata"]["annotations"]["owner"]
    assert expected.stdout == render(json.dumps(body, indent="\t")).stdout
    assert expected.stdout == render(json.dumps(body, indent=2)).stdout
    assert expected.stdout == render(json.dumps(body).replace("/", "\\/")).stdout


def test_a_file_may_be_as_long_as_it_likes() -> None:
    many = [f"x{number}" for number in range(12_000)]
    made = render(spec(f"affinity: {{a: [{', '.join(many)}]}}"))
    assert {"a": many} == made.pod["spec"]["affinity"]


def test_a_long_list_of_objects_is_rendered_in_its_order() -> None:
    names = [f"demo{number}" for number in range(60)]
    items = [changed(BACKUP, "demo1", name) for name in names]
    listed = "kind: BackupList\nitems:\n" + "".join(
        "".join(f"{'  ' if number else '- '}{line}\n" for number, line in enumerate(each))
        for each in (item.splitlines() for item in items)
    )
    made = render(listed)
    jobs = [each["metadata"]["name"] for each in made.objects if each["kind"] == "Job"]
    assert names == jobs
    line = 2 + 17 * 41 + 10
    wrong = listed.splitlines()
    wrong[line - 1] = wrong[line - 1].replace("root", "012")
    assert f"line {line}: spec.from.user is 012, which YAML reads as the number 10" == told(
        "\n".join(wrong)
    )
