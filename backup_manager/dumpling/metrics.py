"""Progress from Dumpling's own /metrics.

It listens on a port that the kernel chose (``--status-addr=127.0.0.1:0``); which one, /proc tells.
So a scrape cannot reach a foreign process, as it could on a fixed port that was taken: Dumpling
only warns then.
"""

import http.client
import math
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

SCRAPE_SECONDS = 2.0
SCRAPE_BYTES = 1 << 20

_LISTEN = "0A"  # the state in /proc/net/tcp: include/net/tcp_states.h
_SAMPLE = re.compile(
    r"dumpling_dump_(finished_rows|estimate_total_rows|finished_size|finished_tables)"
    r'(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*'
)
_MOST = float(1 << 62)


@dataclass(frozen=True)
class Figures:
    """How far Dumpling is; all may fall when it dumps a chunk again. Bytes are uncompressed."""

    rows_done: int
    rows_estimated: int
    bytes_done: int
    tables_done: int | None


def parse(text: str) -> Figures | None:
    """Return the figures in a page of Prometheus text, or None where it has none of them."""
    sums: dict[str, float] = {}
    for line in text.splitlines():
        if not (match := _SAMPLE.fullmatch(line)):
            continue
        name, number = match.groups()
        try:
            value = float(number)
        except ValueError:
            continue
        if math.isfinite(value):
            # Several label sets are several tasks of one process: their sum is the progress.
            sums[name] = min(_MOST, max(-_MOST, sums.get(name, 0.0) + value))
    if not sums:
        return None
    # A gauge that was never set is not on the page (v5.3).
    done = {name: max(0, int(value)) for name, value in sums.items()}
    return Figures(
        done.get("finished_rows", 0),
        done.get("estimate_total_rows", 0),
        done.get("finished_size", 0),
        done.get("finished_tables"),
    )


def listening_port(pid: int) -> int | None:
    """Return the TCP port that this very process listens on, or None; never raises."""
    try:
        sockets = _socket_inodes(pid)
        for table in ("tcp", "tcp6"):
            if port := _port_in(Path(f"/proc/{pid}/net/{table}"), sockets):
                return port
    except (OSError, ValueError):
        return None
    return None


def _socket_inodes(pid: int) -> set[str]:
    inodes = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(entry.path)  # noqa: PTH115 - "socket:[1]" is no path
        except OSError:
            continue  # closed meanwhile
        if target.startswith("socket:["):
            inodes.add(target[len("socket:[") : -1])
    return inodes


def _port_in(table: Path, inodes: set[str]) -> int | None:
    """Look for a listening socket of ours: columns local address, state and inode of proc(5)."""
    if not inodes or not table.exists():
        return None
    with table.open(encoding="ascii", errors="replace") as lines:
        next(lines, None)
        for line in lines:
            columns = line.split()
            if len(columns) > 9 and columns[3] == _LISTEN and columns[9] in inodes:  # noqa: PLR2004 - proc(5)
                return int(columns[1].rpartition(":")[2], 16)
    return None


class Meter:
    """Reads one Dumpling's figures; each reading takes at most some 2 s."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def read(self) -> Figures | None:
        """Return the figures, or None where there are none to be had; never raises."""
        # Looked up each time: once Dumpling has ended, its port may be anybody's.
        port = listening_port(self._pid)
        page = None if port is None else _scrape(port)
        return None if page is None else parse(page)


def _scrape(port: int) -> str | None:
    deadline = time.monotonic() + SCRAPE_SECONDS
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SCRAPE_SECONDS / 2)
    body = bytearray()
    try:
        connection.request("GET", "/metrics", headers={"Connection": "close"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            return None
        while len(body) < SCRAPE_BYTES and time.monotonic() < deadline:
            # read1 returns what is there, so that a slow drip cannot outlast the deadline.
            block = response.read1(65536)
            if not block:
                return body.decode("utf-8", "replace")
            body += block
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return None
