"""What `render` takes and refuses of a text is what the API server takes and refuses."""

import io
from typing import Any

import pytest

from backup_manager.errors import UsageError
from backup_manager.render import Options, render
from backup_manager.render.output import written
from backup_manager.report import Report
from tests.servers.kubernetes import KubernetesAPI, Object

from .cluster import Cluster

_PLURALS = {
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "Job": ("/apis/batch/v1", "jobs"),
    "CronJob": ("/apis/batch/v1", "cronjobs"),
}
NEVER = "0 0 29 2 *"
_REFUSALS = {400, 422}  # it cannot be read, or it is not sound


def backup(name: str = "nightly", **changes: Any) -> Object:
    spec: Object = {
        "from": {"host": "demo1-tidb", "user": "backup", "secretName": "tidb"},
        "s3": {"provider": "ceph", "endpoint": "rgw:7480", "bucket": "backups", "secretName": "s3"},
    }
    body: Object = {"apiVersion": "pingcap.com/v1alpha1", "kind": "Backup"}
    return body | {"metadata": {"name": name}, "spec": spec | changes}


def scheduled(schedule: str, name: str = "nightly", **changes: Any) -> Object:
    template = backup()["spec"]
    spec = {"schedule": schedule, "backupTemplate": template} | changes
    return backup(name) | {"kind": "BackupSchedule", "spec": spec}


def rendered(document: Object) -> list[Object] | None:
    """None where it is refused."""
    text = written([document], "yaml")
    report = Report(stream=io.StringIO())
    try:
        return render([("file", text.encode())], Options(image="backup-manager"), report)
    except UsageError:
        return None


class Server:
    """The API server, asked without consequences."""

    def __init__(self, api: KubernetesAPI, namespace: str) -> None:
        self._admin = api.admin
        self._namespace = namespace

    def takes(self, body: Object) -> bool:
        group, plural = _PLURALS[body["kind"]]
        where = f"{group}/namespaces/{self._namespace}/{plural}"
        answer = self._admin.ask("POST", f"{where}?dryRun=All&fieldValidation=Strict", body)
        assert answer.ok or answer.code in _REFUSALS, answer
        return answer.ok


@pytest.fixture(scope="session")
def server(kubernetes: KubernetesAPI) -> Server:
    Cluster.prepare_bare(kubernetes, "render-agrees")
    return Server(kubernetes, "render-agrees")


def agreed(server: Server, like: Object, document: Object, path: str, value: str) -> bool:
    """Whether both take it.

    Where render refuses, there is nothing to ask the API about but what it makes of `like`, which
    is sound, with the value put in its place.
    """
    objects = rendered(document)
    if objects is None:
        assert not server.takes(changed_to(like, path, value)), "only render refuses it"
        return False
    assert all(server.takes(each) for each in objects), "only the API refuses it"
    return True


def changed_to(like: Object, path: str, value: str) -> Object:
    """The one of the rendered objects that has this field, with the value in its place."""
    for whole in reversed(rendered(like) or []):
        body = whole
        *outer, last = path.split(".")
        for name in outer:
            body = body.get(name, {})
        if last in body:
            body[last] = value
            return whole
    raise AssertionError(f"nothing rendered has {path}")


@pytest.mark.parametrize(
    "text",
    [
        "* * * * *", "*/2 * * * *", "0 2 * * *", "  0   2 * * *  ", "0\t2\t*\t*\t*",
        "0,30 0-6,12 1-15/2 * *", "5/15 * * * *", "0 0 ? * ?", "0 0 * jan-mar SUN",
        "0 0 * Jan,DEC mon-fri/2", "59 23 31 12 6", "00 02 * * *", "1-1 * * * *", "*/100 * * * *",
        "0/59 * * * *", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight",
        "@hourly", "@every 1h30m", "@every 1s", "@every 1.5h", "@every +1h", NEVER, "0 0 31 2 *",
    ],
)  # fmt: skip
def test_a_schedule_that_both_take(server: Server, text: str) -> None:
    assert agreed(server, scheduled(NEVER), scheduled(text), "spec.schedule", text)


@pytest.mark.parametrize(
    "text",
    [
        "* * * *", "* * * * * *", "0 0 2 * * *", "60 * * * *", "* 24 * * *", "* * 0 * *",
        "* * 32 * *", "* * * 13 *", "* * * 0 *", "* * * * 7", "*/0 * * * *", "*/ * * * *",
        "*/a * * * *", "*/-1 * * * *", "10-5 * * * *", "1- * * * *", "-1 * * * *",
        "1-2-3 * * * *", "1/2/3 * * * *", "a * * * *", "0 0 * * L", "0 0 * * monday",
        "0 0 * * sun-sat-", "1.5 * * * *", "0x1 * * * *", "99999999999999999999 * * * *", "@",
        "@Daily", "@DAILY", "@fortnightly", "@reboot", "@daily ", " @daily", "@every", "@every ",
        "@every 1", "@every 5 minutes", "@every  1h", "@every 1d", "TZ=UTC 0 2 * * *",
        "CRON_TZ=Europe/Berlin 0 2 * * *", "every night", "-",
    ],
)  # fmt: skip
def test_a_schedule_that_both_refuse(server: Server, text: str) -> None:
    assert not agreed(server, scheduled(NEVER), scheduled(text), "spec.schedule", text)


