"""Every command of the documents is run, as far as there is something here to run it on.

`docker` and `eksctl` are not to be had: their lines are held against the Dockerfile
(test_image_docs) and against a list of subcommands. `aws` is played by boto3 against moto: service,
operation and parameters must be true ones.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # of moto's requirements, without annotations
from botocore import xform_name

from tests.command import DOUBLE, ROOT
from tests.servers import wait_until
from tests.servers.moto import Moto

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent
VALUES = {
    "access_key": "AKIAEXAMPLE",
    "secret_key": "an-example",
    "account_id": "123456789012",
    "bucket": "backups",
    "cluster": "demo",
    "endpoint": "http://rgw.example.com:7480",
    "file": "credentials",
    "image": "registry.example.com/backup-manager:0.1.0",
    "instance_id": "i-0123456789abcdef0",
    "key_id": "alias/backups",
    "password": "a password",
    "prefix": "demo1",
    "region": "eu-central-1",
    "role": "backup",
    "tidb_host": "demo1-tidb",
    "tidb_user": "backup",
}
_EKSCTL = {
    ("create", "addon"),
    ("create", "iamserviceaccount"),
    ("create", "podidentityassociation"),
    ("utils", "associate-iam-oidc-provider"),
}


@dataclass(frozen=True)
class Command:
    page: str
    line: str

    @property
    def program(self) -> str:
        # Without the variables that stand before it.
        words = [word for word in shlex.split(self.line) if not re.match(r"\w+=", word)]
        return words[0].rpartition("/")[2] if words else ""

    def __str__(self) -> str:
        return f"{self.page}: {self.line[:60]}"


def _commands() -> Iterator[Command]:
    for page in PAGES:
        for block in re.findall(r"(?s)```shell\n(.*?)```", page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                text = re.sub(r"\s+# .*|^#.*", "", line).strip()
                if text:
                    yield Command(page.name, re.sub(r"\s+", " ", text))


COMMANDS = list(_commands())


def _filled(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: VALUES[match[1]], text)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the files that pages speak of, and this repository's beside."""
    text = (ROOT / "docs" / "access.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([\w-]+\.(?:yaml|json))`", text):
        # The block that follows the first mention is the file.
        content = text.split(f"`{name}`", 1)[1].split("```", 2)[1].partition("\n")[2]
        (tmp_path / name).write_text(_filled(content))
    (tmp_path / "credentials").write_text("[default]\n")
    (tmp_path / "secrets").mkdir()
    for name in (".venv", "tests", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def _run(line: str, place: Path, **variables: str) -> str:
    """Run a line by bash; paths of secrets are in the test's own directory."""
    line = line.replace("/secrets/", f"{place}/secrets/").replace("~/", f"{place}/")
    kept = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(place), "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=place,
        env=kept | VALUES | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert 0 == done.returncode, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _dry_run(line: str, place: Path) -> str:
    """An export shows what it would do; certificates and the like are empty files here."""

    def made(match: re.Match[str]) -> str:
        path = place / Path(match[2]).name
        path.touch()
        return f"{match[1]}={path}"

    line = re.sub(r"(--[\w-]+)=(/[\w./-]+)", made, line)
    return _run(f"{line} --dry-run --dumpling={DOUBLE}", place)


def _kubectl(line: str, place: Path) -> None:
    line = line.partition("|")[0].strip()
    if " create " in line:
        line += " --dry-run=client -o yaml"
    if " annotate namespace " in line:
        (place / "ns.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: test1}\n")
        line = line.replace("namespace test1", "--local -f ns.yaml -o yaml")
    if "--from-file=password=password.kms" in line:
        (place / "password.kms").write_text("AAAA")
    document = yaml.safe_load(_run(line, place))
    if document["kind"] != "Job":
        assert document["kind"] in {"Secret", "ServiceAccount", "Namespace"}
        return
    (container,) = document["spec"]["template"]["spec"]["containers"]
    told = _dry_run(shlex.join(["backup-manager", *container["args"]]), place)
    assert "demo1-tidb" in told
    assert "BACKUP_MANAGER_PASSWORD" in {each["name"] for each in container["env"]}


def _aws(line: str, place: Path, moto: Moto) -> None:
    words = shlex.split(_filled(line).partition(">")[0])[1:]
    service, operation, *options = words
    client = moto.client(service)
    method = operation.replace("-", "_")
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
    names = {xform_name(name, "-"): name for name in model.input_shape.members}
    given: dict[str, Any] = {}
    for option in options:
        name, _, text = option.removeprefix("--").partition("=")
        if name not in {"region", "query", "output"}:
            value: Any = text
            if text.startswith(("file://", "fileb://")):
                value = (place / text.partition("//")[2]).read_bytes()
                value = value if text.startswith("fileb") else value.decode()
            shape = model.input_shape.members[names[name]]
            given[names[name]] = int(value) if shape.type_name == "integer" else value
    urllib.request.urlopen(f"{moto.url}/moto-api/reset", data=b"").close()
    _prepare(moto, given)
    try:
        answer = getattr(client, method)(**given)
    except client.exceptions.ClientError as error:
        # moto has no such instance; the parameters were true ones.
        assert "InvalidInstanceID" in str(error)  # noqa: PT017 - the other way out is success
        return
    assert 200 == answer["ResponseMetadata"]["HTTPStatusCode"]


def _prepare(moto: Moto, given: dict[str, Any]) -> None:
    """The role and the key that the pages take for granted."""
    if "RoleName" in given:
        moto.client("iam").create_role(RoleName="backup", AssumeRolePolicyDocument="{}")
    if "PolicyName" in given:
        json.loads(given["PolicyDocument"])
    if "KeyId" in given:
        kms = moto.client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName="alias/backups", TargetKeyId=key)


