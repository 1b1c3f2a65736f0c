"""Passwords that need every kind of quoting: they log in, and Dumpling gets them as they are."""

import os
import subprocess
from pathlib import Path

import pytest

from backup_manager.database.connection import Database, Source
from backup_manager.dumpling.binary import child_environment, find
from backup_manager.dumpling.command import command
from backup_manager.dumpling.options import merge
from backup_manager.signals import Stop
from tests.command import DOUBLE
from tests.servers import MariaDB

PASSWORDS = [
    "'",
    '"',
    "\\",
    "''\\'\"\\\\\"",
    " at both ends ",
    "a line\nand another\r\n",
    "%s%%{}%(x)s%41",
    "$HOME `id` $(id) ;&|<>*?[]!#~",
    "--password=x",
    "-p",
    "user:p@ss@tcp(host:1)/db?tls=false&x=y",
    "é漢字\U0001f511\u202e\u00a0",
    "e\u0301",  # not composed: nobody may compose it
    "\x01\x1b[31m\x7f",
    "x" * 200,
    "\t",
    "0",
    "null",
]


@pytest.mark.parametrize("password", PASSWORDS, ids=ascii)
def test_it_logs_in(server: MariaDB, password: str) -> None:
    server.create_account("odd", password)
    with Database(Source(server.host, server.port, "odd", password), stop=Stop()) as line:
        assert "'odd'@'%'" == line.account
    server.execute("DROP USER 'odd'@'%'")


def test_dumpling_logs_in(server: MariaDB, tmp_path: Path) -> None:
    binary = find(str(DOUBLE))
    options = merge(["--threads=1"], ["shop.*"], binary)
    environment = child_environment(os.environ, str)
    running: list[tuple[Path, subprocess.Popen[str]]] = []
    for number, password in enumerate(PASSWORDS):
        user = f"odd{number}"
        server.create_account(user, password)
        dump = tmp_path / user
        argv = command(binary, options, Source(server.host, server.port, user, password), dump, "5")
        child = subprocess.Popen(
            argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        running.append((dump, child))
    for (dump, child), password in zip(running, PASSWORDS, strict=True):
        said = child.communicate(timeout=120)[0]
        assert 0 == child.returncode, (password, said)
        assert (dump / "metadata").exists()
        server.execute(f"DROP USER '{dump.name}'@'%'")
