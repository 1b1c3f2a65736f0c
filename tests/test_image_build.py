"""The image's own part, made as the Dockerfile says but without an engine, and what runs in it.

Only pip's downloads are replaced: the packages of the lock are copied from where the tests run.
What is made is used as a container would use it: by a UID without a name, and nobody may write it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from packaging.markers import Marker

from backup_manager import __version__
from tests.command import ROOT
from tests.servers import missing
from tests.test_image import UID, contained

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
MOST_MEGABYTES = 80  # docs/image.md
_LOCKED = re.compile(r"(?m)^([\w.-]+)==([\w.]+)(?: ; (.*?))? \\$")


def stage(name: str) -> list[str]:
    """The instructions of a stage, each on one line."""
    text = re.sub(r"(?m)^#.*\n", "", DOCKERFILE).replace("\\\n", " ")
    stages = re.split(r"(?m)^FROM ", text)
    (found,) = (each for each in stages if each.splitlines()[0].endswith(f" AS {name}"))
    return found.splitlines()[1:]


def locked() -> dict[str, str]:
    text = (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8")
    return {
        name: version
        for name, version, marker in _LOCKED.findall(text)
        if not marker or Marker(marker).evaluate()
    }


class Image:
    """Its root directory is `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / "opt" / "backup-manager"
        self._build = root / "build"

    def build(self) -> None:
        (self.root / "tmp").mkdir(parents=True)
        self._build.mkdir()
        for line in stage("builder"):
            words = line.split()
            if line.startswith("COPY"):
                *sources, target = words[1:]
                self._copy(sources, self._build / target)
            elif line.startswith("RUN"):
                self._run(line.removeprefix("RUN "))
        shutil.rmtree(self._build)
        shutil.rmtree(self.root / "wheel")

    def _copy(self, sources: list[str], target: Path) -> None:
        for source in sources:
            path = ROOT / source
            if path.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, target, ignore=ignored)
            else:
                target.mkdir(exist_ok=True)
                shutil.copy(path, target)

    def _run(self, commands: str) -> None:
        """Run the commands, those that download apart: what they would install is copied."""
        for command in commands.split("&&"):
            if "--requirement requirements/build.txt" in command:
                continue  # the tests' own environment has it
            if "--requirement requirements/run.txt" in command:
                assert "--require-hashes" in command
                self._install_locked()
                continue
            here = command.replace("/opt/backup-manager", str(self.venv))
            here = here.replace("/wheel", str(self.root / "wheel"))
            environment = {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PIP_NO_INDEX": "1",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PIP_CACHE_DIR": str(self.root / "tmp"),
            }
            done = subprocess.run(
                ["sh", "-euc", here],
                cwd=self._build,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                timeout=120,
                check=False,
            )
            assert 0 == done.returncode, f"{here}\n{done.stdout}{done.stderr}"

    def _install_locked(self) -> None:
        (packages,) = self.venv.glob("lib/python*/site-packages")
        for name, version in locked().items():
            package = distribution(name)
            assert version == package.version, f"{name}: the tests' environment is not the lock's"
            for file in package.files or ():
                # Not what is beside them: commands in bin.
                if file.parts[0] != ".." and file.suffix != ".pyc":
                    target = packages / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(str(file.locate()), target)

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it as the Pod of the README would."""
        environment = dict(
            re.findall(r"(\w+)=(\S+)", DOCKERFILE.rpartition("\nENV ")[2].partition("\nUSER")[0])
        )
        path = environment["PATH"].replace("/opt/backup-manager", str(self.venv))
        environment["PATH"] = path.replace("$PATH", "/usr/local/bin:/usr/bin:/bin")
        environment["HOME"] = str(self.root / "tmp")
        return subprocess.run(
            contained(self.root / "tmp", *argv),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    image = Image(tmp_path / "root")
    image.build()
    yield image
    subprocess.run(["chmod", "-R", "u+w", str(image.root)], check=True)
    shutil.rmtree(image.root)


# One test, since it takes some seconds of two processors to make.
def test_the_image_as_the_dockerfile_makes_it(image: Image) -> None:
    _made_of_the_lock_and_of_nothing_else(image)
    _compiled_small_and_not_to_be_written(image)
    _loads_without_what_the_tests_have(image)
    subprocess.run(["chmod", "-R", "a-w", str(image.venv)], check=True)
    _starts_with_any_uid(image)


def _made_of_the_lock_and_of_nothing_else(image: Image) -> None:
    # The command of docs/image.md, with the pip of the base image.
    argv = [sys.executable, "-m", "pip", f"--python={image.venv}/bin/python", "inspect"]
    done = subprocess.run(argv, capture_output=True, check=True, timeout=60)
    found = {
        package["metadata"]["name"].lower().replace("_", "-"): package["metadata"]["version"]
        for package in json.loads(done.stdout)["installed"]
    }
    assert locked() | {"backup-manager": __version__} == found


def _compiled_small_and_not_to_be_written(image: Image) -> None:
    sources = list(image.venv.rglob("site-packages/**/*.py"))
    assert 500 < len(sources)
    # As Python itself looks for it; unchecked, since a layer's times are not those of the build.
    for source in sources:
        compiled = Path(cache_from_source(str(source)))
        # Templates are no modules.
        if source.stem.isidentifier():
            assert b"\1\0\0\0" == compiled.read_bytes()[4:8], source
    paths = [path for path in image.venv.rglob("*") if not path.is_symlink()]
    assert [] == [path for path in paths if path.stat().st_mode & 0o022]
    assert sum(path.stat().st_blocks * 512 for path in paths) < MOST_MEGABYTES << 20


def _loads_without_what_the_tests_have(image: Image) -> None:
    script = """
import importlib, pkgutil, backup_manager
for module in pkgutil.walk_packages(backup_manager.__path__, "backup_manager."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(backup_manager.__file__)
"""
    python = str(image.venv / "bin" / "python")
    done = subprocess.run(
        [python, "-I", "-c", script], capture_output=True, encoding="utf-8", check=False, timeout=60
    )
    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith(str(image.venv))


def _starts_with_any_uid(image: Image) -> None:
    if missing("unshare", "mount"):
        pytest.skip("all but the start of it: no unshare or mount (util-linux)")
    done = image.run("true")
    if done.returncode != 0:
        pytest.skip(f"all but the start of it: no namespaces here: {done.stderr.strip()}")
    done = image.run("sh", "-c", f"id -u; touch {image.venv}/x")
    assert f"{UID}\n" == done.stdout
    assert done.stderr

    done = image.run(str(ROOT / "entrypoint.sh"), "--version")
    assert (0, f"backup-manager, version {__version__}\n") == (done.returncode, done.stdout)
    assert "" == done.stderr

    done = image.run(str(ROOT / "entrypoint.sh"), "export", "--dry-run")
    assert 2 == done.returncode
    assert "no bucket is given" in json.loads(done.stdout.splitlines()[-1])["message"]
    assert [] == list((image.root / "tmp").iterdir())
