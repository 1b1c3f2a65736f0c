"""What is no YAML, or no YAML of an object: the line, what is wrong, and what to do."""

import pytest

from .rendering import BACKUP, SCHEDULE, changed, remedy, render, spec, told

HOST = "    host: tidb\n"
FILTER = "tableFilter:\n- "
FROM = "    host: tidb\n    port: 4000\n    user: root\n    secretName: tidb-secret\n"


def with_host(line: str) -> str:
    return changed(BACKUP, HOST, line)


# Indentation -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "more"),
    [
        (with_host("\thost: tidb\n"), 8, ""),
        (with_host("  \thost: tidb\n"), 8, ""),
        (BACKUP.replace("  ", "\t"), 4, " (and on 12 more)"),
        (spec("tableFilter:\n") + "\t- a.b\n", 19, ""),
    ],
)
def test_tabs_in_the_indentation(text: str, line: int, more: str) -> None:
    assert f"line {line}: a tab stands in the indentation{more}" == told(text)
    assert "indent with spaces" in remedy(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (with_host("    host:\ttidb\n"), 8),
        (with_host("    host: tidb\t\n"), 8),
        (with_host(f"\t\n{HOST}"), 8),
        (spec("tableFilter:\n-\t'a.b'"), 19),
    ],
)
def test_tabs_elsewhere(text: str, line: int) -> None:
    assert f"line {line}: a tab stands where YAML takes none" == told(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (with_host("     host: tidb\n"), 9),
        (with_host("   host: tidb\n"), 9),
        (changed(BACKUP, "    port: 4000", "      port: 4000"), 9),
        (changed(BACKUP, "    port: 4000", "   port: 4000"), 9),
    ],
)
def test_a_line_that_is_indented_unlike_its_neighbours(text: str, line: int) -> None:
    assert told(text).startswith(f"line {line}: this is no YAML")
    assert "indent it" in remedy(text)


@pytest.mark.parametrize("key", ["from", "s3"])
@pytest.mark.parametrize("text", [BACKUP, SCHEDULE])
def test_what_belongs_into_an_object_and_stands_beside_it_is_indented_as_told(
    text: str, key: str
) -> None:
    lines = text.splitlines()
    head = next(number for number, line in enumerate(lines) if line.strip() == f"{key}:")
    margin = len(lines[head]) - len(lines[head].lstrip())
    last = head + 1
    while len(lines[last]) - len(lines[last].lstrip()) > margin:
        lines[last] = lines[last][2:]
        last += 1
    flat = "\n".join(lines)
    assert told(flat).startswith(f"line {head + 1}: {key} is empty: what belongs into it")
    assert f"indent lines {head + 2} to {last} by two more spaces" == remedy(flat)
    lines[head + 1 : last] = [f"  {line}" for line in lines[head + 1 : last]]
    assert render(text).stdout == render("\n".join(lines)).stdout


def test_a_spec_inside_of_metadata() -> None:
    text = changed(BACKUP, "spec:\n", "  spec:\n")
    assert told(text).startswith("line 6: spec is empty")
    assert "indent lines 7 to 17 by two more spaces" == remedy(text)


def test_a_whole_spec_inside_of_metadata_belongs_beside_it() -> None:
    head, _, tail = BACKUP.partition("spec:\n")
    text = head + "".join(f"  {line}\n" for line in ["spec:", *tail.splitlines()])
    assert "line 6: metadata.spec is no field of a Backup" == told(text)
    assert "it belongs beside kind and metadata: indent it, and what it holds, as them" == remedy(
        text
    )


# Quotes, colons, brackets ------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["*.*", "*", "& a"])
def test_a_rule_that_begins_as_an_alias_wants_quotes(rule: str) -> None:
    text = spec(f"{FILTER}{rule}")
    assert told(text).startswith("line 19: ")
    assert "put quotes around a value that begins with * or &" == remedy(text)


@pytest.mark.parametrize("value", ["* * * * *", "*/5 * * * *", "@daily"])
def test_a_schedule_without_quotes(value: str) -> None:
    text = changed(SCHEDULE, '"0 2 * * *"', value)
    assert told(text).startswith("line 7: this is no YAML")
    assert "put quotes around" in remedy(text)


@pytest.mark.parametrize("rule", ["!shop.tmp_*", "!shop"])
def test_a_rule_that_begins_as_a_tag_wants_quotes(rule: str) -> None:
    text = spec(f"{FILTER}{rule}")
    assert f"line 19: {rule} is taken for a tag, and none is known here" == told(text)
    assert "put quotes around a value that begins with !" in remedy(text)
    assert ["--table-filter=!shop.tmp_*"] == [
        word for word in render(spec(f"{FILTER}'!shop.tmp_*'")).args if "filter" in word
    ]


