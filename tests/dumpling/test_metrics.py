import math
import os
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.dumpling import metrics
from backup_manager.dumpling.metrics import Figures, Meter

PAGE = """# HELP dumpling_dump_finished_rows counter for dumpling finished rows
# TYPE dumpling_dump_finished_rows gauge
dumpling_dump_finished_rows 318709
dumpling_dump_finished_size 1.391e+08
dumpling_dump_finished_tables 5
dumpling_dump_estimate_total_rows 567259
dumpling_dump_channel_capacity 124
go_goroutines 8
"""


def test_a_page() -> None:
    assert Figures(318709, 567259, 139100000, 5) == metrics.parse(PAGE)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("", None),
        ("go_goroutines 8\n", None),
        ("dumpling_dump_estimate_total_rows 3000", Figures(0, 3000, 0, None)),
        (
            """dumpling_dump_finished_rows{task="a}\\"b",x="y"} 1 1700000000
dumpling_dump_finished_rows{task="c"} 2
dumpling_dump_finished_rows{} 3""",
            Figures(6, 0, 0, None),
        ),
        ("dumpling_dump_finished_rows NaN\ndumpling_dump_finished_rows +Inf", None),
        ("dumpling_dump_finished_rows -5", Figures(0, 0, 0, None)),
        ("dumpling_dump_finished_rows 1e300", Figures(1 << 62, 0, 0, None)),
        ("xdumpling_dump_finished_rows 5\ndumpling_dump_finished_rows_x 5", None),
        ("dumpling_dump_finished_rows five", None),
    ],
)
def test_odd_pages(page: str, expected: Figures | None) -> None:
    assert expected == metrics.parse(page)


@given(st.text() | st.text().map(lambda text: f"dumpling_dump_finished_rows{text}"))
def test_any_page_can_be_read(page: str) -> None:
    found = metrics.parse(page)
    assert found is None or found.rows_done >= 0


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0, max_value=1e18))
def test_numbers(number: float) -> None:
    found = metrics.parse(f"dumpling_dump_finished_size {number!r}")
    assert found is not None
    assert math.floor(number) == found.bytes_done


def test_only_the_process_own_port_is_found() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        subprocess.Popen(["sleep", "600"]) as other,
    ):
        try:
            assert server.getsockname()[1] == metrics.listening_port(os.getpid())
            assert metrics.listening_port(other.pid) is None
        finally:
            other.kill()
    assert metrics.listening_port(os.getpid()) is None


def test_ipv6_too() -> None:
    if not Path("/proc/net/if_inet6").exists() or not Path("/proc/net/if_inet6").read_text():
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert server.getsockname()[1] == metrics.listening_port(os.getpid())


def test_no_such_process() -> None:
    assert metrics.listening_port(0) is None
    assert Meter(0).read() is None


class _Handler(BaseHTTPRequestHandler):
    page = PAGE.encode()
    status = 200

    def do_GET(self) -> None:
        assert "/metrics" == self.path
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "page", "expected"),
    [
        (200, PAGE.encode(), Figures(318709, 567259, 139100000, 5)),
        (200, b"\xff\n" + PAGE.encode(), Figures(318709, 567259, 139100000, 5)),
        (200, b"", None),
        (404, PAGE.encode(), None),
        (200, PAGE.encode() + b"#" * (metrics.SCRAPE_BYTES + 1), None),
    ],
)
def test_a_meter(
    status: int, page: bytes, expected: Figures | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Handler, "status", status)
    monkeypatch.setattr(_Handler, "page", page)
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            assert expected == Meter(os.getpid()).read()
        finally:
            server.shutdown()
            serving.join()
    assert Meter(os.getpid()).read() is None


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "SCRAPE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)):
        assert Meter(os.getpid()).read() is None
