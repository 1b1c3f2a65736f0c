"""The command line in the hand: its help, what a slip is answered, and completion in a shell."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from backup_manager.definitions import DEFINITIONS, GROUPS
from backup_manager.report import LEVELS
from backup_manager.store.providers import PROVIDERS

INSTALLED = str(Path(sys.executable).with_name("backup-manager"))
MODULE = [sys.executable, "-m", "backup_manager"]


def said(
    *words: str, command: Sequence[str] = MODULE, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *words],
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )


# Help --------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", GROUPS)
def test_help_stands_in_groups_and_has_every_flag(command: str) -> None:
    done = said(command, "--help")
    assert (0, "") == (done.returncode, done.stderr)
    headings = re.findall(r"(?m)^(\w+):$", done.stdout)
    assert [*GROUPS[command], "Other"] == [each for each in headings if each != "Examples"]
    for title, group in GROUPS[command].items():
        section = done.stdout.split(f"\n{title}:\n")[1].split("\n\n")[0]
        assert [each.flag for each in group] == re.findall(r"(?m)^  --([\w-]+)", section)
    assert "Examples:" in done.stdout


def test_help_is_100_columns_wide_where_there_is_room() -> None:
    widest = max(len(line) for line in said("export", "--help", COLUMNS="300").stdout.split("\n"))
    assert 90 < widest <= 100
    narrow = said("export", "--help", COLUMNS="60").stdout.split("\n  Examples:")[0]
    assert max(len(line) for line in narrow.split("\n")) <= 60


def test_help_reads_no_variable_and_imports_nothing_heavy() -> None:
    wrong = {"BACKUP_MANAGER_PORT": "no port", "S3_PROVIDER": "none", "AWS_PROFILE": "none"}
    plain = said("export", "--help", command=MODULE)
    assert plain.stdout == said("export", "--help", command=MODULE, **wrong).stdout
    done = said("export", "--help", command=[sys.executable, "-X", "importtime", *MODULE[1:]])
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "click" in imported
    assert set() == imported & {"boto3", "botocore", "pymysql", "rich.console", "urllib3"}


@pytest.mark.parametrize(
    "words", [["--help"], ["export", "--help"], ["--version"], ["export", "--bukket=x"], []]
)
def test_both_entry_points_say_the_same(words: list[str]) -> None:
    results = []
    for command in (MODULE, [INSTALLED]):
        done = said(*words, command=command)
        text = re.sub(r'"total":[\d.]+', "", done.stdout)
        results.append((done.returncode, text))
    assert results[0] == results[1]


# Slips -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["export", "--bukket=x"], "no option --bukket", "is --bucket meant?"),
        (["export", "--provder", "x"], "no option --provder", "is --provider meant?"),
        (["export", "--zzzz"], "no option --zzzz", "see backup-manager export --help"),
        (["exprot"], "no command exprot", "is export meant?"),
        (["export", "--thredas=4"], "no option --thredas", "is Dumpling's --threads meant?"),
        (["export", "--threads=4"], "--threads is an option of Dumpling", "put it after --"),
        (["--bucket=x"], "--bucket is a flag of", "backup-manager export --bucket"),
        (["export", "--password=x"], "no --password", "use --password-file"),
        (["export", "--bucket"], "'--bucket' requires an argument", "export --help"),
        ([], "Missing command", "see backup-manager --help"),
    ],
)
def test_a_slip_is_told_what_was_meant(words: list[str], what: str, fix: str) -> None:
    done = said(*words)
    assert 2 == done.returncode
    message, _, to_do = json.loads(done.stdout)["message"].partition(". To do: ")
    assert what in message
    assert fix in to_do


# Completion --------------------------------------------------------------------------------


def completed(shell: str, words: str, word: str) -> list[str]:
    """What click's protocol answers; without the kinds and descriptions beside the values."""
    environment = {
        "_BACKUP_MANAGER_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": word,
    }
    done = said(command=[INSTALLED], **environment)
    assert (0, "") == (done.returncode, done.stderr)
    lines = done.stdout.splitlines()
    return lines[1::3] if shell == "zsh" else [line.partition(",")[2] for line in lines]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_values_are_completed(shell: str) -> None:
    def values(begun: str, *, option: str = "") -> list[str]:
        line = f"backup-manager export {option} {begun}".rstrip()
        at = begun if shell == "fish" else str(3 if option else 2)
        answer = completed(shell, line, at)
        return [value.partition("\t")[0] for value in answer]

    assert list(PROVIDERS) == values("", option="--provider")
    assert ["ceph"] == values("ce", option="--provider")
    assert list(LEVELS) == values("", option="--log-level")
    if shell != "bash":  # which makes three words of it
        assert ["--provider=ceph"] == values("--provider=ce")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_flags_and_commands_are_completed(shell: str) -> None:
    at = {"bash": "2", "zsh": "2", "fish": "--"}[shell]
    flags = [value.split("\t")[0] for value in completed(shell, "backup-manager export --", at)]
    expected = {f"--{definition.flag}" for definition in DEFINITIONS} | {"--dry-run", "--help"}
    assert expected == {flag.rstrip(",") for flag in flags}
    at = {"bash": "1", "zsh": "1", "fish": "e"}[shell]
    answer = completed(shell, "backup-manager e", at)
    assert ["export"] == [value.split("\t")[0] for value in answer]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_that_switches_it_on(shell: str) -> None:
    done = said(command=[INSTALLED], _BACKUP_MANAGER_COMPLETE=f"{shell}_source")
    assert 0 == done.returncode
    assert f"_BACKUP_MANAGER_COMPLETE={shell}_complete" in done.stdout
    if found := shutil.which(shell):
        script = subprocess.run([found, "-n"], input=done.stdout, check=False, encoding="utf-8")
        assert 0 == script.returncode


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("export --provider=ce", "export --provider=ceph"),
        ("export --provider ce", "export --provider ceph"),
        ("export --log-level=war", "export --log-level=warning"),
        ("export --table-fi", "export --table-filter"),
        ("export --password-file=some", "export --password-file=something"),
        ("exp", "export"),
    ],
)
def test_a_real_bash_completes_at_tab(typed: str, expected: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    (tmp_path / "something").touch()
    start = tmp_path / "bashrc"
    start.write_text('PS1="> "\neval "$(_BACKUP_MANAGER_COMPLETE=bash_source backup-manager)"\n')
    environment = {"PATH": f"{Path(INSTALLED).parent}:{os.environ['PATH']}", "TERM": "dumb"}
    environment |= {"HOME": str(tmp_path), "INPUTRC": "/dev/null"}
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--rcfile", str(start), "-i"],
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
        start_new_session=True,
    )
    os.close(theirs)
    # What Tab made of the line is asked of bash itself: the line becomes the words of a printf.
    os.write(ours, f"backup-manager {typed}\t\x01printf '<%s>' #\n".encode())
    os.write(ours, b"history | tail -n 2; exit\n")
    shown = b""
    try:
        while block := os.read(ours, 65536):
            shown += block
    except OSError:
        pass  # it has ended
    finally:
        os.close(ours)
        shell.wait(30)
    lines = re.findall(r"printf '<%s>' #backup-manager (.*)", shown.decode())
    assert any(line.strip().startswith(expected) for line in lines), shown.decode()
