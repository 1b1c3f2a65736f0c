"""Where metrics are told: the file that is collected, and the Pushgateway."""

import base64
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backup_manager.metrics.sinks import Pushgateway, TextFile
from backup_manager.metrics.table import METRICS
from backup_manager.telling import Ended
from tests import servers
from tests.servers import prometheus
from tests.test_metrics_text import ENDED, LABELS, STATE, by_name

FAILED = replace(
    ENDED, published=None, ended=Ended(at=1_800_000_000.0, exit_code=7, seconds=5, warnings=0)
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "collected" / "backup.prom"


@pytest.fixture
def umask() -> Iterator[None]:
    """The program's own."""
    before = os.umask(0o077)
    yield
    os.umask(before)


# The file --------------------------------------------------------------------------------------


def test_everybody_may_read_it_and_nothing_else_is_left(file: Path, umask: None) -> None:
    file.parent.mkdir()
    TextFile(file, LABELS).tell(STATE)
    assert 0o644 == stat.S_IMODE(file.stat().st_mode)
    assert [file] == list(file.parent.iterdir())


def test_a_reader_sees_all_of_it_or_all_that_was_before(file: Path) -> None:
    file.parent.mkdir()
    sink = TextFile(file, LABELS)
    sink.tell(STATE)
    with file.open() as opened:
        sink.tell(ENDED)
        before = opened.read()
    assert "# EOF" == before.splitlines()[-1]
    assert "last_" not in before
    assert "backup_manager_last_success_files" in by_name(file.read_text())


def test_the_last_success_outlives_runs_that_fail(file: Path) -> None:
    file.parent.mkdir()
    TextFile(file, LABELS).tell(ENDED)
    for before in (0, 7):
        sink = TextFile(file, LABELS)
        sink.tell(STATE)
        assert before == by_name(file.read_text())["backup_manager_last_run_exit_code"]
        sink.tell(FAILED)
        found = by_name(file.read_text())
        assert 7 == found["backup_manager_last_run_exit_code"]
        assert 1_700_000_190 == found["backup_manager_last_success_timestamp_seconds"]
        assert 11 << 40 == found["backup_manager_last_success_size_bytes"]


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"{{{", b"backup_manager_last_run_exit_code"]
)
def test_a_damaged_file_is_replaced(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    TextFile(file, LABELS).tell(STATE)
    assert 1000 == by_name(file.read_text())["backup_manager_dumped_rows"]


def _no_directory(file: Path) -> None:
    pass


def _a_directory(file: Path) -> None:
    file.mkdir(parents=True)


def _a_fifo(file: Path) -> None:
    file.parent.mkdir()
    os.mkfifo(file)


def _a_file_for_a_directory(file: Path) -> None:
    file.parent.write_text("")


@pytest.mark.parametrize("prepare", [_no_directory, _a_directory, _a_fifo, _a_file_for_a_directory])
def test_a_file_that_cannot_be_is_an_error_and_leaves_nothing(
    file: Path, prepare: Callable[[Path], None]
) -> None:
    prepare(file)
    before = sorted(file.parents[1].rglob("*"))
    with pytest.raises(OSError):  # noqa: PT011 - each has words of its own
        TextFile(file, LABELS).tell(STATE)
    assert before == sorted(file.parents[1].rglob("*"))


# The Pushgateway -------------------------------------------------------------------------------


@dataclass
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Gateway:
    """Not a Pushgateway at all, but what may stand in its place."""

    url: str
    requests: list[Received] = field(default_factory=list)


@contextmanager
def gateway(answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") -> Iterator[Gateway]:
    """A server with this answer; without one it stays silent."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.parse_request():
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received = Received(self.command, self.path, dict(self.headers), body.decode())
            found.requests.append(received)
            if not answer:
                over.wait()
            self.wfile.write(answer)
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Gateway(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def test_the_grouping_key_names_the_backup_and_the_secret_stays_in_its_header() -> None:
    labels = {"source": "tidb:4000", "destination": "s3://b/p", "name": "täglich 1"}
    with gateway() as server:
        Pushgateway(f"{server.url}/under", labels, "user:s3cret").tell(STATE)
    (request,) = server.requests
    encoded = {
        name: base64.urlsafe_b64encode(labels[name].encode()).decode()
        for name in ("destination", "name")
    }
    assert (
        f"/under/metrics/job/backup-manager/destination@base64/{encoded['destination']}"
        f"/name@base64/{encoded['name']}/source/tidb%3A4000"
    ) == request.path
    assert "POST" == request.method
    assert "text/plain; version=0.0.4; charset=utf-8" == request.headers["Content-Type"]
    expected = base64.b64encode(b"user:s3cret").decode()
    assert f"Basic {expected}" == request.headers["Authorization"]
    assert "last_" not in request.body
    assert "# TYPE backup_manager_sent_bytes_total counter" in request.body


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\nno\n  way\n",
            "it answers 400 Bad Request: no way",
        ),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "it answers 503 Busy"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
            "it answers 302 Found",
        ),
    ],
)
def test_what_a_gateway_answers_is_told(answer: bytes, why: str) -> None:
    with gateway(answer) as server, pytest.raises(OSError) as caught:  # noqa: PT011 - compared below
        Pushgateway(server.url, LABELS).tell(STATE)
    assert why == str(caught.value)
    assert 1 == len(server.requests)


def test_credentials_do_not_follow_a_redirect(tmp_path: Path) -> None:
    with gateway() as elsewhere:
        location = f"Location: {elsewhere.url}/\r\n".encode()
        moved = b"HTTP/1.1 307 Moved\r\n" + location + b"Content-Length: 0\r\n\r\n"
        with gateway(moved) as server, pytest.raises(OSError, match="307"):
            Pushgateway(server.url, LABELS, "user:s3cret").tell(STATE)
    assert [] == elsewhere.requests


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n"], ids=["silence", "garbage"])
def test_a_gateway_that_is_none(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backup_manager.metrics.sinks.REQUEST_SECONDS", 0.05)
    with gateway(answer) as server, pytest.raises(Exception):  # noqa: B017, PT011 - any will do
        Pushgateway(server.url, LABELS).tell(STATE)


def test_nobody_there() -> None:
    with pytest.raises(OSError, match="refused"):
        Pushgateway(f"http://127.0.0.1:{servers.free_port()}", LABELS).tell(STATE)


@pytest.mark.skipif(bool(servers.missing(prometheus.PUSHGATEWAY)), reason="no Pushgateway")
def test_a_real_one_keeps_the_last_success_of_each_backup(tmp_path: Path) -> None:
    other = {"source": "other:4000", "destination": "s3://b/q"}
    with prometheus.Pushgateway(tmp_path) as server:
        Pushgateway(server.url, LABELS).tell(ENDED)
        Pushgateway(server.url, other).tell(FAILED)
        sink = Pushgateway(server.url, LABELS)
        sink.tell(STATE)
        sink.tell(FAILED)
        assert [{"job": "backup-manager", **LABELS}, {"job": "backup-manager", **other}] == sorted(
            server.groups(), key=len, reverse=True
        )
        families = server.families()
    told = {
        (family.name, sample.labels["source"]): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert 7 == told["backup_manager_last_run_exit_code", "tidb:4000"]
    success = "backup_manager_last_success_timestamp_seconds"
    assert 1_700_000_190 == told[success, "tidb:4000"]
    assert (success, "other:4000") not in told
    for metric in METRICS:
        family = families[metric.family]
        assert ("counter" if metric.counter else "gauge") == family.type
        assert metric.help == family.documentation
