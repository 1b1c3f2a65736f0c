import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.dumpling.content import Content, parse_name
from backup_manager.dumpling.rules import Literals
from backup_manager.errors import DumpInvalidError, Reason, VolumeError
from backup_manager.volume import directory

NONE = Literals()


def content(
    *names: str,
    schemas: tuple[str, ...] = (),
    tables: tuple[tuple[str, str], ...] = (),
    case_sensitive: bool = False,
    names_readable: bool = True,
) -> Content:
    found = Content(
        Literals(frozenset(schemas), frozenset(tables)),
        case_sensitive=case_sensitive,
        names_readable=names_readable,
    )
    for name in names:
        found.add(name, 10)
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop-schema-create.sql", ("shop", None)),
        ("shop-schema-create.sql.zst", ("shop", None)),
        ("shop.orders-schema.sql", ("shop", "orders")),
        ("shop.v-schema-view.sql", ("shop", "v")),
        ("shop.s-schema-sequence.sql.gz", ("shop", "s")),
        ("shop.orders.000000000.sql", ("shop", "orders")),
        ("shop.orders.0000000010002.csv.snappy", ("shop", "orders")),
        ("shop.we%2Fird%2Ena%25me.000000000.sql", ("shop", "we/ird.na%me")),
        ("a b%3Ac-schema-create.sql", ("a b:c", None)),
        ("shop.x%2Dschema-schema.sql", ("shop", "x-schema")),
        ("shop.x-schema-schema.sql", ("shop", "x-schema")),
        ("größe.täble-schema.sql", ("größe", "täble")),
        ("shop.sql.000000000.sql", ("shop", "sql")),
        ("p-placement-policy-create.sql", None),
        ("metadata", None),
        ("shop.orders.sql", None),
        ("shop.orders.x.sql", None),
        (".orders-schema.sql", None),
        ("-schema-create.sql", None),
        ("shop.orders-schema.sql.tmp", None),
        ("a.b.c.d.sql", None),
    ],
)
def test_names(name: str, expected: tuple[str, str | None] | None) -> None:
    assert expected == parse_name(name)


MARKS = set('%"*./:<>?\\|') | {chr(code) for code in range(32)}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def escaped(name: str) -> str:
    """As prepare.go does."""
    name = "".join(f"%{ord(char):02X}" if char in MARKS else char for char in name)
    return re.sub("-(?=schema)", "%2D", name, flags=re.IGNORECASE | re.ASCII)


@given(NAMES, NAMES)
def test_every_escaped_name_is_read_back(schema: str, table: str) -> None:
    one, two = escaped(schema), escaped(table)
    assert (schema, None) == parse_name(f"{one}-schema-create.sql")
    assert (schema, table) == parse_name(f"{one}.{two}-schema.sql")
    assert (schema, table) == parse_name(f"{one}.{two}.000000001.sql.gz")


@given(st.text())
def test_any_name_is_read_without_an_error(name: str) -> None:
    found = content(name)
    assert found.files in {0, 1}


@pytest.mark.parametrize("names", [[], ["metadata"], ["metadata", "p-placement-policy-create.sql"]])
def test_a_filter_that_matches_nothing(names: list[str]) -> None:
    with pytest.raises(DumpInvalidError, match="the filter matches nothing"):
        content(*names).check()
    with pytest.raises(DumpInvalidError, match="the filter matches nothing"):
        content(*names, names_readable=False).check()


DUMP = (
    "metadata",
    "shop-schema-create.sql",
    "shop.orders-schema.sql",
    "shop.orders.000000000.sql",
    "bare-schema-create.sql",
)


@pytest.mark.parametrize(
    ("schemas", "tables"),
    [
        ((), ()),
        (("shop", "BARE"), (("shop", "Orders"),)),
    ],
)
def test_whole(schemas: tuple[str, ...], tables: tuple[tuple[str, str], ...]) -> None:
    content(*DUMP, schemas=schemas, tables=tables).check()


@pytest.mark.parametrize(
    ("schemas", "tables", "named"),
    [
        (("secret",), (), "of secret:"),
        (("zoo", "shop", "art"), (), "of art, zoo:"),
        ((), (("shop", "items"),), "of shop.items:"),
        ((), (("bare", "orders"),), "of bare.orders:"),
        (("x",), (("shop", "orders"), ("y", "z")), "of x, y.z:"),
        (tuple("abcdefg"), (), "of a, b, c, d, e and 2 more:"),
    ],
)
def test_a_literal_rule_of_which_nothing_came(
    schemas: tuple[str, ...], tables: tuple[tuple[str, str], ...], named: str
) -> None:
    with pytest.raises(DumpInvalidError, match=re.escape(named)):
        content(*DUMP, schemas=schemas, tables=tables).check()


def test_case() -> None:
    content(*DUMP, schemas=("SHOP",)).check()
    with pytest.raises(DumpInvalidError, match="SHOP"):
        content(*DUMP, schemas=("SHOP",), case_sensitive=True).check()
    with pytest.raises(DumpInvalidError, match="ORDERS"):
        content(*DUMP, tables=(("shop", "ORDERS"),), case_sensitive=True).check()


def test_with_a_template_names_say_nothing() -> None:
    found = content("x/1.sql", schemas=("secret",), names_readable=False)
    found.check()
    assert [] == found.left_out(["other"])


def test_left_out() -> None:
    visible = ["shop", "zoo", "mysql", "INFORMATION_SCHEMA", "art", "bare"]
    assert ["art", "zoo"] == content(*DUMP).left_out(visible)


def test_files_without_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = content(*DUMP)
    for number in range(7):
        found.add(f"shop.orders.00000000{number}.sql", 0)
    with pytest.raises(DumpInvalidError, match=r"orders\.000000000\.sql.* and 2 more"):
        found.check(tmp_path)
    monkeypatch.setattr(directory, "FULL_BYTES", 1 << 80)
    with pytest.raises(VolumeError, match="the volume is full") as caught:
        found.check(tmp_path)
    assert Reason.VOLUME_FULL == caught.value.reason


def test_memory_does_not_grow_with_files() -> None:
    found = content(tables=(("shop", "orders"),))
    before = {name: len(value) for name, value in vars(found).items() if hasattr(value, "__len__")}
    for number in range(2000):
        found.add(f"shop.orders.{number:09d}.sql", number % 2)
    after = {name: len(value) for name, value in vars(found).items() if hasattr(value, "__len__")}
    assert before | {"schemas": 1, "_missing": 0, "_empty": 5} == after
    assert 2000 == found.files


def test_a_full_volume_is_told_by_its_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not directory.is_full(tmp_path)
    assert not directory.is_full(tmp_path / "missing")
    monkeypatch.setattr(directory, "FULL_BYTES", 1 << 80)
    assert directory.is_full(tmp_path)
