import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backup_manager.database.source import Source
from backup_manager.dumpling import decisions, pflag
from backup_manager.dumpling.binary import Flag
from backup_manager.dumpling.command import (
    check_user,
    command,
    output_option,
    public_argv,
    secret_environment,
)
from backup_manager.dumpling.decisions import Verdict
from backup_manager.dumpling.options import Options, merge, parse_filesize
from backup_manager.dumpling.pflag import split_csv
from backup_manager.errors import UsageError
from tests.dumpling.helpers import BINARY

DEFAULTS = ["--threads=16", "--rows=10000"]
MANAGED = [row for row in decisions.TABLE if row.verdict == Verdict.MANAGED]
SECRET = "canary-s3cret"


def merged(*items: str, rules: tuple[str, ...] = ()) -> Options:
    return merge(items, rules, BINARY)


def argv(*items: str, rules: tuple[str, ...] = ()) -> list[str]:
    return list(merged(*items, rules=rules).argv)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], DEFAULTS),
        (["--rows=0"], ["--threads=16", "--rows=0"]),
        (["-r0"], ["--threads=16", "--rows=0"]),
        (["-t", "4"], ["--threads=4", "--rows=10000"]),
        (["--rows=1", "-r 2", "--rows", "3"], ["--threads=16", "--rows=3"]),
        (["--snapshot="], DEFAULTS),  # ours would stand before it, and it would win
        (["-F", "1MiB", "--filesize=256MiB"], [*DEFAULTS, "--filesize=256MiB"]),
        (["-W=0"], [*DEFAULTS, "--no-views=false"]),
        (["--case-sensitive"], [*DEFAULTS, "--case-sensitive=true"]),
        (["-f", "a.*,b.*", "-f=!a.x"], [*DEFAULTS, "--filter=a.*,b.*", "--filter=!a.x"]),
        (["--params", "a=1", "--params=b=2"], [*DEFAULTS, "--params=a=1", "--params=b=2"]),
        (["--read-timeout=1h"], [*DEFAULTS, "--read-timeout=1h"]),
    ],
)
def test_merge(items: list[str], expected: list[str]) -> None:
    assert expected == argv(*items)


@given(st.lists(st.tuples(st.sampled_from(["rows", "statement-size"]), st.integers(0, 2**64 - 1))))
def test_of_a_plain_option_the_last_wins_and_others_stay(uses: list[tuple[str, int]]) -> None:
    expected = {"threads": "16", "rows": "10000"} | {name: str(value) for name, value in uses}
    options = merged(*(f"--{name}={value}" for name, value in uses))
    assert expected == options.values
    assert sorted(f"--{name}={value}" for name, value in expected.items()) == sorted(options.argv)


def test_params_merge() -> None:
    options = merged("--params", "a=1,b=2", "--params=b=3")
    assert {"a": "1", "b": "3"} == options.params


def test_effective_values() -> None:
    options = merged("--rows=010", "-F", "2", "--case-sensitive", "-B", "a,b", "-B", "c")
    assert (16, 8, 2 << 20) == (options.threads, options.rows, options.filesize)
    assert options.case_sensitive
    assert ("a", "b", "c") == options.databases
    assert options.pins_snapshot
    assert (None, None, None) == (options.consistency, options.snapshot, options.template)


RULES = st.text(
    st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1
).map(lambda name: '"' + name.replace('"', '""') + '".*')


@given(st.lists(RULES, min_size=1))
def test_raw_rules_reach_dumpling_as_one_csv_value_each(rules: list[str]) -> None:
    passed = [item.removeprefix("--filter=") for item in argv(rules=tuple(rules))[2:]]
    assert [[rule] for rule in rules] == [split_csv(value) for value in passed]


def test_a_comma_in_a_raw_rule_is_quoted() -> None:
    rule = "/^shop$/./^[a-z]{1,5}_t$/"
    assert [*DEFAULTS, f'--filter="{rule}"'] == argv(rules=(rule,))


def test_a_rule_file_is_named_absolutely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules.txt").write_text("shop.*\n")
    monkeypatch.chdir(tmp_path)
    options = merged(rules=("@rules.txt",))
    assert f"--filter=@{tmp_path}/rules.txt" == options.argv[-1]
    assert {"shop"} == options.literals.schemas
    with pytest.raises(UsageError, match="no absolute path"):
        merged("--filter=@rules.txt")


@pytest.mark.parametrize("name", [row.names[0] for row in MANAGED])
def test_what_the_manager_owns_is_refused_without_its_value(name: str) -> None:
    short = BINARY.flags[name].short
    spellings = [[f"--{name}={SECRET}"], [f"--{name}", SECRET], [f"--{name} {SECRET}"]]
    if short:
        spellings += [[f"-{short}{SECRET}"], [f"-{short}", SECRET], [f"-W{short}={SECRET}"]]
    for items in spellings:
        with pytest.raises(UsageError, match=f"--{name} belongs to backup-manager") as caught:
            merged(*items, "stray", SECRET)
        assert SECRET not in caught.value.message


