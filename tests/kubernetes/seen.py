"""What a Backup object and its API have seen of a run."""

import itertools
import json
from typing import TYPE_CHECKING, Any

from tests.command import Result, assert_no_secret
from tests.doubles.kubernetes_double import KubernetesDouble, Seen

from .jobs import NAME

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client  # annotations: not installed where tests only run

Object = dict[str, Any]


def status(api: KubernetesDouble) -> Object:
    """The object's status as it is now."""
    found: Object = api.backup(NAME)["status"]
    return found


def statuses(api: KubernetesDouble) -> list[Object]:
    """All that it ever was."""
    return [state["status"] for state in api.history(NAME)]


def phases(api: KubernetesDouble) -> list[str]:
    """The phases in their order, each as often as it was entered."""
    return [phase for phase, _ in itertools.groupby(each["phase"] for each in statuses(api))]


def conditions(api: KubernetesDouble) -> dict[str, Object]:
    """The conditions by their types, of which each has one."""
    found = status(api)["conditions"]
    by_type = {each["type"]: each for each in found}
    assert len(found) == len(by_type)
    return by_type


def progress(of: Object) -> dict[str, float]:
    """The percent of each step in a status."""
    return {each["step"]: each["progress"] for each in of.get("progresses") or []}


def asked(api: KubernetesDouble, method: str) -> list[Seen]:
    return [seen for seen in api.requests if seen.method == method]


def told(api: KubernetesDouble) -> list[tuple[str, str]]:
    """Type and reason of each event."""
    return [(event["type"], event["reason"]) for event in api.events]


def keys(client: "S3Client", bucket: str) -> list[str]:
    """What is in a bucket."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [each["Key"] for page in pages for each in page.get("Contents", [])]


def records(client: "S3Client", bucket: str) -> list[str]:
    """The records of its backups."""
    return [key for key in keys(client, bucket) if key.endswith("backup.json")]


def assert_nothing_secret(api: KubernetesDouble, result: Result) -> None:
    """No secret of a run was ever in the object or its events."""
    for where, data in (("the object", api.history(NAME)), ("an event", api.events)):
        assert_no_secret(result.secrets, where, json.dumps(data).encode())