@pytest.mark.parametrize(
    "text",
    [
        "*-5 * * * *", ", * * * *", "1, * * * *", "+1 * * * *", "@every 0s", "@every 0",
        "@every -1h", "@every 1ns", "@every 999ms",
    ],
)  # fmt: skip
def test_a_schedule_that_only_the_api_takes(server: Server, text: str) -> None:
    """It means something else than it says there, if anything: no minute at all, or a second."""
    assert rendered(scheduled(text)) is None
    assert server.takes(changed_to(scheduled(NEVER), "spec.schedule", text))


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Etc/UTC", "UTC", "Etc/GMT+5", "America/Port-au-Prince"]
)
def test_a_time_zone_that_both_take(server: Server, zone: str) -> None:
    like = scheduled(NEVER, timeZone="Etc/UTC")
    assert agreed(server, like, scheduled(NEVER, timeZone=zone), "spec.timeZone", zone)


@pytest.mark.parametrize(
    "zone",
    ["", "Local", "local", " UTC", "UTC ", "../etc/passwd", "+01:00", "Europe/", "Europe/Berlin/"],
)
def test_a_time_zone_that_both_refuse(server: Server, zone: str) -> None:
    like = scheduled(NEVER, timeZone="Etc/UTC")
    assert not agreed(server, like, scheduled(NEVER, timeZone=zone), "spec.timeZone", zone)


@pytest.mark.parametrize("zone", ["Nowhere/City", "europe/berlin"])
def test_a_time_zone_that_is_not_on_the_servers_list(server: Server, zone: str) -> None:
    """Which ones there are, it alone knows; so it is left to it to refuse them."""
    (_, cron_job) = rendered(scheduled(NEVER, timeZone=zone)) or []
    assert not server.takes(cron_job)


TAKEN = ["a", "1", "nightly", "n-1", "shop.nightly", "0.0", "a.b-c.d"]
REFUSED = [
    "Nightly",
    "night_ly",
    "-a",
    "a-",
    ".a",
    "a.",
    "a..b",
    "a.-b",
    "ä",
    "a b",
    "a/b",
    "a\n",
    "$a",
]


@pytest.mark.parametrize("name", [*TAKEN, "a" * 63, "a." + "b" * 61])
def test_a_name_of_a_backup_that_both_take(server: Server, name: str) -> None:
    assert agreed(server, backup(), backup(name), "metadata.name", name)


@pytest.mark.parametrize("name", [*REFUSED, "a" * 64])
def test_a_name_of_a_backup_that_both_refuse(server: Server, name: str) -> None:
    assert not agreed(server, backup(), backup(name), "metadata.name", name)


@pytest.mark.parametrize("name", [*TAKEN, "a" * 52])
def test_a_name_of_a_schedule_that_both_take(server: Server, name: str) -> None:
    assert agreed(server, scheduled(NEVER), scheduled(NEVER, name), "metadata.name", name)


@pytest.mark.parametrize("name", [*REFUSED, "a" * 53])
def test_a_name_of_a_schedule_that_both_refuse(server: Server, name: str) -> None:
    assert not agreed(server, scheduled(NEVER), scheduled(NEVER, name), "metadata.name", name)


_SIZE = "spec.resources.requests.storage"


@pytest.mark.parametrize(
    "size",
    [
        "1048576", "10737418240", "1k", "10M", "10G", "1T", "1P", "1E", "10Ki", "10Mi", "100Gi",
        "1.5Gi", "1Ti", "1Pi", "1Ei", "0.5Gi", ".5Gi", "5.Gi", "+1Gi", "1e9", "1E9", "12e6",
        "1e+3", "0010Gi", "1048576.0", "100.5Ki", "1e03", "1048576.5", "1.0001k", "1e25", "1e99",
        "100E", "16Ei",
    ],
)  # fmt: skip
def test_a_size_that_both_take(server: Server, size: str) -> None:
    assert agreed(server, backup(), backup(storageSize=size), _SIZE, size)


@pytest.mark.parametrize(
    "size",
    [
        "0", "0Gi", "0.0", "-1Gi", "10GB", "10gi", "10 Gi", "Gi", "ten", "10KI",
        "1.2.3Gi", "1,5Gi", "1e", "1e1.5", "1Gi1", "0x10", "--1", ".", "+", "1_000", "10K",
        "10Gi\n", "\u0661Gi",
    ],
)  # fmt: skip
def test_a_size_that_both_refuse(server: Server, size: str) -> None:
    assert not agreed(server, backup(), backup(storageSize=size), _SIZE, size)


@pytest.mark.parametrize(
    "size", [" 10Gi", "10Gi ", "100m", "1000m", "1n", "1u", "1e-3", "1", "10", "0.5", "1048575"]
)
def test_a_size_that_only_the_api_takes(server: Server, size: str) -> None:
    """No volume is as small as that: a unit is missing, or is the wrong one."""
    assert rendered(backup(storageSize=size)) is None
    assert server.takes(changed_to(backup(), _SIZE, size))


@pytest.mark.parametrize("name", ["fast", "local-storage", "a.b", "a" * 253])
def test_a_storage_class_that_both_take(server: Server, name: str) -> None:
    like, document = backup(storageClassName="fast"), backup(storageClassName=name)
    assert agreed(server, like, document, "spec.storageClassName", name)


@pytest.mark.parametrize("name", ["Fast", "fast_1", "fast-", "a" * 254])
def test_a_storage_class_that_both_refuse(server: Server, name: str) -> None:
    like, document = backup(storageClassName="fast"), backup(storageClassName=name)
    assert not agreed(server, like, document, "spec.storageClassName", name)
