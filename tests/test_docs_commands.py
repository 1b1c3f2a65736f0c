"""Every command of the documents is run, as far as there is something here to run it on.

`docker`, `eksctl` and `tidb-lightning` are not available: their lines are held against the
Dockerfile (test_image_docs) and against lists of what they take. `aws` is played by boto3 against
moto: service, operation and parameters must be true ones. What only the tool itself has (`aws s3`,
`jq`) is run where it is installed. There is no cluster: `kubectl` has to understand its line, and
then finds nobody. What is about backups that are there is tried by test_docs_life.
"""

import json
import os
import re
import shlex
import shutil
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
from tests.servers.moto import Moto

# Those of kubernetes.md are run on a cluster, by tests/kube/test_docs.py.
_OF_CLUSTER = {"kubernetes.md"}
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in _OF_CLUSTER),
]
BIN = Path(sys.executable).parent
VALUES = {
    "access_key": "AKIAEXAMPLE",
    "secret_key": "an-example",
    "account_id": "123456789012",
    "backup": "s3://backups/demo1/backup-2026-11-22T10:00:00Z-1a2b3c4d",
    "bucket": "backups",
    "ca_file": "ca.pem",
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
# The commands of ours on backups that are there.
LIFE = ("list", "verify", "prune", "clean", "download")
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

    @property
    def command(self) -> str:
        """The first word after the program; of ours it is the command."""
        words = shlex.split(self.line)
        return words[1] if len(words) > 1 else ""

    def __str__(self) -> str:
        return f"{self.page}: {self.line[:60]}"


def _commands() -> Iterator[Command]:
    for page in PAGES:
        for block in re.findall(r"(?s)```shell\n(.*?)```", page.read_text(encoding="utf-8")):
            yield from _lines(page.name, block)


def _lines(page: str, block: str) -> Iterator[Command]:
    for line in block.replace("\\\n", " ").splitlines():
        text = re.sub(r"\s+# .*|^#.*", "", line).strip()
        if text:
            yield Command(page, re.sub(r"\s+", " ", text))


COMMANDS = list(_commands())


def _filled(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: VALUES[match[1]], text)


def block_of(page: str, heading: str, language: str) -> str:
    """The one block of a language below a heading."""
    text = (ROOT / page).read_text(encoding="utf-8").split(f"## {heading}")[1].split("\n## ")[0]
    (found,) = re.findall(rf"(?s)```{language}\n(.*?)```", text)
    return str(found)


def _manifest(page: str, heading: str) -> str:
    return block_of(page, heading, "yaml")


def _of_the_first_trial() -> set[str]:
    """The lines of the README's first trial, all but those of make."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("## Try it")[1]
    blocks = re.findall(r"(?s)```shell\n(.*?)```", text.split("\n## ")[0])[1:]
    return {each.line for block in blocks for each in _lines("README.md", block)}


FIRST_TRIAL = _of_the_first_trial()
MANIFESTS = [
    ("README.md", "In Kubernetes", "backup-s3.yaml"),
    ("docs/operations.md", "On a schedule", "schedule.yaml"),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the files that pages speak of, and this repository's beside."""
    text = (ROOT / "docs" / "access.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([\w-]+\.(?:yaml|json))`", text):
        # The block that follows the first mention is the file.
        content = text.split(f"`{name}`", 1)[1].split("```", 2)[1].partition("\n")[2]
        (tmp_path / name).write_text(_filled(content))
    (tmp_path / "credentials").write_text("[default]\n")
    (tmp_path / "ca.pem").write_text("a certificate\n")
    for page, heading, name in MANIFESTS:
        (tmp_path / name).write_text(_manifest(page, heading))
    (tmp_path / "lifecycle.json").write_text(
        block_of("docs/operations.md", "On a schedule", "json")
    )
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/sse-c.key").write_bytes(bytes(32))
    for name in (".venv", "tests", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def run(line: str, place: Path, **variables: str) -> str:
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
        path.write_bytes(bytes(32) if path.name == "sse-c.key" else b"")
        return f"{match[1]}={path}"

    line = re.sub(r"(--[\w-]+)=(/[\w./-]+)", made, line)
    return run(f"{line} --dry-run --dumpling={DOUBLE}", place)


def _unheard(line: str, place: Path) -> None:
    """A line that asks the cluster: it is understood, and nobody is there."""
    done = subprocess.run(
        ["bash", "-c", line.replace("kubectl", "kubectl --server=http://127.0.0.1:1", 1)],
        cwd=place,
        env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(place)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert 1 == done.returncode
    assert re.search(r"connection refused|127\.0\.0\.1:1 was refused", done.stderr), done.stderr


def _render(line: str, place: Path) -> None:
    """What is made is what `export` takes; there is nobody to apply it."""
    made, _, applied = line.partition(" | ")
    kinds = []
    for document in yaml.safe_load_all(run(made, place)):
        kinds.append(document["kind"])
        if "Claim" in kinds[-1]:
            continue
        spec = document["spec"]
        job = spec["jobTemplate"]["spec"] if kinds[-1] == "CronJob" else spec
        _tries_container(job["template"]["spec"], place)
    assert "PersistentVolumeClaim" == kinds[0]
    assert kinds[1:] in (["Job"], ["CronJob"])
    assert "kubectl apply -f -" == applied
    _unheard(line, place)


def _tries_container(pod: dict[str, Any], place: Path) -> None:
    (container,) = pod["containers"]
    told = _dry_run(shlex.join(["backup-manager", *container["args"]]), place)
    assert "demo1-tidb" in told
    assert "BACKUP_MANAGER_PASSWORD" in {each["name"] for each in container["env"]}


def _kubectl(line: str, place: Path) -> None:
    line = line.partition("|")[0].strip()
    if re.search(r" (apply|logs|describe|delete|get) |--from=cronjob", line):
        _unheard(line, place)
        return
    if " create " in line:
        line += " --dry-run=client -o yaml"
    if " annotate namespace " in line:
        (place / "ns.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: test1}\n")
        line = line.replace("namespace test1", "--local -f ns.yaml -o yaml")
    if "--from-file=password=password.kms" in line:
        (place / "password.kms").write_text("AAAA")
    document = yaml.safe_load(run(line, place))
    if document["kind"] != "Job":
        assert document["kind"] in {"ConfigMap", "Secret", "ServiceAccount", "Namespace"}
        return
    _tries_container(document["spec"]["template"]["spec"], place)


def _aws(line: str, place: Path, moto: Moto) -> None:
    words = shlex.split(_filled(line).partition(">")[0])[1:]
    service, operation, *options = words
    client = moto.client(service.removesuffix("api"))
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
            if shape.type_name == "structure":
                value = json.loads(value)
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
    if "Bucket" in given:
        s3 = moto.client("s3")
        where = {"LocationConstraint": s3.meta.region_name}
        s3.create_bucket(Bucket=given["Bucket"], CreateBucketConfiguration=where)
    if "KeyId" in given:
        kms = moto.client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName="alias/backups", TargetKeyId=key)


def _eksctl(line: str) -> None:
    words = shlex.split(_filled(line))
    assert (words[1], words[2]) in _EKSCTL


def _make(line: str, place: Path) -> None:
    run(f"make --dry-run --directory={ROOT} {line.removeprefix('make ')}", place)


# By the program: how a line of it is tried; None: by a test of its own.
_TRIALS: dict[str, Callable[..., Any] | None] = {
    "backup-manager": _dry_run,
    "kubectl": lambda line, place: _kubectl(line.replace("...", "x"), place),
    "eksctl": lambda line, _: _eksctl(line),
    "make": _make,
    "promtool": run,
    "head": run,
    "printf": run,
    "eval": run,
    "docker": None,  # test_image_docs
    "aws": None,
    "export": run,
    "python": None,  # these three: the README's first trial, in test_docs_life
    ".": None,
    "$DATABASE_CLIENT": None,
    "cd": None,  # with those that follow: fetching a backup, in the same trial
    "jq": None,
    "zcat": None,
    "tidb-lightning": None,  # test_docs_lightning
}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command(command: Command, place: Path) -> None:
    assert command.program in _TRIALS, "nothing here tries this"
    trial = _TRIALS[command.program]
    if command.command in LIFE or command.line in FIRST_TRIAL:
        return  # test_docs_life
    if "fish_source" in command.line:
        (place / ".config/fish/completions").mkdir(parents=True)
    if command.command == "render":
        _render(command.line, place)
    elif command.program == "backup-manager" and "export" not in command.line:
        run(command.line, place)
    elif trial:
        trial(command.line, place)


AWS = [each.line for each in COMMANDS if each.program == "aws"]


@pytest.mark.parametrize("line", [line for line in AWS if " s3 " not in line])
def test_a_command_of_aws(line: str, place: Path) -> None:
    (place / "password").write_text("a password")
    with Moto() as moto:
        _aws(line, place, moto)


def is_there(*programs: str) -> bool:
    """Whether programs can be run: a version manager's stand-in may be there without them."""
    return all(
        shutil.which(program)
        and 0 == subprocess.run([program, "--version"], capture_output=True, check=False).returncode
        for program in programs
    )


def test_the_fetch_with_a_key_of_ones_own(place: Path) -> None:
    """The CLI takes all its words: what fails is that nobody is there."""
    if not is_there("aws"):
        pytest.skip("no aws")
    (line,) = (line for line in AWS if "--sse-c-key" in line)
    with pytest.raises(AssertionError, match="Could not connect to the endpoint"):
        run(
            line,
            place,
            AWS_ACCESS_KEY_ID="x",
            AWS_SECRET_ACCESS_KEY="x",
            AWS_ENDPOINT_URL="https://127.0.0.1:1",
            AWS_MAX_ATTEMPTS="1",
        )


@pytest.mark.parametrize("name", [name for _, _, name in MANIFESTS])
def test_what_is_rendered_has_fields_that_kubernetes_knows(name: str, place: Path) -> None:
    """kubectl drops what it does not know."""
    for given in yaml.safe_load_all(run(f"backup-manager render --image=x {name}", place)):
        if given["kind"] == "PersistentVolumeClaim":
            continue
        (place / "made.yaml").write_text(yaml.safe_dump(given))
        line = "kubectl set serviceaccount --local -f made.yaml -o yaml default"
        assert [] == _without(given, yaml.safe_load(run(line, place)))


def _without(given: Any, known: Any, path: str = "") -> list[str]:
    """The paths of what was given and is not known."""
    if isinstance(given, dict):
        if not isinstance(known, dict):
            return [path]
        return [
            lost
            for key, value in given.items()
            for lost in (
                _without(value, known[key], f"{path}.{key}") if key in known else [f"{path}.{key}"]
            )
            if value not in ({}, None)
        ]
    if isinstance(given, list):
        if not isinstance(known, list) or len(given) != len(known):
            return [path]
        return [
            lost
            for at, (one, other) in enumerate(zip(given, known, strict=True))
            for lost in _without(one, other, f"{path}[{at}]")
        ]
    return [] if str(given) == str(known) else [path]
