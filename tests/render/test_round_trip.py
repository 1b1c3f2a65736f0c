"""What is rendered is taken by `export`, and every setting arrives there with its value."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup_manager.render.output import as_yaml
from tests.here import run_here

from .rendering import BACKUP, GOOD_EXAMPLES, SCHEDULE, Rendered, changed, filled, render, spec

ENVIRONMENT = {
    "HOME": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
}
SECRETS = {
    ("tidb-secret", "password"): "canary-password",
    ("s3-secret", "access_key"): "AKIACANARY",
    ("s3-secret", "secret_key"): "canary-secret-key",
    ("backup-demo1-tidb-secret", "password"): "canary-password",
}
LABELS = {
    "metadata.labels['batch.kubernetes.io/job-name']": "demo1-28391",
    "metadata.labels['batch.kubernetes.io/controller-uid']": "0b7f6f6c-6f4c-4a58-b0a5-0a7d2d4b9b11",
}


def value_of(entry: dict[str, Any]) -> str:
    if "valueFrom" not in entry:
        return str(entry.get("value", ""))
    source = entry["valueFrom"]
    if "fieldRef" in source:
        return LABELS[source["fieldRef"]["fieldPath"]]
    wanted = source["secretKeyRef"]
    return SECRETS[wanted["name"], wanted["key"]]


def expanded(word: str, environment: dict[str, str]) -> str:
    """As a kubelet does it: k8s.io/kubernetes, third_party/forked/golang/expansion."""

    def instead(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return environment.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", instead, word)


class Shown:
    """What `export --dry-run` says of a rendered container's settings."""

    def __init__(self, made: Rendered, *further: str) -> None:
        own = {name: value_of(entry) for name, entry in made.env.items()}
        words = [expanded(word, own) for word in made.args]
        code, stdout, stderr = run_here(
            [*words, "--dry-run", *further], ENVIRONMENT | own, ["canary-secret-key"]
        )
        assert 0 == code, stderr
        self.stdout = stdout
        self.lines = [line.strip() for line in stdout.splitlines()]

    def origin(self, flag: str, value: str) -> str:
        """Where that setting comes from, which has to have this value."""
        begin = f"--{flag:<20} {value:<40} "
        found = [line.removeprefix(begin) for line in self.lines if line.startswith(begin)]
        assert 1 == len(found), f"no line {begin!r} in {self.stdout}"
        return found[0]


@pytest.fixture(name="dumpling", scope="module")
def _dumpling(quick_double: Path) -> list[str]:
    return [f"--dumpling={quick_double}"]


@pytest.mark.parametrize(
    "text",
    [
        filled(file.read_text())
        for file in sorted(GOOD_EXAMPLES.glob("*.yaml"))
        if file.stem != "schedule-account-role"  # one of its fields is refused
    ],
)
def test_export_takes_what_is_made_of_an_example(text: str, dumpling: Sequence[str]) -> None:
    shown = Shown(render(text), *dumpling)
    assert "--host" == shown.origin("host", "demo1-tidb")
    assert "--port" == shown.origin("port", "4000")
    assert "--user" == shown.origin("user", "root")
    assert "--bucket" == shown.origin("bucket", "backups")
    assert "--name" == shown.origin("name", "demo1-28391")
    assert "--owner-uid" == shown.origin("owner-uid", str(list(LABELS.values())[1]))
    assert any(
        line.split() == ["password", "***", "BACKUP_MANAGER_PASSWORD"] for line in shown.lines
    )
    if "kind: BackupSchedule" in text:
        assert "--max-reserved-time" == shown.origin("max-reserved-time", "3h")
    if "provider: ceph" in text:
        assert "--endpoint" == shown.origin("endpoint", "http://rgw.ceph:7480")
        assert "--provider" == shown.origin("provider", "ceph")


STORE = """\
    prefix: nightly/$(HOME)/é
    endpoint: https://rgw.example.com:7443
    storageClass: STANDARD_IA
    acl: bucket-owner-full-control
    sse: aws:kms
    forcePathStyle: true
    options: [--ignore-checksum, --s3-upload-concurrency=4]
    secretName: s3-secret
"""
MORE = """\
tikvGCLifeTime: 48h
tableFilter: ["shop.*", "!shop.tmp_*", '/^a\\d{2}$/./b c/']
dumpling:
  options:
  - --threads=16
  - --where=note = 'it''s' and x > $(HOME)
  - -r
  - "10000"
"""