@pytest.mark.parametrize(
    ("items", "told"),
    [
        (["--no-data"], "--no-data is refused: a backup without rows"),
        (["-d"], "--no-data is refused"),
        (["--sql=select 1"], "--sql is refused"),
        (["-S", "select 1"], "--sql is refused"),
        (["-m"], "--no-schemas is refused"),
        (["--s3.region=x"], "backup-manager uploads"),
        (["--gcs.endpoint", "x"], "backup-manager uploads"),
        (["--azblob.sas-token=x"], "backup-manager uploads"),
        (["--help"], "--help is refused"),
        (["-V"], "--version is refused"),
        (["--row=5"], "no option --row. To do: did you mean --rows?"),
        (["--colour=red"], "no option --colour"),
        (["-x"], "no option -x"),
        (["--threads=0"], "at least 1"),
        (["--threads=many"], "not a whole number"),
        (["--rows=-1"], "not a whole number"),
        (["--rows="], "not a whole number"),
        (["--filesize=10 parsecs"], "no size like 256MiB"),
        (["--consistency=strong"], "one of auto, none"),
        (["--filetype=xml"], "sql or csv"),
        (["--consistency=none", "--snapshot=5"], "no snapshot is read"),
        (["--params=TiDB_Snapshot=5"], "--params TiDB_Snapshot is refused"),
        (["--params=sql_select_limit=5"], "cuts the rows"),
        (["--tables-list=orders"], "write schema.table"),
        (["--tables-list=a.b", "--filter=*.*"], "Dumpling refuses that"),
        (["--filter=shop"], "no table pattern"),
        (["--output-filename-template={{fn .DB}}.{{fn .Table}}"], "without {{.Index}}"),
    ],
)
def test_refusals(items: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        merged(*items)


def test_all_managed_options_are_known() -> None:
    assert 11 == len(MANAGED)


def test_one_filter_only() -> None:
    with pytest.raises(UsageError, match="put all rules into --table-filter"):
        merged("--filter=a.*", rules=("b.*",))
    with pytest.raises(UsageError, match="Dumpling refuses that"):
        merged("--tables-list=a.b", rules=("b.*",))


@pytest.mark.parametrize(
    ("items", "told"),
    [
        (["--where=id > 5"], "only rows that the condition selects"),
        (["--consistency=none"], "not from one point in time"),
        (["--dump-empty-database=false"], "schemas without tables"),
        (["--escape-backslash=false"], "NO_BACKSLASH_ESCAPES"),
        (["--order-by-primary-key=false"], "rows twice"),
        (["--allow-cleartext-passwords"], "in clear"),
        (["--new-thing=1"], "does not know"),
        (["--output-filename-template={{fn .DB}}{{fn .Table}}{{.Index}}"], "cannot be judged"),
        (["--filter=*.*"], "system schemas"),
    ],
)
def test_warnings(items: list[str], told: str) -> None:
    (warning,) = merged(*items).warnings
    assert told in warning


@pytest.mark.parametrize(
    "items",
    [
        ["--no-data=false", "--no-schemas=false", "--no-data", "-d=f"],
        ["--where="],
        ["--consistency=flush", "--no-views=false", "--no-sequences=false"],
        ["--consistency=auto", "--snapshot=5"],
        ["--compress=gzip", "--filetype=csv", "--no-header", "--complete-insert"],
        ["--filter=*.*,!mysql.*"],
        ["--filter=/^shop/.*"],
        ["--tables-list=a.b,c.d", "-B=a"],
    ],
)
def test_allowed_without_a_word(items: list[str]) -> None:
    assert () == merged(*items).warnings


def test_every_known_option_has_a_decision() -> None:
    unknown = {
        name
        for name in BINARY.flags
        if not name.startswith(decisions.REMOTE_PREFIXES)
        and not any(name in row.names for row in decisions.TABLE)
    }
    assert {"new-thing"} == unknown


def test_every_decision_gives_its_reason() -> None:
    assert [] == [row.shown for row in decisions.TABLE if not row.reason or not row.shown]
    assert set(Verdict) == {row.verdict for row in decisions.TABLE}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", 0),
        ("0", 0),
        ("64", 64 << 20),
        ("256MiB", 256 << 20),
        ("1.5g", 3 << 29),
        ("10 kb", 10240),
    ],
)
def test_filesize(value: str, expected: int) -> None:
    assert expected == parse_filesize(value)


SOURCE = Source("db", 4000, "root", SECRET, tls_ca=Path("/tls/ca.crt"))
MANAGED_ARGV = [
    "/dumpling",
    "--host=db",
    "--port=4000",
    "--user=root",
    f"--password={SECRET}",
    "--output=/backup/x",
    "--status-addr=127.0.0.1:0",
    "--logfmt=json",
    "--ca=/tls/ca.crt",
]


def test_command() -> None:
    told = command(BINARY, merged(), SOURCE, Path("/backup/x"), "4207")
    assert [*MANAGED_ARGV, "--consistency=snapshot", "--snapshot=4207", *DEFAULTS] == told


