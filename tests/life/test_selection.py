"""`--tables`: which files go with the tables that were named."""

import fnmatch
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.download.selection import Selection
from backup_manager.errors import UsageError
from tests.life.backups import Shelf, make_backup
from tests.life.commands import Life
from tests.stores import new_report

FILES = [
    "metadata",
    "fast-placement-policy-create.sql",
    "empty-schema-create.sql",
    "shop-schema-create.sql",
    "shop.Orders-schema.sql",
    "shop.Orders.000000000.sql.gz",
    "shop.Orders.0000000010000.sql.gz",
    "shop.tmp_1-schema.sql",
    "shop.tmp_1.000000000.sql",
    "shop.v-schema-view.sql",
    "shop.v-schema.sql",
    "stock-schema-create.sql",
    "stock.ids-schema-sequence.sql",
    "stock.items-schema.sql",
    "stock.items.000000000.csv",
    "we%2Eird-schema-create.sql",
    "we%2Eird.a%2Fb-schema.sql",
]
ALWAYS = {"metadata", "fast-placement-policy-create.sql"}


def taken(*rules: str, files: list[str] = FILES) -> set[str]:
    """What the rules take, apart from what always goes."""
    selection = Selection(rules, ["--threads=16", "--output-filename-template="])
    selection.survey(files, new_report())
    found = {name for name in files if selection.takes(name)}
    assert ALWAYS <= found
    return found - ALWAYS


def of(*prefixes: str) -> set[str]:
    return {name for name in FILES if name.startswith(prefixes)} - ALWAYS


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["*.*"], of("")),
        (["shop.*"], of("shop")),
        (["SHOP.ORDERS"], of("shop-", "shop.Orders")),
        (["shop.*", "!shop.tmp_*"], of("shop-", "shop.Orders", "shop.v")),
        (["*.*", "!shop.*"], of("empty", "stock", "we")),
        (["!shop.*", "*.*"], of("")),
        (["*.items"], of("stock-", "stock.items")),
        (["/^s/./^[vi]/"], of("shop-", "shop.v", "stock-", "stock.i")),
        (["empty.*"], of("empty")),
        (['"we.ird"."a/b"'], of("we")),
        (["shop.Orders", "stock.ids"], of("shop-", "shop.Orders", "stock-", "stock.ids")),
        # An exclusion that fits nothing takes nothing away.
        (["stock.*", "!stock.tmp_*"], of("stock")),
        ([], of("")),
    ],
)
def test_what_rules_take(rules: list[str], expected: set[str]) -> None:
    assert expected == taken(*rules)


def test_names_that_tell_no_table_go_with_every_selection() -> None:
    files = ["metadata", "a-placement-policy-create.sql.gz", "other.txt", "x-schema-create.sql"]
    selection = Selection(["x.*"], [])
    selection.survey(files, new_report())
    assert files == [name for name in files if selection.takes(name)]


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        (["shop.ordrs"], "'shop.ordrs' fits no table"),
        (["shop.*", "shpo.*", "stock.x?"], "'shpo.*', 'stock.x?' fits no table"),
        (["empty.x"], "'empty.x' fits no table"),
        (["!shop.*"], "takes nothing"),
        (["shop.*", "!shop.*"], "takes nothing"),
        (["shop"], "'shop' is wrong"),
        (["shop.", "x.y"], "'shop.' is wrong"),
        ([r"shop./\pL/"], "can read"),
        (["@not-there"], "not-there"),
    ],
)
def test_rules_that_are_wrong(rules: list[str], named: str) -> None:
    with pytest.raises(UsageError) as raised:
        taken(*rules)
    assert named in raised.value.message


def test_schemas_are_named_where_a_rule_fits_none() -> None:
    with pytest.raises(UsageError, match=r"schemas that it has: empty, shop, stock, we\.ird"):
        taken("shpo.*")


def test_rules_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("# the shop\nshop.*\n!shop.tmp_*\n")
    assert of("shop-", "shop.Orders", "shop.v") == taken(f"@{tmp_path / 'rules'}")


def test_names_made_by_a_template_tell_nothing() -> None:
    with pytest.raises(UsageError, match="output-filename-template"):
        Selection(["shop.*"], ["--output-filename-template={{.Index}}"])
    Selection([], ["--output-filename-template={{.Index}}"])