def test_an_alias_of_nothing() -> None:
    assert "undefined alias 'x'" in told(with_host("    host: *x\n"))
    assert "put quotes around" in remedy(with_host("    host: *x\n"))


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quote_that_is_not_closed_is_told_where_it_is_opened(quote: str) -> None:
    text = with_host(f"    host: {quote}tidb\n")
    assert told(text).startswith("line 8: ")
    assert "close the quote that stands there" == remedy(text)


def test_a_bracket_that_is_not_closed() -> None:
    text = with_host("    host: {tidb\n")
    assert "see to the bracket of line 8" in remedy(text)


@pytest.mark.parametrize("value", ["{{ .Values.host }}", "{{ host }}-x"])
def test_what_a_template_engine_should_have_filled_in(value: str) -> None:
    assert told(with_host(f"    host: {value}\n")).startswith("line 8: ")


def test_no_space_behind_a_colon() -> None:
    text = with_host("    host:tidb\n")
    assert "line 8: no space stands behind host:" == told(text)


def test_a_value_with_a_colon_and_a_space() -> None:
    text = with_host("    host: a: b\n")
    assert told(text).startswith("line 8: ")
    assert "put quotes around a value that has a colon and a space" in remedy(text)


def test_an_item_without_its_dash() -> None:
    text = spec(f"{FILTER}a.b\nc.d")
    assert told(text).startswith("line 20: ")
    assert "- before an item" in remedy(text)


@pytest.mark.parametrize("key", ["[a]", "{a: b}"])
def test_a_key_that_is_no_text(key: str) -> None:
    text = spec(f"? {key}\n: x")
    assert "line 18: something that is no text is taken for a key" == told(text)


# Keys twice, aliases -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (with_host(HOST * 2), "line 9: host is there twice; the first is on line 8"),
        (BACKUP + "spec: {}\n", "line 18: spec is there twice; the first is on line 6"),
        (BACKUP + SCHEDULE, "line 18: apiVersion is there twice; the first is on line 1"),
        (spec("affinity: {1: a, '1': b}"), "line 18: 1 is there twice; the first is on line 18"),
    ],
)
def test_a_key_that_is_there_twice(text: str, expected: str) -> None:
    assert expected == told(text)


def test_aliases_and_merge_keys_are_what_they_name() -> None:
    text = changed(BACKUP, "user: root", "user: &same root")
    text = changed(text, "bucket: backups", "bucket: *same")
    assert {"--user=root", "--bucket=root"} <= set(render(text).args)
    merged = changed(BACKUP, FROM, "    <<: {host: tidb, port: 1, user: root}\n" + FROM[15:])
    assert "--port=4000" in render(merged).args
    assert "--host=tidb" in render(merged).args


def test_the_same_under_an_alias_is_written_out() -> None:
    made = render(spec("affinity: &a {x: {y: z}}\npodSecurityContext: *a"))
    assert "&" not in made.stdout
    assert {"x": {"y": "z"}} == made.pod["spec"]["affinity"]


@pytest.mark.parametrize(
    ("text", "line"),
    [(spec("affinity: &a\n  b: *a"), 19), ("&a [*a]\n", 1), (spec("affinity: &a {b: [*a]}"), 18)],
)
def test_an_alias_in_what_it_names(text: str, line: int) -> None:
    assert f"line {line}: an alias stands in what it names" == told(text)


@pytest.mark.parametrize("merge", [False, True])
def test_aliases_that_would_fill_the_memory(merge: bool) -> None:
    lines = ["a0: &a0 {x: y}"]
    for number in range(1, 9):
        nine = ", ".join([f"*a{number - 1}"] * 9)
        lines.append(f"a{number}: &a{number} " + (f"{{<<: [{nine}]}}" if merge else f"[{nine}]"))
    assert told("\n".join(lines)).endswith("there is too much in it")


@pytest.mark.parametrize("value", ["x", "[5]", "5"])
def test_a_merge_key_with_no_object(value: str) -> None:
    text = with_host(f"    <<: {value}\n{HOST}")
    assert told(text).startswith("line 8: this is no YAML: expected a mapping")


@pytest.mark.parametrize(
    "value", ["[" * 5000, "[" * 200 + "]" * 200, "{a: " * 200 + "}" * 200, "[" * 5000 + "]" * 5000]
)
def test_brackets_in_brackets(value: str) -> None:
    assert "line 18: too much stands in one another" == told(spec(f"affinity: {value}"))
