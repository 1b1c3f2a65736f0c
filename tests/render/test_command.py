"""The command itself, as a process: its files, stdin, stdout, the terminal, its settings."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.running import ROOT
from tests.terminals import Terminal

from .rendering import BACKUP, IMAGE, SCHEDULE, changed, render, run, told

COMMAND = [sys.executable, "-m", "backup_manager", "render"]
ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm"}


def process(
    words: Sequence[str], stdin: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *words],
        input=stdin.encode(),
        capture_output=True,
        cwd=ROOT,
        env=ENVIRONMENT | dict(environment or {}),
        check=False,
        timeout=60,
    )


def shell(script: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """A line of bash, in which $render is the command."""
    return subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        cwd=ROOT,
        env=ENVIRONMENT | {"render": " ".join([*COMMAND, f"--image={IMAGE}"])} | variables,
        check=False,
        timeout=60,
    )


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    path = tmp_path / "backup.yaml"
    path.write_text(BACKUP)
    return path


def test_a_process_says_the_same_on_stdout_and_nothing_on_stderr(file: Path) -> None:
    expected = render(BACKUP).stdout.encode()
    for done in (
        process([f"--image={IMAGE}"], BACKUP),
        process([f"--image={IMAGE}", "-"], BACKUP),
        process([f"--image={IMAGE}", str(file)]),
        shell('cat "$file" | $render', file=str(file)),
        shell('$render <(cat "$file")', file=str(file)),
    ):
        assert (0, expected, b"") == (done.returncode, done.stdout, done.stderr)


def test_a_process_ends_with_2_and_nothing_on_stdout_for_a_mistake() -> None:
    done = process([f"--image={IMAGE}"], changed(BACKUP, "root", "12"))
    assert (2, b"") == (done.returncode, done.stdout)
    (line,) = done.stderr.decode().splitlines()
    assert json.loads(line)["event"].startswith("stdin, line 10: spec.from.user is the number 12")


def test_several_files_and_stdin_in_their_order(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(SCHEDULE)
    third = changed(BACKUP, "demo1", "third")
    made = run([f"--image={IMAGE}", str(other), "-", str(file)], third.encode())
    assert ["nightly", "third", "demo1"] == [
        each["metadata"]["name"] for each in made.objects if each["kind"] != "PersistentVolumeClaim"
    ]


def test_mistakes_of_several_files_name_them(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(changed(SCHEDULE, "root", "12"))
    made = run([f"--image={IMAGE}", str(other), str(file), "-"], BACKUP.encode())
    assert 2 == made.exit_code
    assert made.errors[0].startswith(f"{other}, line 13: ")
    assert made.errors[1].startswith(
        f"stdin, line 4: Backup demo1 has the name of the Backup in {file}, line 4"
    )
    assert f"there are 2 mistakes in {other}, stdin" in made.log[-1]["event"]


@pytest.mark.parametrize(
    ("name", "why"),
    [("missing.yaml", "No such file or directory"), (".", "Is a directory")],
)
def test_a_file_that_cannot_be_read(file: Path, tmp_path: Path, name: str, why: str) -> None:
    wrong = tmp_path / name
    made = run([f"--image={IMAGE}", str(file), str(wrong)])
    assert 2 == made.exit_code
    assert [f"{wrong} cannot be read: {why}. To do: name a file with YAML"] == made.errors


def test_a_file_of_an_empty_directory_is_asked_for_by_name(tmp_path: Path) -> None:
    done = shell(
        'cd "$place" && PYTHONPATH="$root" $render *.yaml', place=str(tmp_path), root=str(ROOT)
    )
    assert (2, b"") == (done.returncode, done.stdout)
    assert b"*.yaml cannot be read: No such file or directory" in done.stderr


def test_on_a_terminal_a_file_is_asked_for() -> None:
    with Terminal(
        [*COMMAND, f"--image={IMAGE}"], ENVIRONMENT, columns=200, typed=True, cwd=ROOT
    ) as terminal:
        assert 2 == terminal.end()
        assert "no file is given" in terminal.screen.text
        assert "name the YAML of a Backup, or give it on stdin" in terminal.screen.text
        assert b"" == terminal.stdout


def test_a_mistake_is_told_on_a_terminal_too(tmp_path: Path) -> None:
    wrong = tmp_path / "a.yaml"
    wrong.write_text(changed(changed(BACKUP, "root", "12"), "demo1", '"\\e[31m"'))
    with Terminal(
        [*COMMAND, f"--image={IMAGE}", "a.yaml"],
        ENVIRONMENT | {"PYTHONPATH": str(ROOT)},
        columns=200,
        cwd=tmp_path,
    ) as terminal:
        assert 2 == terminal.end()
        assert "a.yaml, line 10: spec.from.user is the number 12" in terminal.screen.text
        assert "there are 2 mistakes in a.yaml" in terminal.screen.text
        assert b"\x1b[31m'" not in terminal.raw
        assert b"" == terminal.stdout


@pytest.mark.parametrize(
    "redirection",
    [
        "<&-",
        "</dev/null",
    ],
)
def test_without_stdin_there_is_nothing_to_render(redirection: str) -> None:
    done = shell(f"$render {redirection}")
    assert (2, b"") == (done.returncode, done.stdout)
    assert b"there is nothing to render in stdin" in done.stderr


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_stream_that_is_closed_is_no_defect(file: Path, stream: str) -> None:
    done = shell(f'$render "$file" {stream}>&-', file=str(file))
    assert 0 == done.returncode
    assert b"Traceback" not in done.stderr
    expected = b"" if stream == "1" else render(BACKUP).stdout.encode()
    assert expected == done.stdout


def test_a_reader_that_goes_away_is_no_defect(tmp_path: Path) -> None:
    many = tmp_path / "many.yaml"
    many.write_text("---\n".join(changed(BACKUP, "demo1", f"demo{number}") for number in range(99)))
    done = shell('$render "$file" | head -n 2; exit ${PIPESTATUS[0]}', file=str(many))
    assert (0, b"---\napiVersion: v1\n", b"") == (done.returncode, done.stdout, done.stderr)


def test_where_ascii_alone_can_be_written_the_same_objects_are() -> None:
    text = changed(BACKUP, "spec:\n", "  annotations: {owner: 'é 😀'}\nspec:\n")
    for form in ("yaml", "json"):
        words = [f"--image={IMAGE}", f"--output={form}"]
        done = process(words, text, {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
        assert 0 == done.returncode
        assert done.stdout.isascii()
        file = done.stdout.decode()
        assert any(half in file.lower() for half in ("\\ud83d", "\\u0001f600"))
        read = render(text, f"--output={form}").objects
        assert read == _loaded(file)


def _loaded(text: str) -> list[object]:
    import yaml  # type: ignore[import-untyped]  # noqa: PLC0415 - for this one alone

    return list(yaml.safe_load_all(text)) if text.startswith("---") else [json.loads(text)]


# Settings ----------------------------------------------------------------------------------


def test_the_image_comes_from_the_flag_or_from_the_variable() -> None:
    variable = {"BACKUP_MANAGER_IMAGE": "other:2"}
    made = run([], BACKUP.encode(), variable)
    assert "other:2" == made.container["image"]
    assert IMAGE == render(BACKUP, environment=variable).container["image"]


@pytest.mark.parametrize("environment", [{}, {"BACKUP_MANAGER_IMAGE": ""}])
def test_without_an_image_it_is_asked_for(environment: dict[str, str]) -> None:
    made = run([], BACKUP.encode(), environment)
    assert 2 == made.exit_code
    assert made.errors[0].startswith("there is no image for the Pods. To do: name it with --image")


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--image=", "--image is wrong"),
        ("--image=a b", "--image is wrong"),
        ("--namespace=Test", "--namespace is wrong"),
        ("--ttl=-3h", "--ttl is wrong"),
        ("--ttl=0s", "--ttl is wrong"),
        ("--ttl=3d", "--ttl is wrong"),
        ("--output=xml", "--output is wrong: 'xml' is no form of output"),
    ],
)
def test_a_flag_that_is_wrong(flag: str, expected: str) -> None:
    assert told(BACKUP, flag).startswith(expected)


def test_nothing_of_a_store_or_of_a_password_is_needed_or_read() -> None:
    ours = {
        "AWS_PROFILE": "missing",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "BACKUP_MANAGER_PORT": "9999",
        "BACKUP_MANAGER_HOST": "other",
        "KUBECONFIG": "/nonexistent",
    }
    assert render(BACKUP).stdout == render(BACKUP, environment=ours).stdout


@pytest.mark.parametrize("words", [["-o", "yaml"], ["--imag=x"], ["--output"]])
def test_a_flag_that_there_is_not_leaves_stdout_to_kubectl(words: list[str]) -> None:
    done = process([f"--image={IMAGE}", *words], BACKUP)
    assert (2, b"") == (done.returncode, done.stdout)


@pytest.mark.parametrize("flag", ["--namespace=a.b", f"--namespace={'a' * 64}", "--ttl=876000h"])
def test_a_flag_that_no_api_server_takes(flag: str) -> None:
    assert " is wrong" in told(BACKUP, flag)