def test_every_setting_of_the_spec_arrives_with_its_value(dumpling: Sequence[str]) -> None:
    text = changed(BACKUP, "    secretName: s3-secret\n", STORE)
    made = render(spec(MORE, text))
    shown = Shown(made, *dumpling)
    where = "--where=note = 'it''s' and x > $(HOME)"
    for flag, value in {
        "prefix": "nightly/$(HOME)/é",
        "endpoint": "https://rgw.example.com:7443",
        "region": "eu-central-1",
        "storage-class": "STANDARD_IA",
        "acl": "bucket-owner-full-control",
        "sse": "aws:kms",
        "s3-addressing": "path",
        "s3-option": shlex.join(["--ignore-checksum", "--s3-upload-concurrency=4"]),
        "gc-life-time": "48h",
        "table-filter": shlex.join(["shop.*", "!shop.tmp_*", "/^a\\d{2}$/./b c/"]),
        "dumpling-option": shlex.join(["--threads=16", where, "-r", "10000"]),
    }.items():
        assert f"--{flag}" == shown.origin(flag, value)
    argv = shlex.split(shown.lines[-2] if shown.lines[-1].startswith("{") else shown.lines[-1])
    assert {"--threads=16", "--rows=10000", where} <= set(argv)


def test_every_setting_of_a_schedule_arrives_with_its_value(dumpling: Sequence[str]) -> None:
    text = changed(SCHEDULE, "spec:\n", "spec:\n  maxBackups: 5\n")
    shown = Shown(render(text), *dumpling)
    for flag, value in {
        "schedule": "nightly",
        "max-backups": "5",
        "max-reserved-time": "72h",
        "bucket": "backups",
    }.items():
        assert f"--{flag}" == shown.origin(flag, value)


def test_a_variable_of_the_spec_arrives_in_place_of_its_field(dumpling: Sequence[str]) -> None:
    more = (
        "env:\n"
        "- {name: BACKUP_MANAGER_PORT, value: '4001'}\n"
        '- {name: BACKUP_MANAGER_TABLE_FILTER, value: "a.*\\nb.*"}\n'
        "- {name: AWS_ACCESS_KEY_ID, value: AKIAOTHER}\n"
    )
    shown = Shown(render(spec(more + "tableFilter: [c.d]")), *dumpling)
    assert "BACKUP_MANAGER_PORT" == shown.origin("port", "4001")
    assert "BACKUP_MANAGER_TABLE_FILTER" == shown.origin("table-filter", "'a.*' 'b.*'")


# No line breaks: what is shown is read line by line here. No NUL: it ends a word for Linux.
WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp"), exclude_characters="\x00"),
    max_size=20,
)


def _harmless(word: str) -> bool:
    return not re.search(r"(?i)\$\{|signature=|credential=|password|://", word)


@given(WORDS.filter(_harmless), st.lists(st.sampled_from("$()'\" #:-*"), max_size=8))
@settings(
    max_examples=40,
    deadline=None,  # a program is started for each
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_condition_arrives_as_it_stands_in_the_file(
    dumpling: Sequence[str], word: str, signs: list[str]
) -> None:
    option = f"--where=id > 0 and x = {word}{''.join(signs)}"
    text = spec(f"dumpling:\n  options:\n  {as_yaml([option])}")
    shown = Shown(render(text), *dumpling)
    assert "--dumpling-option" == shown.origin("dumpling-option", shlex.join([option]))


@given(st.text(st.sampled_from("abcé/ $().-_=😀"), min_size=1, max_size=30))
@settings(
    max_examples=40,
    deadline=None,  # a program is started for each
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_prefix_arrives_or_is_refused(dumpling: Sequence[str], prefix: str) -> None:
    line = f"    prefix: {as_yaml([prefix]).removeprefix('- ')}"
    made = render(changed(BACKUP, "    bucket", f"{line}    bucket"))
    if made.exit_code:
        assert "spec.s3.prefix is wrong" in made.errors[0]
    else:
        assert "--prefix" == Shown(made, *dumpling).origin("prefix", prefix)
