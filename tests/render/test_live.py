"""Objects as `kubectl get` gives them are rendered as the files that they came from."""

import json
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no annotations of its own

from .rendering import BACKUP, GOOD_EXAMPLES, SCHEDULE, filled, render, told

FILES = {file.stem: filled(file.read_text()) for file in sorted(GOOD_EXAMPLES.glob("*.yaml"))}
# In this one a field stands where the API server drops it.
del FILES["schedule-account-role"]


def live(text: str) -> dict[str, Any]:
    """The object with what an API server and the operator add to it."""
    body: dict[str, Any] = yaml.safe_load(text)
    applied = json.dumps(body, separators=(",", ":")) + "\n"
    body["metadata"] |= {
        "annotations": {
            **body["metadata"].get("annotations", {}),
            "kubectl.kubernetes.io/last-applied-configuration": applied,
        },
        "creationTimestamp": "2026-11-22T19:40:05Z",
        "finalizers": ["tidb.pingcap.com/backup-protection"],
        "generation": 3,
        "managedFields": [
            {
                "apiVersion": "pingcap.com/v1alpha1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {".": {}, "f:from": {"f:host": {}}}},
                "manager": "kubectl-client-side-apply",
                "operation": "Update",
                "time": "2026-11-22T19:40:05Z",
            }
        ],
        "resourceVersion": "12345",
        "uid": "0b7f6f6c-6f4c-4a58-b0a5-0a7d2d4b9b11",
    }
    spec = body["spec"].get("backupTemplate", body["spec"])
    spec |= {
        "backoffRetryPolicy": {
            "maxRetryTimes": 2,
            "minRetryDuration": "300s",
            "retryTimeout": "30m",
        },
        "backupMode": "snapshot",
        "calcSizeLevel": "all",
        "cleanPolicy": "Retain",
        "resources": {},
        "volumeBackupInitJobMaxActiveSeconds": 600,
    }
    if body["kind"] == "Backup":
        body["status"] = {
            "backupPath": "s3://backups/x",
            "conditions": [{"type": "Failed", "status": "True", "message": "${x}"}],
            "phase": "Failed",
            "progresses": None,
        }
    else:
        body["status"] = {"lastBackup": "nightly-2026-11-22t19-40-05"}
    return body


@pytest.mark.parametrize("text", [BACKUP, SCHEDULE, *FILES.values()])
@pytest.mark.parametrize("indent", [None, 4])
def test_a_live_object_is_rendered_as_its_file(text: str, indent: int | None) -> None:
    expected = render(text)
    assert expected.objects
    for written in (
        json.dumps(live(text), indent=indent),
        yaml.safe_dump(live(text)),
        yaml.safe_dump(live(text), default_flow_style=True),
    ):
        made = render(written)
        assert [] == made.warnings
        assert expected.stdout == made.stdout


def test_a_list_of_live_objects_is_rendered_as_their_files() -> None:
    listed = {
        "apiVersion": "v1",
        "items": [live(BACKUP), live(SCHEDULE)],
        "kind": "List",
        "metadata": {"resourceVersion": ""},
    }
    expected = render(f"{BACKUP}---\n{SCHEDULE}")
    assert expected.stdout == render(json.dumps(listed, indent=4)).stdout
    assert expected.stdout == render(yaml.safe_dump(listed)).stdout


def test_what_is_rendered_has_nothing_of_the_live_object() -> None:
    text = render(json.dumps(live(BACKUP))).stdout
    for word in ("last-applied", "0b7f6f6c", "managedFields", "finalizers", "12345", "status"):
        assert word not in text.replace('status: "True"', "")


def test_what_has_its_backup_is_left_out() -> None:
    """`kubectl get bk -oyaml | backup-manager render` makes no backup a second time."""
    done, other = live(BACKUP), live(SCHEDULE)
    done["status"]["conditions"] = [{"type": "Complete", "status": "True"}]
    listed = {"apiVersion": "v1", "kind": "List", "items": [done, other]}
    made = render(yaml.safe_dump(listed))
    assert render(SCHEDULE).stdout == made.stdout
    (warning,) = made.warnings
    assert "is left out: it is Complete, and its backup there already" in warning


def test_what_a_schedule_has_made_is_left_to_it() -> None:
    child = live(BACKUP)
    owner = {"apiVersion": "pingcap.com/v1alpha1", "kind": "BackupSchedule", "name": "nightly"}
    child["metadata"]["ownerReferences"] = [owner]
    text = yaml.safe_dump(child)
    made = render(f"{text}---\n{SCHEDULE}")
    assert render(SCHEDULE).stdout == made.stdout
    (warning,) = made.warnings
    assert "is left out: its BackupSchedule makes such ones" in warning
    assert "there is nothing to render in stdin" in told(text)
