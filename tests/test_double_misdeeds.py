"""The double's misdeeds with files that go away or are none, and its other way for a password."""

import os
import stat
from pathlib import Path

import pytest

from .test_dumpling_double import REPLAY, SUCCESS, Run, data_files, replayed, run


@pytest.mark.parametrize("misdeed", ["rename-file", "delete-file"])
def test_a_finished_file_goes(tmp_path: Path, misdeed: str) -> None:
    entry = {"misdeed": misdeed, "after_files": 3, "file": "*.000000001.sql", "to": "other"}
    code, done = replayed(tmp_path, entry)
    assert (0, True) == (code, SUCCESS in done.out)
    assert 5 == len(data_files(tmp_path))
    assert not (tmp_path / "replay.small.000000001.sql").exists()
    assert (misdeed == "rename-file") == (tmp_path / "other").exists()


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    kinds = {"fifo": stat.S_ISFIFO, "symlink": stat.S_ISLNK}
    if os.geteuid() == 0:
        kinds["device"] = stat.S_ISCHR
    control = [{"misdeed": "special-file", "kind": kind, "name": f"sub/{kind}"} for kind in kinds]
    assert 0 == replayed(tmp_path, control)[0]
    for kind, is_it in kinds.items():
        assert is_it((tmp_path / "sub" / kind).lstat().st_mode)
    assert 1 == replayed(tmp_path / "b", {"misdeed": "special-file", "kind": "door"})[0]


def test_a_burst_in_rounds_ends_with_what_it_is_to_hold(tmp_path: Path) -> None:
    burst = {"misdeed": "burst", "count": 20, "bytes": 3, "rounds": 12}
    assert 0 == replayed(tmp_path, burst)[0]
    assert [b"--\n"] * 20 == [path.read_bytes() for path in tmp_path.glob("burst.*")]


def test_the_password_where_a_line_is_cut_or_broken(tmp_path: Path) -> None:
    control = [
        {"misdeed": "long-log-line", "bytes": 10, "plain": True, "password_at": [0, 4]},
        {"misdeed": "bad-utf8-log", "password": True},
    ]
    started = Run("-o", str(tmp_path), "-p", "s3cret", control=[REPLAY, *control])
    out, _ = started.process.communicate(timeout=20)
    assert b"s3cretxxxxs3cretxxxxxx" in out.splitlines()
    assert b"\xc3(s3cret\xff" in out


def test_a_password_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control = [REPLAY, {"misdeed": "password-by-environment"}]
    assert "MYSQL_PWD" not in run("--help")[1].err
    assert "MYSQL_PWD" in run("--help", control=control)[1].err
    code, done = run("-o", str(tmp_path), "-p", "s3cret", control=control)
    assert (1, True) == (code, "must come by MYSQL_PWD" in done.last_words)
    leak = {"misdeed": "password-leak", "last_words": False}
    monkeypatch.setenv("MYSQL_PWD", "s3cret")
    code, done = run("-o", str(tmp_path), control=[*control, leak])
    assert (0, True) == (code, "root:s3cret@" in done.out)
