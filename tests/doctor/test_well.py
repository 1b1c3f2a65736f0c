"""Where all is well: what is told, in which form, and that nothing stays."""

import json
import re
import sys
from pathlib import Path

import pytest

from backup_manager.commands.doctor import doctor_command
from backup_manager.commands.export import export_command
from backup_manager.doctor import CHECKS
from backup_manager.doctor.findings import CheckList, Finding
from backup_manager.report import Report
from tests.command import CANARY_PASSWORD, DOUBLE
from tests.doctor.conftest import ACCOUNT, Examine
from tests.servers import Database, MariaDB

TITLES = [
    "settings", "dumpling", "options", "database", "version", "privileges", "snapshot", "gc",
    "leases", "volume", "lock", "room", "leftovers", "credentials", "bucket", "clock",
    "versioning", "object lock", "write", "read", "conditions", "delete", "multipart",
]  # fmt: skip


def test_all_is_well_and_nothing_stays(doctor: Examine, tidb: Database) -> None:
    well = doctor(dumpling=DOUBLE, name="demo1")

    found = well.run().expect(0, "Complete")

    assert [(title, "ok") for title in TITLES] == [
        (each["check"], each["verdict"]) for each in found.findings
    ]
    assert "23 checks, none failed" == found.summary["message"]
    assert ("demo1", None, []) == (
        found.summary["name"], found.summary["backup"], found.summary["warnings"]
    )  # fmt: skip
    assert "" == found.stderr
    seen = {each["check"]: each["seen"] for each in found.findings}
    assert f"{DOUBLE} runs, v8.5.1" == seen["dumpling"]
    assert "--threads=16 --rows=10000" == seen["options"]
    assert f"as '{ACCOUNT}'@'%' with the password of " in seen["database"]
    assert seen["database"].endswith("BACKUP_MANAGER_PASSWORD_FILE")
    assert [(seen["version"],)] == list(tidb.execute("SELECT VERSION()"))
    assert "a backup raises it to 72h0m0s while Dumpling runs" in seen["gc"]
    assert "nobody holds GC off" == seen["leases"]
    assert re.fullmatch(
        "the key [0-9A-F]{4}…[0-9A-F]{4}, of AWS_ACCESS_KEY_ID", seen["credentials"]
    )
    assert "honoured: no record is written over another" == seen["conditions"]
    assert "off: what is deleted is gone" == seen["versioning"]
    assert "none" == seen["object lock"]
    well.assert_nothing_left()


def test_as_text_each_check_is_a_line_and_the_summary_is_the_last(doctor: Examine) -> None:
    well = doctor(volume="/no/such/volume")

    found = well.run_words(well.words()).expect(9)

    *lines, last = found.stdout.splitlines()
    assert json.loads(last) == found.summary
    heads = re.findall(r"(?m)^(ok|warning|failed|skipped) +(\w+(?: \w+)?)  +\S", found.stdout)
    assert TITLES == [title for _, title in heads]
    at = lines.index(next(line for line in lines if line.startswith("failed")))
    assert re.fullmatch(
        r"failed {3}volume {7}the volume /no/such/volume cannot be used: there is no .*", lines[at]
    )
    assert re.fullmatch(r" {22}to do: mount the PVC there, or .* --volume", lines[at + 1])
    assert "\x1b" not in found.stdout


def test_a_finding_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    CheckList(Report(), ["gc"], as_json=False).tell("gc", Finding.warning("a\nb\t\x1b[2J", "c\nd"))

    assert "warning  gc  a b \\x1b[2J\n             to do: c d\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    coloured: bool,
) -> None:
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)

    CheckList(Report(), ["gc"], as_json=False).tell("gc", Finding.ok("well"))

    assert coloured == capsys.readouterr().out.startswith("\x1b[32mok     \x1b[0m  gc")


def test_it_takes_every_setting_of_export() -> None:
    own = {"dry_run", "mend", "as_json"}
    taken = {option.name: option.opts for option in doctor_command.params}
    expected = {option.name: option.opts for option in export_command.params}
    assert {name: words for name, words in expected.items() if name not in own} == {
        name: words for name, words in taken.items() if name not in own
    }


def test_options_for_dumpling_stand_behind_dashes(doctor: Examine) -> None:
    found = doctor(after=["--threads=3", "--consistency=none"]).run().expect(0)

    (warning,) = found.of("options", "warning")
    assert "--consistency" in warning["seen"]
    (merged,) = found.of("options", "ok")
    assert "--threads=3 --rows=10000 --consistency=none" == merged["seen"]
    assert "Dumpling sees to it by --consistency=none" == found.one("snapshot", "ok")["seen"]


def test_a_server_that_is_no_tidb(doctor: Examine, plain_mariadb: MariaDB) -> None:
    plain_mariadb.create_account(ACCOUNT, CANARY_PASSWORD)

    found = doctor(port=plain_mariadb.port).run().expect(0)

    skipped = dict.fromkeys(["snapshot", "gc", "leases"], "skipped")
    assert skipped == found.unwell
    assert "no TiDB" in found.one("version", "ok")["seen"]


def test_without_gc_the_row_is_left_alone(doctor: Examine) -> None:
    found = doctor(no_gc=True).run("--mend").expect(0)

    assert {"gc": "skipped", "leases": "skipped"} == found.unwell


def test_what_is_wanted_of_one_check_is_there_before_it() -> None:
    assert TITLES == [check.title for check in CHECKS]


def test_the_log_is_silent_unless_it_is_asked_for(doctor: Examine) -> None:
    assert "connected to the database" in doctor(log_level="info").run().expect(0).stderr


def test_as_a_process(doctor: Examine, volume: Path) -> None:
    well = doctor()
    with well.start("--json") as running:
        result = running.result(60).expect(0)

    *lines, _ = result.stdout.splitlines()
    assert TITLES == [json.loads(line)["check"] for line in lines]
    well.assert_nothing_left()
