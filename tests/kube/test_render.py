"""The guide's eight examples (seed/) where there is no operator: rendered, applied, run.

What a cluster has of its own for roles comes in by fields that add to the Pod, as in test_seed.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import yaml  # type: ignore[import-untyped]  # of moto's requirements, without annotations

from tests.servers import Gateway

from .guide import ACCESS, Guide, assert_annotated
from .pods import NotStartedError
from .rendering import Rendering

BACKUP = "demo1-backup-s3"
# Only this one names a ServiceAccount, and no guide has made it.
FLAGS = {"account-role": ["--with-rbac"]}


@pytest.fixture
def guide(rendering: Rendering) -> Iterator[Guide]:
    nightly = rendering.nightly
    with ExitStack() as stack:
        yield Guide(nightly, stack.enter_context(Gateway(nightly.store)), stack)


def filled(guide: Guide, access: str) -> str:
    """The example as it stands, but for what the cluster adds to a Pod with a role."""
    text = guide.text(access)
    if not (around := guide.around(access.removeprefix("schedule-"))):
        return text
    document = yaml.safe_load(text)
    spec = document["spec"]
    template = spec.get("backupTemplate", spec)
    template |= around
    if template is not spec and (account := spec.pop("serviceAccount", None)):
        template["serviceAccount"] = account
    changed: str = yaml.safe_dump(document)
    return changed


def name_of(text: str) -> str:
    name: str = yaml.safe_load(text)["metadata"]["name"]
    return name


@pytest.mark.parametrize("access", ACCESS)
def test_an_ad_hoc_backup(guide: Guide, rendering: Rendering, access: str) -> None:
    applied = rendering.apply(filled(guide, access), *FLAGS.get(access, []))
    made = [f"persistentvolumeclaim/{BACKUP} created", f"job.batch/{BACKUP} created"]
    account = ["serviceaccount/tidb-backup-manager created"] if access in FLAGS else []
    assert [*account, *made] == applied
    pod = rendering.run(BACKUP)
    assert_annotated(pod, access)
    result = rendering.complete(pod, BACKUP)
    assert [] == result.warnings
    assert rendering.record(result)["schedule"] is None


@pytest.mark.parametrize("access", ACCESS)
def test_a_scheduled_backup(guide: Guide, rendering: Rendering, access: str) -> None:
    text = filled(guide, f"schedule-{access}")
    name = name_of(text)
    rendering.apply(text, *FLAGS.get(access, []))
    job = rendering.job_now(name, "by-hand")
    pod = rendering.run(job)
    assert_annotated(pod, access)
    result = rendering.complete(pod, job)
    assert [] == result.warnings
    assert name == rendering.record(result)["schedule"]


def test_a_schedule_that_is_due(guide: Guide, rendering: Rendering) -> None:
    """The CronJob itself makes the Job, within a minute."""
    text = guide.text("schedule-key").replace('"*/2 * * * *"', '"* * * * *"')
    name = name_of(text)
    rendering.apply(text)
    rendering.cluster.wait_until(
        lambda: bool(rendering.jobs(name)), "the CronJob has made a Job", seconds=80
    )
    (job,) = rendering.jobs(name)
    result = rendering.complete(rendering.run(job), job)
    assert name == rendering.record(result)["schedule"]


@pytest.mark.parametrize("access", ["key", "schedule-key"])
def test_applied_again_it_changes_nothing(guide: Guide, rendering: Rendering, access: str) -> None:
    text = filled(guide, access)
    made = rendering.apply(text)
    assert 2 == len(made)
    assert all(line.endswith(" created") for line in made), made
    again = rendering.apply(text)
    assert [line.replace(" created", " unchanged") for line in made] == again


def test_the_field_in_the_wrong_place(guide: Guide, rendering: Rendering) -> None:
    """The guide's last example has it there; the API of the operator's CRD drops it."""
    done = rendering.render(guide.text("schedule-account-role"))
    assert (2, "") == (done.returncode, done.stdout)
    assert "spec.serviceAccount" in done.stderr
    assert "spec.backupTemplate" in done.stderr


def test_an_account_that_nobody_has_made(guide: Guide, rendering: Rendering) -> None:
    """It is for who may make roles to make it, unless --with-rbac says otherwise."""
    rendering.apply(filled(guide, "account-role"))
    with pytest.raises(NotStartedError, match='"tidb-backup-manager" not found'):
        rendering.run(BACKUP)


def test_objects_that_a_cluster_has_already(guide: Guide, rendering: Rendering) -> None:
    """What `kubectl get` tells of them is rendered to the same as the files that they came from."""
    texts = [guide.text("key"), guide.text("schedule-key")]
    for text in texts:
        guide.apply(yaml.safe_load(text))
    files = rendering.render("".join(texts))
    assert (0, "") == (files.returncode, files.stderr)
    got = rendering.render(rendering.kubectl("get", "bk,bks", "--output=yaml"))
    assert (0, "") == (got.returncode, got.stderr)
    assert files.stdout == got.stdout
