import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.dumpling import logs
from backup_manager.dumpling.logs import HIDDEN, Entry

CANARY = "Canary5544"


def json_line(message: str, **fields: object) -> str:
    facts = {"level": "WARN", "time": "2026/11/22 21:02:27.596 +00:00", "caller": "dump.go:1087"}
    return json.dumps(facts | {"message": message} | fields)


def test_json() -> None:
    line = json_line("detect", type="TiDB", n=3, **{"conf.rows": 5, "errorVerbose": "stack"})
    assert Entry("warn", "detect", {"type": "TiDB", "n": 3, "conf.rows": 5}) == logs.parse(line)


def test_text() -> None:
    line = (
        "[2024/12/02 06:50:54.641 +00:00] [INFO] [dump.go:152] [progress] "
        '[tables="5/6 (83.3%)"] ["finished rows"=318709] [size=139.1MB] ["a\\"b[]="="x\\ny]"]'
    )
    fields = {"tables": "5/6 (83.3%)", "finished rows": "318709", "size": "139.1MB"}
    assert Entry("info", "progress", fields | {'a"b[]=': "x\ny]"}) == logs.parse(line)


def test_quoted_message() -> None:
    line = '[2024/12/02 06:50:54.641 +00:00] [ERROR] [dump.go:152] ["all [is] \\"lost\\""]'
    assert Entry("error", 'all [is] "lost"', {}) == logs.parse(line)


@pytest.mark.parametrize(
    "line",
    ["", "dump failed: x", "{", "{}", '{"a":' * 20000, "[1]", '{"level":1,"message":"x"}', "[2024"],
)
def test_what_is_no_log_line(line: str) -> None:
    assert logs.parse(line) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words", "plain words"),
        ("INSERT INTO `t` VALUES\n(1,'x')", f"INSERT INTO {HIDDEN}"),
        ("x insert  ignore into t", f"x insert  ignore into {HIDDEN}"),
        ("write VALUES (1)", f"write VALUES {HIDDEN}"),
        (
            "sql: SELECT * FROM `t` WHERE `a`>='x: Error 1': Error 9006: GC life time is shorter",
            f"sql: SELECT * FROM `t` WHERE {HIDDEN}: Error 9006: GC life time is shorter",
        ),
        ("SELECT a FROM t WHERE b='x'", f"SELECT a FROM t WHERE {HIDDEN}"),
        ("bad syntax near 'x''y' at line 1", f"bad syntax near '{HIDDEN}' at line 1"),
        (
            "Incorrect integer value: 'x' for column",
            f"Incorrect integer value: '{HIDDEN}' for column",
        ),
    ],
)
def test_row_data_is_cut_out(text: str, expected: str) -> None:
    assert expected == logs.hide_rows(text)


ROWS = st.text().map(lambda text: f"{text}{CANARY}{text}")


@given(ROWS)
def test_no_row_data_comes_through_a_failed_write(row: str) -> None:
    for message, name in (
        ("writing failed", "string"),
        ("fail to write", "heading 200 characters"),
    ):
        entry = logs.parse(json_line(message, **{name: row, "error": "no space left on device"}))
        assert Entry("warn", message, {name: HIDDEN, "error": "no space left on device"}) == entry


@given(
    ROWS, st.sampled_from(["INSERT INTO `t` VALUES\n(", "REPLACE INTO t VALUES (", "VALUES (1,"])
)
def test_no_statement_comes_through_anywhere(row: str, statement: str) -> None:
    text = f"write /x: {statement}{row}"
    entry = logs.parse(json_line(text, error=text, nested={"a": [text]}, query=text))
    assert entry is not None
    assert CANARY not in repr(entry)
    assert CANARY not in logs.hide_rows(text)


@given(ROWS)
def test_no_condition_comes_through(row: str) -> None:
    error = "Error 2013: Lost connection"
    text = f"sql: SELECT * FROM `t` WHERE a='{row}': {error}"
    assert f"sql: SELECT * FROM `t` WHERE {HIDDEN}: {error}" == logs.hide_rows(text)


@given(st.text(), st.integers(0, 300))
def test_a_cut_log_line_shows_no_rows(row: str, length: int) -> None:
    line = json_line("writing failed", error="x", string=f"{row}('{CANARY}',1),({CANARY}")
    assert CANARY not in logs.hide_cut(line)
    assert CANARY not in logs.hide_cut(line[: -length or None])


@given(st.text())
def test_any_line_can_be_read(text: str) -> None:
    for line in (text, "{" + text, f"[2024/12/02 06:50:54 +00:00] [INFO] [x.go:1] [{text}"):
        entry = logs.parse(line)
        assert entry is None or isinstance(entry.message, str)


@pytest.mark.parametrize(
    "piece", ["WHERE ", "near '", "value '", '["', "[a=", "INSERT INTO ", "\\"]
)
def test_a_hostile_line_costs_no_time(piece: str) -> None:
    # With a quadratic pattern this would take minutes.
    text = piece * (65536 // len(piece))
    logs.hide_cut(text)
    logs.parse(f"[2024/12/02 06:50:54 +00:00] [INFO] [x.go:1] [{text}")
    assert len(logs.hide_rows(text)) <= len(text) + len(HIDDEN)
