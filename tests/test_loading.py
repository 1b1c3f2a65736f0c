"""The garbage collector is off while a command is loaded, and works from then on."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from backup_manager import loading
from tests.command import DOUBLE, ROOT

_COMMAND = """
import gc, sys

import backup_manager.context

class Settings(backup_manager.context.Settings):
    def __init__(self, *arguments, **named):
        print("settings", gc.isenabled(), gc.get_freeze_count() > 10_000)
        super().__init__(*arguments, **named)

backup_manager.context.Settings = Settings
sys.argv[1:] = ["export", "--dry-run", "--bucket=b", "--dumpling=" + sys.argv[1]]
from backup_manager.__main__ import main
main()
"""


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    assert gc.isenabled()
    yield
    gc.unfreeze()
    gc.enable()


def test_what_is_loaded_is_not_looked_at() -> None:
    loading.begin()
    assert not gc.isenabled()
    loading.end()
    assert gc.isenabled()
    assert gc.get_freeze_count()


def test_an_end_without_a_begin_changes_nothing() -> None:
    loading.end()
    assert gc.isenabled()
    assert 0 == gc.get_freeze_count()


@pytest.mark.parametrize("works", [True, False])
def test_a_pause_leaves_it_as_it_was(works: bool) -> None:
    if not works:
        gc.disable()
    with suppress(KeyError), loading.paused():
        assert not gc.isenabled()
        raise KeyError
    assert works is gc.isenabled()


def test_a_command_works_with_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, str(DOUBLE)], cwd=ROOT, capture_output=True, check=False
    )
    assert b"settings True True" in done.stdout.splitlines(), done.stderr