def test_what_cannot_be_loaded_is_said() -> None:
    report = new_report()
    Selection(["*.*"], []).survey(FILES, report)
    Selection(["shop.*", "!*.v"], []).survey(FILES, report)
    assert [] == report.summary.warnings
    Selection(["shop.*"], []).survey(FILES, report)
    (warning,) = report.summary.warnings
    assert "views, and not every table: shop.v;" in warning
    report = new_report()
    Selection(["stock.items"], []).survey(FILES, report)
    (warning,) = report.summary.warnings
    assert "leaves out sequences, as stock.ids" in warning


# The same by another way: each side is a glob, the last rule that fits decides.
names = st.text("ab_", min_size=1, max_size=3)
globs = st.text("ab_*?", min_size=1, max_size=3)
tables = st.sets(st.tuples(names, names), max_size=12)
Chosen = tuple[bool, str, str]


def _fits(glob: str, name: str) -> bool:
    return re.fullmatch(fnmatch.translate(glob), name) is not None


def _table(one: Chosen, pair: tuple[str, str]) -> bool:
    return _fits(one[1], pair[0]) and _fits(one[2], pair[1])


def _schema(one: Chosen, schema: str) -> bool:
    return one[2] == "*" and _fits(one[1], schema)


@given(
    chosen=st.lists(st.tuples(st.booleans(), globs, globs), max_size=5),
    there=tables,
    empty=st.sets(names),
)
def test_any_rules(chosen: list[Chosen], there: set[tuple[str, str]], empty: set[str]) -> None:
    chosen.append((True, "zz", "z"))  # something is taken
    there |= {("zz", "z")}
    schemas = empty | {pair[0] for pair in there}
    texts = [f"{'' if good else '!'}{left}.{right}" for good, left, right in chosen]
    creates = {f"{schema}-schema-create.sql" for schema in schemas}
    data = {f"{schema}.{table}.000000000.sql" for schema, table in there}
    files = sorted({"metadata"} | creates | data, key=str.encode)
    unfit = [
        text
        for text, one in zip(texts, chosen, strict=True)
        if one[0]
        and not any(_table(one, pair) for pair in there)
        and not any(_schema(one, schema) for schema in schemas)
    ]
    selection = Selection(texts, [])
    if unfit:
        with pytest.raises(UsageError) as raised:
            selection.survey(files, new_report())
        assert all(repr(text) in raised.value.message for text in unfit)
        return
    selection.survey(files, new_report())
    tabled = {
        pair for pair in there if [one[0] for one in chosen if _table(one, pair)][-1:] == [True]
    }
    whole = {
        schema
        for schema in schemas
        if [one[0] for one in chosen if _schema(one, schema)][-1:] == [True]
    }
    expected = {"metadata"} | {f"{schema}.{table}.000000000.sql" for schema, table in tabled}
    expected |= {f"{schema}-schema-create.sql" for schema in whole | {one[0] for one in tabled}}
    assert expected == {name for name in files if selection.takes(name)}


@pytest.mark.parametrize("archived", [False, True])
def test_a_part_of_a_backup(shelf: Shelf, life: Life, tmp_path: Path, *, archived: bool) -> None:
    contents = {name: name.encode() * 100 for name in FILES}
    make_backup(shelf, files=contents, archived=archived)
    into = tmp_path / "restored"
    words = ["download", "latest", str(into), "--tables=shop.*", "--tables=!shop.tmp_*"]
    said = life.run(*words).expect(0)
    expected = {name: contents[name] for name in ALWAYS | of("shop-", "shop.Orders", "shop.v")}
    assert expected == {path.name: path.read_bytes() for path in into.iterdir()}
    assert (len(expected), sum(map(len, expected.values()))) == (
        said.summary["files"],
        said.summary["bytes"],
    )
    (warning,) = said.warnings
    assert "shop.v" in warning
    assert "what --tables takes of" in said.message
    # The rest can come later; but a part is not what has more.
    life.run("download", "latest", str(into)).expect(0)
    assert contents == {path.name: path.read_bytes() for path in into.iterdir()}
    life.run(*words).expect(2)
    assert contents == {path.name: path.read_bytes() for path in into.iterdir()}


def test_rules_that_fit_nothing_write_nothing(shelf: Shelf, life: Life, tmp_path: Path) -> None:
    make_backup(shelf)
    words = ["download", "latest", str(tmp_path / "restored"), "--tables=shop.ordrs"]
    assert "'shop.ordrs'" in life.run(*words).expect(2, "InvalidSettings").message
    assert [] == list(tmp_path.iterdir())
    made = {"version": "v8", "options": ["--output-filename-template={{fn .DB}}/{{fn .Table}}"]}
    words[1] = make_backup(shelf, record={"dumpling": made})
    assert "template" in life.run(*words).expect(2, "InvalidSettings").message
