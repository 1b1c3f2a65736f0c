import os
import shlex
from pathlib import Path

import pytest

from backup_manager.dumpling import binary
from backup_manager.dumpling.binary import Flag, child_environment, find
from backup_manager.errors import DumplingError, Reason
from backup_manager.redaction import Redactor
from tests.dumpling.helpers import BINARY, HELP, script

SHELL = "#!/bin/sh\n"


def dumpling(path: Path, *, stream: int = 2) -> Path:
    text = (
        f"{SHELL}case $1 in\n--help) echo {shlex.quote(HELP)} >&{stream};;\n"
        f"--version) printf 'Release version: v8.5.1\\nGit branch: x\\n' >&{stream};;\nesac\n"
    )
    return script(path, text)


@pytest.mark.parametrize("stream", [1, 2])
def test_features_are_read_from_either_stream(tmp_path: Path, stream: int) -> None:
    path = dumpling(tmp_path / "d", stream=stream)
    found = find(str(path))
    assert (path, "v8.5.1") == (found.path, found.version)
    assert BINARY.flags == found.flags
    assert not found.password_by_environment


def test_a_help_that_names_the_variable_for_the_password(tmp_path: Path) -> None:
    text = f"{SHELL}echo {shlex.quote(HELP.replace('secret', 'or by $MYSQL_PWD'))}"
    assert find(str(script(tmp_path / "d", text))).password_by_environment


@pytest.mark.parametrize(
    "flag",
    [
        Flag("rows", "r", "uint"),
        Flag("filter", "f", "strings"),
        Flag("no-views", "W", "bool"),
        Flag("params", None, "stringToString"),
        Flag("logfile", "L", "path"),
        Flag("s3.region", None, "string"),
        Flag("case-sensitive", None, "bool"),
        Flag("read-timeout", None, "duration"),
        Flag("output-filename-template", None, "string"),
    ],
)
def test_help(flag: Flag) -> None:
    assert flag == BINARY.flags[flag.name]


def test_help_holds_nothing_else() -> None:
    # Each line that has a flag, and three that it hides; "--slow" is part of a text.
    assert HELP.count("  --") + HELP.count(", --") - 1 + 3 == len(BINARY.flags)
    assert "slow" not in BINARY.flags


def test_the_first_of_the_usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = (tmp_path / "first", tmp_path / "second")
    monkeypatch.setattr(binary, "DEFAULT_PLACES", places)
    (tmp_path / "bin").mkdir()
    on_path = dumpling(tmp_path / "bin" / "dumpling")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert on_path == find(None).path
    assert on_path == find("dumpling").path
    places[0].mkdir()
    dumpling(places[1])
    assert places[1] == find(None).path
    places[0].rmdir()
    dumpling(places[0])
    assert places[0] == find(None).path
    assert on_path == find("dumpling").path


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dumpling(tmp_path / "d")
    monkeypatch.chdir(tmp_path)
    assert path == find("./d").path


def test_none_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "DEFAULT_PLACES", (tmp_path / "first",))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DumplingError, match=r"no \S+/first, and no dumpling on PATH.*--dumpling"):
        find(None)
    with pytest.raises(DumplingError, match="no other on PATH"):
        find("other")


def test_a_help_that_is_laid_out_in_another_way_has_the_common_options(tmp_path: Path) -> None:
    said = script(tmp_path / "d", SHELL + "echo 'Dumpling options: -t N, --threads N; --extra'")
    flags = binary.find(str(said)).flags
    assert ("r", "uint") == (flags["rows"].short, flags["rows"].kind)
    assert flags["filter"].is_list
    assert not flags["no-views"].takes_value


def test_unusable(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    cases = [
        (tmp_path / "missing", "there is no"),
        (tmp_path, "is a directory"),
        (plain, "not executable"),
        (script(tmp_path / "foreign", "\x7fELF\x02\x01\x01"), "another architecture"),
        (script(tmp_path / "bad", "#!/no/such/interpreter\n"), "interpreter"),
        (script(tmp_path / "crash", SHELL + "kill -SEGV $$"), "crashed with SIGSEGV"),
        (script(tmp_path / "fails", SHELL + "echo lib.so is lost; exit 127"), "lib.so is lost"),
        (script(tmp_path / "silent", SHELL), "is not Dumpling"),
        (script(tmp_path / "other", SHELL + "echo '  --help   this'"), "is not Dumpling"),
        (script(tmp_path / "endless", SHELL + "exec yes"), "did not end"),
    ]
    for path, told in cases:
        with pytest.raises(DumplingError, match=told) as caught:
            find(str(path))
        assert Reason.DUMPLING_UNUSABLE == caught.value.reason
        assert caught.value.fix


def test_one_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "PROBE_SECONDS", 0.05)
    for text in ("exec sleep 600", "exec >&- 2>&-; sleep 600", "sleep 600 & exit 0"):
        with pytest.raises(DumplingError, match="did not end"):
            find(str(script(tmp_path / "d", SHELL + text)))


def test_no_version(tmp_path: Path) -> None:
    text = f"{SHELL}[ $1 = --version ] || echo {shlex.quote(HELP)}"
    assert "unknown" == find(str(script(tmp_path / "d", text))).version


def test_it_is_asked_without_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_MANAGER_PASSWORD", "x")
    text = f"{SHELL}env > {tmp_path}/env; echo {shlex.quote(HELP)}"
    find(str(script(tmp_path / "d", text)))
    assert "PASSWORD" not in (tmp_path / "env").read_text()


def test_children_get_our_environment_less_secrets() -> None:
    redact = Redactor()
    redact.add("hunter2-canary")
    redact.add("root")
    kept = {
        "PATH": "/usr/bin",
        "HOME": "/root",
        "LANG": "C",
        "GOMAXPROCS": "2",
        "AWS_REGION": "x",
        "SSL_CERT_FILE": "/ca.crt",
        "EMPTY": "",
    }
    secret = {
        "BACKUP_MANAGER_PASSWORD": "1",
        "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD": "2",
        "AWS_SECRET_ACCESS_KEY": "3",
        "AWS_SESSION_TOKEN": "4",
        "AWS_ACCESS_KEY_ID": "5",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "6",
        "MYSQL_PWD": "7",
        "BACKUP_MANAGER_S3_OPTION": "--s3-sse-customer-key=8",
        "ANY": "hunter2-canary",
        "DSN": "db?p=hunter2-canary&x",
        "HTTPS_PROXY": "http://me:pass@proxy:1",
    }
    assert kept == child_environment(kept | secret, redact)
