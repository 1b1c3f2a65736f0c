"""The image, as far as it can be tested without an engine: its recipe, and its entrypoint at work.

The entrypoint runs as a container would run it: PID 1 of its own PID namespace, a UID without an
entry in /etc/passwd, no privileges, a read-only root file system, and one volume that can be
written.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from backup_manager import __version__
from tests.command import DOUBLE, END_SECONDS, ROOT, Running, assert_no_secret
from tests.servers import free_port, missing, wait_until
from tests.servers.process import program

ENTRYPOINT = ROOT / "entrypoint.sh"
CANARY = "canary-of-the-image"
UID = 65532

# The root is made read-only by the namespace's own root, who then becomes an ordinary user.
_INSIDE = f"""\
mount --bind "$1" "$1" && mount -o remount,bind,ro / || exit 125
shift
exec unshare --user --map-user={UID} --map-group=0 -- "$@"
"""


def contained(volume: Path, *argv: str) -> list[str]:
    """The command in namespaces of its own, in which only the volume can be written."""
    namespaces = ["--user", "--map-root-user", "--mount", "--pid", "--mount-proc"]
    unshare = [program("unshare"), *namespaces, "--fork", "--kill-child", "--"]
    return [*unshare, "sh", "-c", _INSIDE, "sh", str(volume), *argv]


def environment(**more: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "BACKUP_MANAGER_PASSWORD": CANARY,
        "AWS_ACCESS_KEY_ID": "access",
        "AWS_SECRET_ACCESS_KEY": CANARY,
        **more,
    }


def run(
    volume: Path, *argv: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        contained(volume, *argv),
        env=env or environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
        encoding="utf-8",
    )


def pid_1(of: int) -> int:
    """The process that is PID 1 in the namespace that this one made."""
    (child,) = Path(f"/proc/{of}/task/{of}/children").read_text().split()
    return int(child)


@pytest.fixture
def contained_volume(volume: Path) -> Path:
    """A volume, where this machine lets such namespaces be made."""
    if missing("unshare", "mount"):
        pytest.skip("no unshare or mount (util-linux)")
    done = run(volume, "true")
    if done.returncode != 0:
        pytest.skip(f"namespaces are forbidden here: {done.stderr.strip()}")
    return volume


@pytest.mark.skipif(bool(missing("hadolint")), reason="no hadolint")
def test_the_dockerfile_is_clean() -> None:
    done = subprocess.run(
        [program("hadolint"), "--no-color", str(ROOT / "Dockerfile")],
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_no_rule_is_ignored_without_a_reason() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    ignoring = [line for line in lines if "hadolint" in line and "ignore" in line]
    assert [] == [line for line in ignoring if not re.search(r"ignore=\S+ - \w+", line)]
    assert not list(ROOT.glob(".hadolint.y*ml"))


def test_the_context_has_all_that_is_copied_and_no_more() -> None:
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = set()
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY") and "--from" not in line:
            words = [word for word in line.split()[1:] if not word.startswith("--")]
            copied |= set(words[:-1])
    # A directory that is kept is kept with all that is in it.
    assert kept == {name if name in kept else name.partition("/")[0] for name in copied}
    assert all((ROOT / name).exists() for name in copied)


def test_health_is_not_asked_for_and_the_labels_are_there() -> None:
    final = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search("(?m)^HEALTHCHECK NONE$", final)
    labels = dict(re.findall(r'([\w.]+)="([^"]*)"', final.rpartition("\nLABEL ")[2]))
    names = "title description licenses version source revision created base.name"
    assert {f"org.opencontainers.image.{name}" for name in names.split()} | {
        "dumpling.version"
    } == set(labels)
    assert f"\nARG VERSION={__version__}\n" in final
    # Each is of an argument of this stage, else it would be empty.
    used = set(re.findall(r"\$\{(\w+)\}", " ".join(labels.values())))
    assert {"VERSION", "SOURCE", "REVISION", "CREATED", "PYTHON_IMAGE", "DUMPLING_VERSION"} == used
    assert used == set(re.findall(r"(?m)^ARG (\w+)", final))


def test_the_container_is_as_it_is_meant(contained_volume: Path) -> None:
    script = (
        f'id -u; echo "$$"; getent passwd {UID} || echo unknown; grep CapEff /proc/self/status;'
        ' touch /x "$0/y" || true; ls "$0"'
    )
    done = run(contained_volume, "sh", "-c", script, str(contained_volume))
    assert [str(UID), "1", "unknown", "CapEff:\t0000000000000000", "y"] == done.stdout.splitlines()
    assert "Read-only file system" in done.stderr


def test_version(contained_volume: Path) -> None:
    done = run(contained_volume, str(ENTRYPOINT), "--version")
    assert 0 == done.returncode, done.stderr
    assert "backup-manager" in done.stdout
    assert "" == done.stderr


def test_the_exit_code_passes_through(contained_volume: Path) -> None:
    volume = f"--volume={contained_volume}"
    done = run(contained_volume, str(ENTRYPOINT), "export", volume, f"--dumpling={DOUBLE}")
    assert 2 == done.returncode, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (2, "failed") == (summary["exit_code"], summary["status"])
    assert "bucket" in summary["message"]
    assert_no_secret([CANARY], "the output", (done.stdout + done.stderr).encode())


def test_arguments_and_environment_arrive_as_they_are(contained_volume: Path) -> None:
    # A command of this name, found first: it tells what reached it.
    fake = contained_volume / "backup-manager"
    fake.write_text('#!/bin/sh\nprintf "<%s>" "$@" "$AWS_REGION"; exit 42\n')
    fake.chmod(0o755)
    path = f"{contained_volume}:{os.environ.get('PATH', os.defpath)}"
    words = ["export", "--backupName=a b", "--prefix", "", "*", "$HOME"]
    env = environment(PATH=path, AWS_REGION="x y")
    done = run(contained_volume, str(ENTRYPOINT), *words, env=env)
    assert 42 == done.returncode
    assert "".join(f"<{word}>" for word in [*words, "x y"]) == done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_pid_1_ends_on_a_signal(contained_volume: Path, number: signal.Signals, code: int) -> None:
    argv = contained(
        contained_volume,
        *(str(ENTRYPOINT), "export", f"--volume={contained_volume}", f"--dumpling={DOUBLE}"),
        *("--bucket=backups", "--endpoint=http://127.0.0.1:1", f"--port={free_port()}"),
    )
    with Running(argv, environment(), [CANARY]) as running:
        # Nothing listens there: it goes on trying for 30 minutes.
        running.wait_for("connecting to the database")
        process = pid_1(running.pid)
        wait_until(lambda: "python" in _name(process), seconds=5, what="Python is PID 1")
        assert ["1"] == _status(process, "NSpid")[-1:]
        os.kill(process, number)
        result = running.result(END_SECONDS).expect(code)
    assert ("Terminated" if code == 143 else "Interrupted") == result.summary["reason"]
    assert [] == list(contained_volume.iterdir())


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/exe").readlink().name


def _status(pid: int, field: str) -> list[str]:
    text = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith(f"{field}:"))
    return line.split()[1:]
