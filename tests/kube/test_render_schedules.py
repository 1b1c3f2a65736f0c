"""A rendered BackupSchedule over time: several runs, what is pruned, and a pause."""

from tests.servers.kubernetes import Object

from .nightly import GATE
from .rendering import Rendering

# Never due while a test runs: its Jobs are made by hand.
RARELY: Object = {"schedule": "0 0 29 2 *"}
SOON = "@every 1s"


def test_a_second_run_prunes_the_first(rendering: Rendering) -> None:
    """Another schedule's backup under the same prefix stays, and so does one without a schedule."""
    one = RARELY | {"maxBackups": 1}
    for name in ("other", "shop"):
        rendering.apply(rendering.schedule(name, schedule=one))
    rendering.apply(rendering.backup("alone"))
    kept = set()
    for job in ("alone", rendering.job_now("other", "other-1")):
        kept.add(rendering.complete(rendering.run(job), job).directory)
    directories = []
    for job in ("shop-1", "shop-2"):
        rendering.job_now("shop", job)
        directories.append(rendering.complete(rendering.run(job), job).directory)
        assert kept | {directories[-1]} == rendering.backups()
    first, second = directories
    assert first != second
    assert [] == rendering.nightly.objects(f"{first}/")

    listed = rendering.kubectl(
        "get",
        "job,cronjob,pvc",
        "--selector=tidb.pingcap.com/backup-schedule=shop",
        "--output=name",
    )
    assert {
        "job.batch/shop-1",
        "job.batch/shop-2",
        "cronjob.batch/shop",
        "persistentvolumeclaim/shop",
    } == set(listed.split())


def test_a_backup_that_is_too_old_is_pruned(rendering: Rendering) -> None:
    rendering.apply(rendering.schedule("shop", schedule=RARELY | {"maxReservedTime": "1s"}))
    for job in ("shop-1", "shop-2"):
        rendering.job_now("shop", job)
        last = rendering.complete(rendering.run(job), job)
    # That took more than a second each.
    assert {last.directory} == rendering.backups()


def test_a_pause_and_its_end(rendering: Rendering) -> None:
    """The other one shows that the controller has been at work since."""
    paused: Object = {"schedule": SOON, "pause": True}
    rendering.apply(rendering.schedule("shop", schedule=paused))
    rendering.apply(rendering.schedule("other", schedule={"schedule": SOON}))
    cluster = rendering.cluster
    cluster.wait_until(lambda: bool(rendering.jobs("other")), "the other one is due")
    assert [] == rendering.jobs("shop")
    assert "True" in rendering.kubectl("get", "cronjob", "shop", "--no-headers")

    applied = rendering.apply(rendering.schedule("shop", schedule=paused | {"pause": False}))
    assert ["persistentvolumeclaim/shop unchanged", "cronjob.batch/shop configured"] == applied
    cluster.wait_until(lambda: bool(rendering.jobs("shop")), "it is due again")
    (job,) = rendering.jobs("shop")
    rendering.complete(rendering.run(job), job)


def test_a_job_by_hand_beside_another(rendering: Rendering) -> None:
    """CronJobs wait for their own Jobs alone; these two share the volume, and nothing else."""
    rendering.apply(rendering.schedule("shop", GATE, schedule=RARELY))
    jobs = [rendering.job_now("shop", name) for name in ("shop-1", "shop-2")]
    pods = [rendering.run(job) for job in jobs]
    for pod in pods:
        pod.wait_for_gate()
    for pod in pods:
        pod.open_gate()
    made = {rendering.complete(*each).directory for each in zip(pods, jobs, strict=True)}
    assert 2 == len(made)
    assert made == rendering.backups()