def _eksctl(line: str) -> None:
    words = shlex.split(_filled(line))
    assert (words[1], words[2]) in _EKSCTL


def _make(line: str, place: Path) -> None:
    _run(f"make --dry-run --directory={ROOT} {line.removeprefix('make ')}", place)


# By the program: how a line of it is tried; None: by a test of its own.
_TRIALS: dict[str, Callable[..., Any] | None] = {
    "backup-manager": _dry_run,
    "kubectl": lambda line, place: _kubectl(line.replace("...", "x"), place),
    "eksctl": lambda line, _: _eksctl(line),
    "make": _make,
    "promtool": _run,
    "head": _run,
    "printf": _run,
    "eval": _run,
    "docker": None,  # test_image_docs
    "aws": None,
    "python": None,  # these three: the README's first trial, below
    ".": None,
    "$DATABASE_CLIENT": None,
}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command(command: Command, place: Path) -> None:
    assert command.program in _TRIALS, "nothing here tries this"
    trial = _TRIALS[command.program]
    if "$" in command.line and "DATABASE" in command.line:
        return  # the README's first trial
    if "fish_source" in command.line:
        (place / ".config/fish/completions").mkdir(parents=True)
    if command.program == "backup-manager" and "export" not in command.line:
        _run(command.line, place)
    elif trial:
        trial(command.line, place)


@pytest.mark.parametrize("line", [each.line for each in COMMANDS if each.program == "aws"])
def test_a_command_of_aws(line: str, place: Path) -> None:
    (place / "password").write_text("a password")
    with Moto() as moto:
        _aws(line, place, moto)


def test_the_first_trial_of_the_readme(place: Path) -> None:
    """The servers in one terminal, the export in another, word for word."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?s)```shell\n(.*?)```", text.split("## Try it")[1].split("\n## ")[0])
    start, export = blocks[1], blocks[2]
    variables = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    servers = subprocess.Popen(
        ["bash", "-c", f"exec {start}"], cwd=place, env=variables, start_new_session=True
    )
    try:
        told = place / "servers.env"
        wait_until(
            lambda: told.exists() and "AWS_SECRET" in told.read_text(),
            seconds=120,
            what="the servers tell where they are",
        )
        output = _run(export, place)
    finally:
        os.killpg(servers.pid, signal.SIGTERM)
        servers.wait(60)
    assert "complete" == json.loads(output.splitlines()[-1])["status"]
    assert [] == list((place / "volume").iterdir())
