import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.dumpling import rules
from backup_manager.errors import UsageError


def literals(*texts: str, case_sensitive: bool = False) -> tuple[set[str], set[tuple[str, str]]]:
    found = rules.literals(rules.parse(texts), case_sensitive=case_sensitive)
    return set(found.schemas), set(found.tables)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["*.*"], (set(), set())),
        (["shop.*"], ({"shop"}, set())),
        (["shop.orders"], (set(), {("shop", "orders")})),
        (["shop.or*"], ({"shop"}, set())),
        (["shop./^o/"], ({"shop"}, set())),
        (["*.orders"], (set(), set())),
        (["/^shop$/.*"], (set(), set())),
        (["sh?p.*", "sh[o0]p.*", "sh[!x]p.*"], (set(), set())),
        (['"a.b".`c``d`'], (set(), {("a.b", "c`d")})),
        (["`a b`.*", '"a""b".*'], ({"a b", 'a"b'}, set())),
        ([r"a\.b\-c.*"], ({"a.b-c"}, set())),
        (["größe.täble"], (set(), {("größe", "täble")})),
        (["# shop.*", "", "  "], (set(), set())),
        (["  shop.*\t"], ({"shop"}, set())),
        (["!shop.*"], (set(), set())),
        (["shop.*", "!shop.*"], (set(), set())),
        (["!shop.*", "shop.*"], ({"shop"}, set())),
        (["shop.*", "!shop.tmp_*"], ({"shop"}, set())),
        (["shop.*", "!SHOP.*"], (set(), set())),
        (["shop.orders", "!*.orders"], (set(), set())),
        (["shop.orders", "!/^sh/./^OR/"], (set(), set())),
        (["shop.orders", "!shop.items"], (set(), {("shop", "orders")})),
        # Dumpling takes an empty name, which no schema has.
        ([".orders"], (set(), {("", "orders")})),
        # RE2 that Python does not read: nothing is claimed.
        (["shop.orders", r"!/\pL/.*"], (set(), set())),
    ],
)
def test_literals(texts: list[str], expected: tuple[set[str], set[tuple[str, str]]]) -> None:
    assert expected == literals(*texts)


def test_case_counts_where_the_user_says_so() -> None:
    assert ({"shop"}, set()) == literals("shop.*", "!SHOP.*", case_sensitive=True)


def test_tables_and_databases_given_by_name() -> None:
    found = rules.literals([], ["shop.orders", "a.b.c"], ["x"])
    assert {("shop", "orders"), ("a", "b.c")} == set(found.tables)
    assert {"x"} == set(found.schemas)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("shop", "no table pattern"),
        ("shop.", "a pattern is missing"),
        ("shop.a.b", "something follows"),
        ("shop-x.*", "'-' has to be quoted"),
        ("/shop.*", "not closed with /"),
        ('"shop.*', "not closed"),
        ('"".*', "empty"),
        ("[].*", "character class"),
        (r"a\b.*", "letter or digit"),
        ("a.b\\", "letter or digit"),
        ("!", "missing"),
        ("@", "cannot be read"),
        ("@/no/such/file", "cannot be read"),
    ],
)
def test_wrong_rules_are_named(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        rules.parse([text])


def test_a_file_of_rules(tmp_path: Path) -> None:
    file = tmp_path / "rules"
    file.write_text("# first\r\nshop.*\r\n\n  !shop.x  \n", newline="")
    assert [(True, "shop"), (False, "shop")] == [
        (rule.positive, rule.schema.literal) for rule in rules.parse([f"@{file}"])
    ]
    file.write_text("@other\n")
    with pytest.raises(UsageError, match="may not name another"):
        rules.parse([f"@{file}"])


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(NAMES, NAMES, st.sampled_from('"`'))
def test_every_quoted_name_is_read_back(schema: str, table: str, quote: str) -> None:
    def quoted(name: str) -> str:
        return quote + name.replace(quote, quote * 2) + quote

    (rule,) = rules.parse([f"{quoted(schema)}.{quoted(table)}"])
    assert (schema, table) == (rule.schema.literal, rule.table.literal)


@given(st.text())
def test_any_text_is_rules_or_a_usage_error(text: str) -> None:
    if text.strip(" \t").startswith("@"):
        return
    try:
        parsed = rules.parse([text])
    except UsageError:
        return
    assert len(parsed) <= 1


@pytest.mark.parametrize(
    ("texts", "schema", "expected"),
    [
        (["*.*"], "mysql", True),
        (["*.*", "!mysql.*"], "mysql", False),
        (["*.*", "!mysql.user"], "mysql", True),
        (["*.*", "!/^(mysql|sys)$/.*"], "MYSQL", False),
        (["shop.*"], "mysql", False),
        ([], "mysql", False),
    ],
)
def test_which_schemas_rules_take(texts: list[str], schema: str, expected: bool) -> None:
    assert expected == rules.takes_schema(rules.parse(texts), schema, case_sensitive=False)
