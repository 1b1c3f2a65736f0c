"""The manual page: as the help has it, and such that a reader of manual pages takes it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from backup_manager.commandline import help_of
from backup_manager.definitions import DEFINITIONS
from backup_manager.errors import ExitCode
from tests.command import ROOT

PAGE = ROOT / "docs" / "backup-manager.1"


def test_it_is_up_to_date(tmp_path: Path) -> None:
    made = tmp_path / "page"
    subprocess.run(
        [str(ROOT / ".venv/bin/python"), str(ROOT / "scripts/manpage.py"), str(made)], check=True
    )
    assert made.read_text() == PAGE.read_text(), "run `make man` and commit docs/backup-manager.1"


def plain() -> str:
    """The page without its macros and escapes."""
    text = re.sub(r"\\f[BIR]", "", PAGE.read_text())
    return text.replace("\\-", "-").replace("\\e", "\\").replace("\\&", "")


def test_it_has_every_flag_exit_code_and_example() -> None:
    text = plain()
    for definition in DEFINITIONS:
        value = "" if definition.switch else f"={definition.metavar}"
        assert f"\n.TP\n--{definition.flag}{value}\n{help_of(definition)}\n" in text
    for code in ExitCode:
        assert re.search(rf"\n\.TP\n{int(code)}\n\S", text)
    for section in ("NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES"):
        assert f"\n.SH {section}\n" in text
    assert "\n.TP\nBACKUP_MANAGER_PASSWORD\n" in text
    assert "backup-manager export --bucket=backups --dry-run\n" in text


def test_every_line_that_begins_with_a_dot_is_a_macro_of_man() -> None:
    macros = set(re.findall(r"(?m)^[.'](\S+)", PAGE.read_text()))
    assert macros <= {"TH", "SH", "SS", "TP", "PP", "B", "br", "nf", "fi", "RS", "RE"}


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_groff_has_nothing_to_complain_of() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", str(PAGE)],
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert "" == done.stderr
    shown = re.sub(r"\x1b\[\d*m|.\x08", "", done.stdout)
    assert re.search(r"(?m)^ +--bucket=TEXT$", shown)
    assert re.search(r"(?m)^ +backup-manager export --host=tidb --bucket=backups .*\\$", shown)
