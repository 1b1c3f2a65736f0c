import os
import subprocess
import sys
from pathlib import Path

import pytest

from backup_manager.dumpling import leftovers
from backup_manager.dumpling.leftovers import end_leftover
from backup_manager.errors import DumplingError
from tests.dumpling.helpers import alive, wait_for

WAIT = [sys.executable, "-IS", "-c", "import sys; sys.stdin.read()"]


def start(*arguments: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([*WAIT, *arguments], stdin=subprocess.PIPE)
    # Popen returns from within exec, a moment before /proc shows the arguments.
    wait_for(lambda: Path(f"/proc/{child.pid}/cmdline").read_bytes() != b"")
    return child


def test_only_one_with_exactly_this_output_is_ended(tmp_path: Path) -> None:
    others = [
        start(f"--output={tmp_path}/run10"),
        start(f"--output={tmp_path}"),
        start("--output", f"{tmp_path}/run1"),
        start(f"x--output={tmp_path}/run1"),
    ]
    ours = start("--host=h", f"--output={tmp_path}/run1", "--rows=5")
    try:
        assert [ours.pid] == end_leftover(tmp_path / "run1")
        assert not alive(ours.pid)
        assert [True] * 4 == [alive(other.pid) for other in others]
        assert [] == end_leftover(tmp_path / "run1")
    finally:
        for child in [*others, ours]:
            child.kill()
            child.communicate()


def test_one_that_does_not_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "END_SECONDS", 0.05)
    child = start(f"--output={tmp_path}")
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "kill", lambda *_: None)
            with pytest.raises(DumplingError, match=f"process {child.pid}"):
                end_leftover(tmp_path)
    finally:
        child.kill()
        child.communicate()


def test_one_of_another_user_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    child = start(f"--output={tmp_path}")
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "kill", refuse)
            with pytest.raises(DumplingError, match="another user"):
                end_leftover(tmp_path)
    finally:
        child.kill()
        child.communicate()
