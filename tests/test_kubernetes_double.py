"""The double of the API server: held to the facts, and its misdeeds to what they promise."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3
from lightkube import ApiError, KubeConfig
from lightkube import Client as Lightkube
from lightkube.generic_resource import create_namespaced_resource

from tests.doubles.kubernetes_double import (
    FINALIZER,
    SCHEDULE_LABEL,
    WRITTEN,
    KubernetesDouble,
    backup_object,
)
from tests.kubernetes_facts import (
    FACTS,
    Client,
    Document,
    Fact,
    assert_status,
    event,
    events_of,
    path_of,
)
from tests.servers.process import wait_until

NAMESPACE = "tidb-cluster"
NAME = "nightly"
BACKUPS = create_namespaced_resource("pingcap.com", "v1alpha1", "Backup", "backups")


@pytest.fixture
def kubernetes(tmp_path: Path) -> Iterator[KubernetesDouble]:
    with KubernetesDouble(tmp_path, namespace=NAMESPACE) as server:
        server.create(backup_object(NAME, NAMESPACE))
        yield server


@pytest.fixture
def client(kubernetes: KubernetesDouble) -> Client:
    return client_of(kubernetes)


def client_of(kubernetes: KubernetesDouble, *, timeout: float = 10) -> Client:
    where = (kubernetes.server, str(kubernetes.ca_file), kubernetes.token)
    return Client(*where, user=kubernetes.user, timeout=timeout)


def in_phase(backup: Document, phase: str) -> Document:
    return backup | {"status": backup["status"] | {"phase": phase}}


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.__name__)
def test_is_as_the_real_one(fact: Fact, client: Client) -> None:
    fact(client, NAMESPACE, NAME)


def test_conflicts_come_from_another_writer(kubernetes: KubernetesDouble, client: Client) -> None:
    kubernetes.conflict_next(2)
    statuses = [
        client.put(in_phase(client.get(NAMESPACE, NAME), "Prepare")).status for _ in range(3)
    ]
    assert [409, 409, 200] == statuses
    assert 2 == kubernetes.counts["conflict"]
    states = kubernetes.history(NAME)
    written = [state["metadata"].get("annotations", {}).get(WRITTEN) for state in states]
    assert [None, "1", "2", "2"] == written
    phases = [state["status"]["phase"] for state in states]
    assert ["Scheduled", "Scheduled", "Scheduled", "Prepare"] == phases
    assert states[-1] == kubernetes.backup(NAME) == client.get(NAMESPACE, NAME)


def test_a_writer_is_there_before_each_put(kubernetes: KubernetesDouble, client: Client) -> None:
    def operator(backup: Document) -> None:
        backup["spec"]["tikvGCLifeTime"] = "10m"

    kubernetes.writer(operator)
    before = client.get(NAMESPACE, NAME)
    assert 409 == client.put(before).status
    # It changes nothing more, so that the version stays.
    assert 200 == client.put(in_phase(client.get(NAMESPACE, NAME), "Prepare")).status
    assert 2 == kubernetes.counts["writer"]
    assert "10m" == kubernetes.backup(NAME)["spec"]["tikvGCLifeTime"]
    kubernetes.writer(None)
    kubernetes.write(NAME, lambda backup: backup["spec"].update(tikvGCLifeTime="1h"))
    assert 200 == client.put(client.get(NAMESPACE, NAME)).status
    assert "1h" == kubernetes.backup(NAME)["spec"]["tikvGCLifeTime"]


def test_a_writers_slip_fails_the_test(tmp_path: Path) -> None:
    with (  # noqa: PT012 - the end of the block is what raises
        pytest.raises(AssertionError, match="a test's writer"),
        KubernetesDouble(tmp_path, namespace=NAMESPACE) as kubernetes,
    ):
        kubernetes.create(backup_object(NAME, NAMESPACE))
        kubernetes.writer(lambda backup: backup["status"].update(phase=1))
        client = client_of(kubernetes)
        assert 500 == client.put(client.get(NAMESPACE, NAME)).status


def test_a_writer_may_delete_the_object(kubernetes: KubernetesDouble, client: Client) -> None:
    kubernetes.writer(lambda _: kubernetes.remove(NAME))
    assert 409 == client.put(client.get(NAMESPACE, NAME)).status
    assert 404 == client.call("GET", path_of(NAMESPACE, NAME)).status


@pytest.mark.parametrize("closing", [False, True])
def test_away_and_back(kubernetes: KubernetesDouble, client: Client, *, closing: bool) -> None:
    before = client.get(NAMESPACE, NAME)
    kubernetes.away(closing=closing)
    closed = (urllib3.exceptions.ProtocolError, urllib3.exceptions.SSLError)
    for each in (client, client_of(kubernetes)):
        with pytest.raises(closed if closing else urllib3.exceptions.NewConnectionError):
            each.get(NAMESPACE, NAME)
    kubernetes.back()
    assert before == client.get(NAMESPACE, NAME)
    assert [200, 200] == [seen.status for seen in kubernetes.requests]


def test_silent_and_back(kubernetes: KubernetesDouble) -> None:
    kubernetes.silent()
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        client_of(kubernetes, timeout=0.2).get(NAMESPACE, NAME)
    patient = client_of(kubernetes, timeout=30)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(patient.get, NAMESPACE, NAME)
        wait_until(lambda: kubernetes.counts["silent"] == 2, seconds=20, what="two are waiting")
        assert not waiting.done()
        kubernetes.back()
        assert isinstance(waiting.exception(), urllib3.exceptions.ProtocolError)
    assert patient.get(NAMESPACE, NAME)
    assert {None, 200} == {seen.status for seen in kubernetes.requests}


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_failures(kubernetes: KubernetesDouble, client: Client, status: int) -> None:
    before = client.get(NAMESPACE, NAME)
    kubernetes.fail_next(status, 2, method="PUT", retry_after=7)
    changed = in_phase(before, "Prepare")
    replies = [client.put(changed), client.put(changed)]
    assert [status, status] == [reply.status for reply in replies]
    # Nothing was done, and a GET is none of those that fail.
    assert before == client.get(NAMESPACE, NAME)
    assert 200 == client.put(changed).status
    assert 2 == kubernetes.counts["failed"]
    headers, told = replies[0].headers, replies[0].document
    assert ("7" if status in {429, 503} else None) == headers.get("Retry-After")
    if status == 502:
        assert "text/html" == headers["Content-Type"]
        assert b"<html>" in told["text"]
    elif status == 429:
        assert b"Too many requests" in told["text"]
    else:
        assert ("Status", status) == (told["kind"], told["code"])


def test_a_lost_answer(kubernetes: KubernetesDouble, client: Client) -> None:
    kubernetes.lose_next()
    changed = in_phase(client.get(NAMESPACE, NAME), "Prepare")
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.put(changed)
    assert "Prepare" == kubernetes.backup(NAME)["status"]["phase"]
    assert 409 == client.put(changed).status
    assert 1 == kubernetes.counts["lost"]


def test_less_rights(kubernetes: KubernetesDouble, client: Client) -> None:
    backup = client.get(NAMESPACE, NAME)
    for verb, resource in (("update", "backups"), ("get", "backups"), ("create", "events")):
        kubernetes.forbid(verb, resource)
    who = f'is forbidden: User "system:serviceaccount:{NAMESPACE}:tidb-backup-manager" cannot'
    where = f'in the namespace "{NAMESPACE}"'
    assert 403 == client.call("GET", path_of(NAMESPACE, NAME)).status
    refused = client.call("POST", events_of(NAMESPACE), event(NAMESPACE, NAME))
    message = f'events {who} create resource "events" in API group "" {where}'
    assert_status(refused, 403, "Forbidden", message)
    what = f'backups.pingcap.com "{NAME}" {who}'
    message = f'{what} update resource "backups" in API group "pingcap.com" {where}'
    assert_status(client.put(backup), 403, "Forbidden", message)
    assert [] == kubernetes.events
    kubernetes.allow("update", "backups")
    assert 200 == client.put(backup).status


def test_deletion_with_a_finalizer(kubernetes: KubernetesDouble, client: Client) -> None:
    kubernetes.create(backup_object("kept", NAMESPACE, cleanPolicy="Delete"))
    kubernetes.delete("kept")
    marked = client.get(NAMESPACE, "kept")
    assert marked["metadata"]["deletionTimestamp"]
    assert [FINALIZER] == marked["metadata"]["finalizers"]
    assert 200 == client.put(in_phase(marked, "Clean")).status
    added = client.get(NAMESPACE, "kept")
    added["metadata"]["finalizers"] = [FINALIZER, "example.com/other"]
    assert {("metadata.finalizers", "FieldValueForbidden")} == client.put(added).causes
    added["metadata"]["finalizers"] = []
    assert 200 == client.put(added).status
    assert 404 == client.call("GET", path_of(NAMESPACE, "kept")).status


def test_deletion_and_another_of_the_name(kubernetes: KubernetesDouble, client: Client) -> None:
    before = client.get(NAMESPACE, NAME)
    kubernetes.delete(NAME)
    with pytest.raises(KeyError):
        kubernetes.backup(NAME)
    assert [before] == kubernetes.history(NAME)
    other = kubernetes.create(backup_object(NAME, NAMESPACE))
    told = f"UID in object meta: {other['metadata']['uid']}"
    assert client.put(before).document["message"].endswith(told)


def test_what_it_saw(kubernetes: KubernetesDouble, client: Client) -> None:
    changed = in_phase(client.get(NAMESPACE, NAME), "Prepare")
    client.put(changed, "?dryRun=All")
    client.call("POST", events_of(NAMESPACE), event(NAMESPACE, NAME))
    client.call("PUT", path_of(NAMESPACE, NAME), b"{")
    path = path_of(NAMESPACE, NAME)
    assert [
        ("GET", path, 200, None),
        ("PUT", f"{path}?dryRun=All", 200, changed),
        ("POST", events_of(NAMESPACE), 201, event(NAMESPACE, NAME)),
        ("PUT", path, 400, b"{"),
    ] == [(seen.method, seen.path, seen.status, seen.body) for seen in kubernetes.requests]
    times = [seen.at for seen in kubernetes.requests]
    assert sorted(times) == times
    assert ["Started"] == [each["reason"] for each in kubernetes.events]
    assert 1 == len(kubernetes.history(NAME))


def test_no_update_is_lost_between_clients(kubernetes: KubernetesDouble) -> None:
    start = threading.Barrier(4)

    def count() -> None:
        mine = client_of(kubernetes)
        start.wait()
        for _ in range(10):
            while True:
                backup = mine.get(NAMESPACE, NAME)
                backup["status"]["backupSize"] = backup["status"].get("backupSize", 0) + 1
                status = mine.put(backup).status
                if status == 200:
                    break
                assert 409 == status

    with ThreadPoolExecutor() as pool:
        for each in [pool.submit(count) for _ in range(4)]:
            each.result()
    states = kubernetes.history(NAME)
    assert list(range(41)) == [state["status"].get("backupSize", 0) for state in states]


def test_a_library_finds_it_and_follows_the_token(
    kubernetes: KubernetesDouble, tmp_path: Path
) -> None:
    path = tmp_path / "kubeconfig"
    kubernetes.kubeconfig(path)
    config = KubeConfig.from_file(path)
    library = Lightkube(config, trust_env=False)
    assert NAMESPACE == library.namespace
    assert "Scheduled" == library.get(BACKUPS, NAME)["status"]["phase"]
    kubernetes.rotate()
    assert "Scheduled" == library.get(BACKUPS, NAME)["status"]["phase"]
    kubernetes.rotate(write=False)
    with pytest.raises(ApiError, match="Unauthorized"):
        Lightkube(config, trust_env=False).get(BACKUPS, NAME)
    kubernetes.write_tokens()
    assert "Scheduled" == library.get(BACKUPS, NAME)["status"]["phase"]


def test_a_service_accounts_files(kubernetes: KubernetesDouble, tmp_path: Path) -> None:
    directory = tmp_path / "serviceaccount"
    kubernetes.service_account(directory)
    assert kubernetes.token == (directory / "token").read_text()
    assert NAMESPACE == (directory / "namespace").read_text()
    assert kubernetes.ca_file.read_bytes() == (directory / "ca.crt").read_bytes()
    old = kubernetes.token
    kubernetes.rotate()
    assert old != kubernetes.token == (directory / "token").read_text()
    assert NAMESPACE == (directory / "namespace").read_text()
    names = {"token", "ca.crt", "namespace", "..data"}
    links = {each.name for each in directory.iterdir() if each.is_symlink()}
    assert names == links
    assert kubernetes.server.endswith(f":{kubernetes.environment['KUBERNETES_SERVICE_PORT']}")


def test_objects_as_they_are_scheduled(kubernetes: KubernetesDouble) -> None:
    made = kubernetes.create(
        backup_object(
            "scheduled",
            NAMESPACE,
            schedule="daily",
            s3={"prefix": "a/b", "secretName": None},
            from_={"host": "tidb"},
            tableFilter=["db.*"],
        )
    )
    assert "daily" == made["metadata"]["labels"][SCHEDULE_LABEL]
    assert {"provider": "ceph", "bucket": "backups", "prefix": "a/b"} == made["spec"]["s3"]
    assert "tidb" == made["spec"]["from"]["host"]
    assert ("snapshot", "Retain") == (made["spec"]["backupMode"], made["spec"]["cleanPolicy"])
    conditions = made["status"].pop("conditions")
    assert ["Scheduled"] == [each["type"] for each in conditions]
    assert {"phase": "Scheduled", "timeStarted": None, "timeCompleted": None} == made["status"]
    wrong = backup_object("wrong", NAMESPACE, tableFilter="db.*")
    with pytest.raises(AssertionError, match=r"spec\.tableFilter"):
        kubernetes.create(wrong)
    assert "db.*" == kubernetes.create(wrong, checked=False)["spec"]["tableFilter"]
