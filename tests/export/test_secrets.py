"""A password, a secret key and a session token in runs that fail in every way: seen nowhere."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.command import CANARY_PASSWORD, DOUBLE, Export, Result, Running, assert_no_secret
from tests.export.conftest import Make
from tests.s3_proxy import Answer, Request, S3Proxy, operation
from tests.servers import Ceph, Database

# As STS makes them: base64, with the characters that URLs and shells quote.
TOKEN = "IQoJb3JpZ2luX2VjE/canary+" + "Zm9v/YmFy+cXV4" * 20 + "=="


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    """What each program that the run started was given: its environment and its arguments."""
    return tmp_path / "starts"


@pytest.fixture
def canaries(
    make: Make, ceph: Ceph, proxy: S3Proxy, bucket: str, tmp_path: Path, starts: Path
) -> Callable[..., Export]:
    """An export that has all three secrets in variables, and logs all that it can."""
    spy = tmp_path / "dumpling"
    spy.write_text(
        "#!/bin/sh\n"
        f"tr '\\0' '\\n' < /proc/$$/environ >> {starts}.environ\n"
        f"tr '\\0' '\\n' < /proc/$$/cmdline >> {starts}.cmdline\n"
        f'exec {DOUBLE} "$@"\n'
    )
    spy.chmod(0o755)
    (tmp_path / "tmp").mkdir()

    def build(*controls: dict[str, Any], **settings: Any) -> Export:
        export = make(
            endpoint=proxy.url,
            bucket=bucket,
            access_key=ceph.access_key,
            secret_key=ceph.secret_key,
            session_token=TOKEN,
            password_by="environment",
            log_level="debug",
            connect_timeout="1s",
            lock_timeout="1s",
            stall_timeout="3s",
        )
        if controls:
            export = export.with_double(*controls)
        here = {"TMPDIR": str(tmp_path / "tmp")}
        return export.but(dumpling=spy, environment=here).but(**settings)

    return build


def assert_nowhere(
    result: Result, export: Export, store: Ceph, bucket: str, tmp_path: Path, starts: Path
) -> None:
    """Of stdout, stderr and the termination message it is asserted of every run."""
    result.assert_clean_bucket(store.client(), bucket)
    result.assert_clean_volume(export.volume)
    result.assert_clean_volume(tmp_path / "tmp")
    environment = Path(f"{starts}.environ")
    if environment.exists():
        assert_no_secret(export.secrets, "the environment of a child", environment.read_bytes())
        # The password has no other way to Dumpling, and nothing else goes that way.
        command_lines = Path(f"{starts}.cmdline").read_bytes()
        assert b"--help" in command_lines
        assert_no_secret(export.secrets[1:], "the arguments of a child", command_lines)


def echo(request: Request) -> Answer:
    """An error that repeats what it was asked with, as some servers do for those who debug."""
    headers = "".join(f"<{name}>{value}</{name}>" for name, value in request.headers.items())
    text = f"<Error><Code>AccessDenied</Code><Message>{headers}</Message>{headers}</Error>"
    return Answer(403, text.encode(), {"Content-Type": "application/xml", "x-echo": TOKEN})


def _echo_at_once(proxy: S3Proxy) -> object:
    return proxy.answer(operation("ListObjectsV2"), echo, times=1_000_000)


def _echo_in_the_middle(proxy: S3Proxy) -> object:
    return proxy.answer(operation("PutObject", containing="shop.orders.0"), echo, times=1_000_000)


def _html(proxy: S3Proxy) -> object:
    page = Answer(200, f"<html>{TOKEN}</html>".encode(), {"Content-Type": "text/html"})
    return proxy.answer(operation("ListObjectsV2"), page, times=1_000_000)


def _lying(proxy: S3Proxy) -> object:
    def other(answer: Answer) -> Answer:
        return replace(answer, body=answer.body.replace(b"<ETag>&quot;", b"<ETag>&quot;0"))

    listing = operation("ListObjectsV2", containing="prefix=nightly%2Fbackup-")
    return proxy.change(listing, other, times=1_000_000)


def _nothing(_: S3Proxy) -> None:
    pass


@pytest.mark.parametrize(
    ("exit_code", "settings", "controls", "trouble"),
    [
        (0, {}, [{"misdeed": "row-leak"}], _nothing),
        (2, {"gc_life_time": "10min"}, [], _nothing),
        (2, {"tls_ca": "/dev/null"}, [], _nothing),
        (3, {"user": "nobody"}, [], _nothing),
        (3, {"port": 1}, [], _nothing),
        (4, {"gc_life_time": "72h", "user": "poor"}, [], _nothing),
        (5, {}, [{"misdeed": "password-leak"}], _nothing),
        (6, {}, [{"misdeed": "metadata-cut"}], _nothing),
        (7, {"secret_key": "canary/another+secret/key"}, [], _nothing),
        (7, {}, [], _echo_at_once),
        (7, {}, [], _echo_in_the_middle),
        (7, {}, [], _html),
        (8, {}, [], _lying),
        (9, {}, [{"misdeed": "enospc"}], _nothing),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value)[:40],
)
def test_no_secret_in_a_run_that(
    canaries: Callable[..., Export],
    shop: Database,
    ceph: Ceph,
    proxy: S3Proxy,
    bucket: str,
    tmp_path: Path,
    starts: Path,
    exit_code: int,
    settings: dict[str, Any],
    controls: list[dict[str, Any]],
    trouble: Callable[[S3Proxy], object],
) -> None:
    if settings.get("user") == "poor":
        shop.create_account("poor", CANARY_PASSWORD, grants=["SELECT ON shop.*"])
    trouble(proxy)
    export = canaries(*controls, **settings)

    result = export.run().expect(exit_code)

    assert_nowhere(result, export, ceph, bucket, tmp_path, starts)


def descendants(pid: int) -> list[int]:
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found += [child, *descendants(child)]
    return found


def test_what_others_can_see_while_it_runs(
    canaries: Callable[..., Export],
    ceph: Ceph,
    bucket: str,
    tmp_path: Path,
    starts: Path,
) -> None:
    """And of a second run that is not let in (10), and of one that is asked to end (143)."""
    reached = tmp_path / "reached"
    gate = {"gate": {"path": str(tmp_path / "never"), "reached": str(reached), "after_files": 2}}
    export = canaries(gate)
    with export.start() as running:
        running.wait_until(reached.exists)
        _assert_children_clean(running, export)
        second = export.run().expect(10)
        running.terminate()
        result = running.result().expect(143)

    assert_nowhere(second, export, ceph, bucket, tmp_path, starts)
    assert_nowhere(result, export, ceph, bucket, tmp_path, starts)


def _assert_children_clean(running: Running, export: Export) -> None:
    own = Path(f"/proc/{running.pid}/cmdline").read_bytes()
    assert_no_secret(export.secrets, "its own arguments", own)
    children = descendants(running.pid)
    assert children
    for pid in children:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        assert_no_secret(export.secrets, "the environment of a child", environ)
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        # The password has no other way to Dumpling.
        assert_no_secret(export.secrets[1:], "the arguments of a child", arguments)


# Permissions ---------------------------------------------------------------------------------


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("group", [False, True], ids=["plain", "setgid"])
def test_all_files_are_its_own_alone(
    double: Make, volume: Path, tmp_path: Path, proxy: S3Proxy, group: bool
) -> None:
    """Whatever the umask: the whole database lies there. A volume of a Pod's fsGroup is setgid."""
    if group:
        os.chown(volume, -1, 12345)
        volume.chmod(0o2777)
    reached, go_on = tmp_path / "reached", tmp_path / "go-on"
    gate = {"gate": {"path": str(go_on), "reached": str(reached), "after_files": 2}}
    hold = proxy.hold(operation("PutObject", containing="backup.json"))
    export = double(gate, {"misdeed": "subdirectories"}, endpoint=proxy.url)
    with umask(0):
        running = export.start()
    with running:
        running.wait_until(reached.exists)
        seen = _assert_private(volume)
        go_on.touch()
        running.wait_until(hold.reached.is_set)
        seen |= _assert_private(volume)
        hold.released.set()
        running.result(60).expect(0)
    kinds = {"journal.sqlite", "manifest.jsonl.gz", "metadata", "dump"}
    assert kinds <= seen
    assert any(name.endswith(".lock") for name in seen)
    assert any(name.endswith(".sql") for name in seen)


def _assert_private(volume: Path) -> set[str]:
    """Every file is 0600 and every directory 0700; the names of all."""
    names = set()
    for path in volume.rglob("*"):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue  # SQLite's own journal comes and goes
        assert (0o700 if stat.S_ISDIR(mode) else 0o600) == mode & 0o777, path
        names.add(path.name)
    return names
