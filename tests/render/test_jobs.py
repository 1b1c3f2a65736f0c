"""Jobs and CronJobs, the claims and accounts beside them, and the names of all."""

import pytest

from .rendering import BACKUP, SCHEDULE, changed, render, spec

BOTH = pytest.mark.parametrize("text", [BACKUP, SCHEDULE], ids=["Backup", "BackupSchedule"])
NAMES = {BACKUP: "demo1", SCHEDULE: "nightly"}


# Jobs and CronJobs -------------------------------------------------------------------------


@BOTH
def test_a_job_makes_use_of_resuming_and_not_of_wrong_settings(text: str) -> None:
    made = render(text)
    job = made.objects[-1]["spec"]
    job = job["jobTemplate"]["spec"] if text == SCHEDULE else job
    assert job["backoffLimit"] > 0
    rules = job["podFailurePolicy"]["rules"]
    assert ["FailJob", "Ignore"] == [rule["action"] for rule in rules]
    assert 2 in rules[0]["onExitCodes"]["values"]
    assert "ttlSecondsAfterFinished" not in job


@BOTH
def test_a_job_is_removed_in_time_where_that_is_asked_for(text: str) -> None:
    job = render(text, "--ttl=72h").objects[-1]["spec"]
    job = job["jobTemplate"]["spec"] if text == SCHEDULE else job
    assert 72 * 3600 == job["ttlSecondsAfterFinished"]


def test_a_cron_job_never_has_two_backups_at_once() -> None:
    cron = render(SCHEDULE).one("CronJob")["spec"]
    assert ("0 2 * * *", False, "Forbid") == (
        cron["schedule"],
        cron["suspend"],
        cron["concurrencyPolicy"],
    )
    assert cron["successfulJobsHistoryLimit"] > 0
    assert cron["failedJobsHistoryLimit"] > 0
    assert "timeZone" not in cron


@pytest.mark.parametrize(("pause", "suspend"), [("true", True), ("false", False), ("", False)])
def test_a_pause_is_a_suspension(pause: str, suspend: bool) -> None:
    text = changed(SCHEDULE, "spec:\n", f"spec:\n  pause: {pause}\n")
    assert suspend is render(text).one("CronJob")["spec"]["suspend"]


def test_a_time_zone_is_handed_on() -> None:
    text = changed(SCHEDULE, "spec:\n", "spec:\n  timeZone: Europe/Berlin\n")
    assert "Europe/Berlin" == render(text).one("CronJob")["spec"]["timeZone"]


def test_retention_becomes_flags_of_export() -> None:
    text = changed(SCHEDULE, "spec:\n", "spec:\n  maxBackups: 5\n")
    args = render(text).args
    assert {"--max-backups=5", "--max-reserved-time=72h", "--schedule=nightly"} <= set(args)
    assert not [word for word in render(BACKUP).args if "max" in word or "schedule" in word]


def test_a_backup_of_a_schedule_stays_one_of_it() -> None:
    text = changed(
        BACKUP, "spec:\n", "  labels:\n    tidb.pingcap.com/backup-schedule: nightly\nspec:\n"
    )
    assert "--schedule=nightly" in render(text).args


# Names, labels, namespaces -----------------------------------------------------------------


@BOTH
def test_labels_and_annotations_are_on_all_that_is_made(text: str) -> None:
    own = "  labels: {team: a}\n  annotations: {iam.amazonaws.com/role: r}\nspec:\n"
    made = render(changed(text, "spec:\n", own))
    kind = "backup-schedule" if text == SCHEDULE else "backup"
    expected = {
        "team": "a",
        "app.kubernetes.io/name": "backup",
        "app.kubernetes.io/instance": NAMES[text],
        "app.kubernetes.io/managed-by": "backup-manager",
        f"tidb.pingcap.com/{kind}": NAMES[text],
    }
    for each in [*made.objects, made.pod]:
        assert expected == each["metadata"]["labels"]
    assert {"iam.amazonaws.com/role": "r"} == made.pod["metadata"]["annotations"]


@BOTH
def test_a_namespace_is_that_of_the_object_or_of_the_flag(text: str) -> None:
    assert {"test1"} == {each["metadata"]["namespace"] for each in render(text).objects}
    flagged = render(spec("serviceAccount: a", text), "--namespace=other", "--with-rbac")
    assert 3 == len(flagged.objects)
    assert {"other"} == {each["metadata"]["namespace"] for each in flagged.objects}
    without = render(changed(text, "  namespace: test1\n", ""))
    assert not any("namespace" in each["metadata"] for each in without.objects)


# Claims and accounts -----------------------------------------------------------------------


@BOTH
def test_a_claim_has_the_class_and_the_size(text: str) -> None:
    claim = render(spec("storageClassName: fast", text)).one("PersistentVolumeClaim")["spec"]
    assert "fast" == claim["storageClassName"]
    assert ["ReadWriteOnce"] == claim["accessModes"]
    assert "10Gi" == claim["resources"]["requests"]["storage"]


@BOTH
def test_a_claim_without_class_and_size_has_those_of_the_cluster_and_the_operator(
    text: str,
) -> None:
    indent = "    " if text == SCHEDULE else "  "
    bare = changed(text, f"{indent}storageSize: 10Gi\n", "")
    claim = render(bare).one("PersistentVolumeClaim")["spec"]
    assert "storageClassName" not in claim
    assert "100Gi" == claim["resources"]["requests"]["storage"]


@pytest.mark.parametrize("own", ["", "    storageSize: ''\n", "    storageSize:\n"])
def test_the_schedules_own_fields_count_where_the_template_has_none(own: str) -> None:
    shared = (
        "spec:\n  storageClassName: slow\n  storageSize: 7Gi\n  imagePullSecrets: [{name: r}]\n"
    )
    text = changed(SCHEDULE, "    storageSize: 10Gi\n", own)
    made = render(changed(text, "spec:\n", shared))
    claim = made.one("PersistentVolumeClaim")["spec"]
    assert ("slow", "7Gi") == (
        claim["storageClassName"],
        claim["resources"]["requests"]["storage"],
    )
    assert [{"name": "r"}] == made.pod["spec"]["imagePullSecrets"]
    both = render(changed(SCHEDULE, "spec:\n", shared)).one("PersistentVolumeClaim")["spec"]
    assert "10Gi" == both["resources"]["requests"]["storage"]


@BOTH
def test_an_account_is_made_where_that_is_asked_for(text: str) -> None:
    named = spec("serviceAccount: backup", text)
    account = render(named, "--with-rbac").one("ServiceAccount")
    assert ("backup", "test1") == (account["metadata"]["name"], account["metadata"]["namespace"])
    assert "ServiceAccount" not in [each["kind"] for each in render(named).objects]
    assert "ServiceAccount" not in [each["kind"] for each in render(text, "--with-rbac").objects]


def test_an_account_that_several_name_is_made_once() -> None:
    named = f"{spec('serviceAccount: a')}---\n{spec('serviceAccount: a', SCHEDULE)}"
    made = render(named, "--with-rbac")
    assert 1 == [each["kind"] for each in made.objects].count("ServiceAccount")
    assert "ServiceAccount" == made.objects[0]["kind"]