@pytest.mark.parametrize("option", ["--consistency=flush", "--snapshot=5"])
def test_the_users_snapshot_or_consistency_replaces_ours(option: str) -> None:
    told = command(BINARY, merged(option), SOURCE, Path("/backup/x"), "4207")
    assert [*MANAGED_ARGV, *DEFAULTS, option] == told


def test_no_snapshot_no_password() -> None:
    told = command(BINARY, merged(), Source("db", 1, "u"), Path("/o"), None)
    managed = ["--host=db", "--port=1", "--user=u", "--output=/o"]
    assert ["/dumpling", *managed, "--status-addr=127.0.0.1:0", "--logfmt=json", *DEFAULTS] == told


def test_secrets_are_not_shown() -> None:
    shown = public_argv(command(BINARY, merged(), SOURCE, Path("/backup/x"), None))
    assert "--password=***" in shown
    assert SECRET not in " ".join(shown) + repr(SOURCE)


@pytest.mark.parametrize("password", ["-x", "@:/%?&=#'\" ", "=", "é"])
def test_odd_passwords_are_one_argument(password: str) -> None:
    told = command(BINARY, merged(), Source("h", 1, "u", password), Path("/o"), None)
    assert f"--password={password}" in told


def test_a_colon_in_the_user() -> None:
    check_user("a@b")
    with pytest.raises(UsageError, match="cut at the colon"):
        check_user("a:b")
    with pytest.raises(UsageError, match="cut at the colon"):
        command(BINARY, merged(), Source("h", 1, "a:b"), Path("/o"), None)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/a b#?é", "/a b#?é"), ("/100%", "file:///100%25"), ("/a\tb", "file:///a%09b")],
)
def test_the_output_is_read_as_a_url(path: str, expected: str) -> None:
    assert f"--output={expected}" == output_option(Path(path))


def test_a_password_by_the_environment_is_not_in_argv() -> None:
    binary = replace(BINARY, password_by_environment=True)
    told = command(binary, merged(), SOURCE, Path("/o"), None)
    assert SECRET not in " ".join(told)
    assert {"MYSQL_PWD": SECRET} == secret_environment(binary, SOURCE)
    assert {} == secret_environment(binary, Source("db", 1, "u"))
    assert {} == secret_environment(BINARY, SOURCE)


# Whatever is given ----------------------------------------------------------------------------

WORDS = st.text() | st.sampled_from(
    [
        *("", "0", "1", "true", "-1", "a.b", "shop.*", "*.*", "a=1", "a=1,b=2", "256MiB", "1.5g"),
        *("none", "snapshot", "auto", "csv", "{{fn .DB}}.{{fn .Table}}.{{.Index}}", "{{define"),
        *("@/etc/hosts", "9" * 400 + ".0g", "9" * 400 + "t", "9" * 5000, "0x" + "f" * 5000),
        *('"', "\n", "\0"),
    ]
)


@st.composite
def an_option(draw: st.DrawFn) -> list[str]:
    flag = draw(st.sampled_from([*BINARY.flags.values()]))
    value = draw(WORDS)
    ways = [[f"--{flag.name}={value}"], [f"--{flag.name}", value], [f"--{flag.name} {value}"]]
    ways.append([f"--{flag.name}"])
    if flag.short:
        ways += [[f"-{flag.short}{value}"], [f"-{flag.short}", value], [f"-{flag.short}={value}"]]
    return draw(st.sampled_from(ways))


ITEMS = st.lists(an_option() | WORDS.map(lambda word: [word]), max_size=5).map(
    lambda options: [item for option in options for item in option]
)


@given(ITEMS, st.lists(WORDS, max_size=3))
@example(["--filesize=" + "9" * 400 + ".0g"], [])
@example(["--threads=" + "9" * 5000], [])
@example(["--snapshot="], [])
def test_any_options_are_merged_or_refused(items: list[str], rules: list[str]) -> None:
    try:
        options = merge(items, rules, BINARY)
        told = command(BINARY, options, SOURCE, Path("/backup/x"), "4207")
    except UsageError:
        return
    uses = pflag.parse(told[1:], lambda name: BINARY.flags[name], _no_short)
    names = [use.flag.name for use in uses]
    given_once = {"host", "port", "user", "password", "output", "status-addr", "logfmt", "ca"}
    # Each option that is not a list stands there once, whoever gave it, and ours are ours.
    once = [use for use in uses if not use.flag.is_list and use.flag.kind != "stringToString"]
    assert len({use.flag.name for use in once}) == len(once)
    assert given_once <= set(names)
    assert MANAGED_ARGV == told[: len(MANAGED_ARGV)]
    # What is merged is merged.
    again = merge(options.argv, (), BINARY)
    assert options.argv == again.argv
    assert options.values == again.values
    assert (options.tables_list, options.databases, options.params) == (
        again.tables_list,
        again.databases,
        again.params,
    )
    assert 0 < options.threads
    assert 0 <= options.rows
    assert 0 <= options.filesize


def _no_short(letter: str) -> Flag:
    raise AssertionError(letter)
