"""What is written: the same bytes for the same, and nothing that another reader takes otherwise."""

import json
import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no annotations of its own
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backup_manager.render.output import as_yaml, written

from .rendering import BACKUP, GOOD_EXAMPLES, SCHEDULE, changed, filled, render

# What some reader of YAML takes for a number, a truth, a date, nothing, or a sign of its own.
TAKEN_OTHERWISE = [
    *("1e3", "1E3", "0o7", "012", "0x1f", "0b1", "1_000", ".5", "5.", "1.5", "-1", "+1", "1:30"),
    *("yes", "no", "on", "off", "y", "n", "Y", "N", "true", "True", "TRUE", "false", "null"),
    *("Null", "~", "", "=", "<<", "-", "--", "---", "...", "?", ":", "*a", "&a", "!a", "%a", "@a"),
    *("`a", "|", ">", "'", '"', "#", "# x", "x #y", "x: y", "x:", ": x", " x", "x ", "\tx", "x\t"),
    *("2026-01-01", "2026-01-01T00:00:00Z", ".inf", "-.INF", ".nan", "[a]", "{a: b}", "a,b", "}"),
    *("a\nb", "\n", "a\n", "\r", "a\r\nb", "é", "😀", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff"),
    *("\0", "\x1b[31m", "\\", "$(A)", "$$", "0", "1e", "123e4567", "--a=b c"),
    *("a" * 300 + " " + "b" * 300, "0.1.2", "12Gi", "10Gi", "1k", "__", "_1", "İ"),
]
TEXTS = st.sampled_from(TAKEN_OTHERWISE) | st.text(
    st.characters(codec="utf-8"), max_size=30
)  # no halves of characters: input has none
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
QUICK = settings(max_examples=60, deadline=None)  # a busy machine has its moments
# Plain words of YAML 1.2's core schema, and of 1.1, that are no texts.
RESERVED = re.compile(
    r"~|null|true|false|y|n|yes|no|on|off|[-+]?\.(inf|nan)|[-+]?[0-9].*|[-+]?\.[0-9].*",
    re.IGNORECASE,
)


@given(VALUES)
@QUICK
@example({text: text for text in TAKEN_OTHERWISE})
@example(TAKEN_OTHERWISE)
def test_what_is_written_is_read_back(value: Any) -> None:
    text = as_yaml(value)
    assert value == yaml.safe_load(text)
    assert value == yaml.load(text, Loader=yaml.BaseLoader) or not only_texts(value)
    assert text == as_yaml(value)


def only_texts(value: Any) -> bool:
    if isinstance(value, dict):
        return all(only_texts(item) for item in value.values())
    if isinstance(value, list):
        return all(only_texts(item) for item in value)
    return isinstance(value, str)


@given(TEXTS)
@QUICK
@example("--a=b")
def test_a_text_without_quotes_is_a_text_to_every_reader(text: str) -> None:
    shown = as_yaml([text]).removeprefix("- ").removesuffix("\n")
    if not shown.startswith('"'):
        assert text == shown
        assert not RESERVED.fullmatch(text)
        assert re.fullmatch(r"[A-Za-z/-][!-~]*", text)
        assert not re.search(r"[:#,\[\]{}&*?|<>=!%@`'\"\\](\s|$)|^-(\s|$|-$)", text)


@pytest.mark.parametrize("text", TAKEN_OTHERWISE)
def test_what_may_be_taken_otherwise_is_quoted(text: str) -> None:
    shown = as_yaml([text]).removeprefix("- ").removesuffix("\n")
    assert shown.startswith('"')
    assert text == yaml.safe_load(shown)
    assert "\n" not in shown


@given(st.lists(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3), max_size=3))
@QUICK
def test_both_forms_have_the_same_objects(objects: list[dict[str, Any]]) -> None:
    as_json = json.loads(written(objects, "json"))
    assert objects == as_json["items"]
    assert ("v1", "List") == (as_json["apiVersion"], as_json["kind"])
    assert objects == list(yaml.safe_load_all(written(objects, "yaml")))


EXAMPLES = [
    BACKUP,
    SCHEDULE,
    *(filled(file.read_text()) for file in sorted(GOOD_EXAMPLES.glob("*-role.yaml"))[:2]),
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_same_input_gives_the_same_bytes(text: str) -> None:
    first = render(text, "--with-rbac")
    assert first.objects
    assert first.stdout == render(text, "--with-rbac").stdout


@pytest.mark.parametrize("text", EXAMPLES)
def test_json_gives_the_same_as_yaml(text: str) -> None:
    as_json = json.dumps(yaml.safe_load(text))
    assert render(text).stdout == render(as_json).stdout
    assert render(text).stdout == render(json.dumps(yaml.safe_load(text), indent=4)).stdout


@pytest.mark.parametrize("text", EXAMPLES)
def test_json_has_the_same_objects_as_yaml(text: str) -> None:
    made = render(text, "--output=json", "--with-rbac")
    assert render(text, "--with-rbac").objects == json.loads(made.stdout)["items"]


def test_comments_and_the_order_of_fields_change_nothing_that_is_applied() -> None:
    body = yaml.safe_load(BACKUP)
    sorted_keys = yaml.safe_dump(body, sort_keys=True)
    assert sorted_keys != BACKUP
    assert render(BACKUP).stdout == render(sorted_keys).stdout
    assert render(BACKUP).stdout == render(BACKUP.replace("\n", "  # a comment\n")).stdout


def test_every_line_ends_and_each_document_begins_with_dashes() -> None:
    made = render(f"{BACKUP}---\n{SCHEDULE}")
    assert made.stdout.endswith("\n")
    assert not made.stdout.endswith("\n\n")
    assert len(made.objects) == made.stdout.count("---\n")
    assert made.stdout.startswith("---\n")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("env:\n  - name: HTTPS_PROXY\n    value: '@'", "http://user:word@proxy:3128"),
        ("env:\n  - name: A\n    value: '@'", "--password=x"),
        ("dumpling:\n    options: ['@']", "--where=note = 'Signature=abc'"),
    ],
)
def test_what_looks_like_a_secret_arrives_as_it_is(field: str, value: str) -> None:
    made = render(BACKUP + "  " + field.replace("@", value.replace("'", "''")) + "\n")
    assert value in json.dumps(made.objects)


def test_a_secret_in_our_own_environment_changes_no_object() -> None:
    ours = {"BACKUP_MANAGER_PASSWORD": "root", "AWS_SECRET_ACCESS_KEY": "backup"}
    assert render(BACKUP).stdout == render(BACKUP, environment=ours).stdout


def test_the_key_of_encryption_arrives_as_it_is() -> None:
    option = "--s3-sse-customer-key=0123456789abcdef0123456789abcdef"
    text = changed(BACKUP, "    bucket", f"    options: [{option}]\n    bucket")
    assert f"--s3-option={option}" in render(text).args
