"""The engine's memory does not grow with the size or the number of files."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

# Runs in a process of its own: tracemalloc counts nothing but the engine there.
ENGINE = """
import gc, os, sys, time, tracemalloc
from pathlib import Path
from tests.stores import Engine, new_store
from backup_manager.store import multipart

class Server:
    http = sys.argv[1]

def nothing(*_):
    return "id"

root = Path(sys.argv[2])
root.mkdir()
engine = Engine(Server, "bucket", root)
multipart.Multipart.create = nothing
multipart.Multipart.complete = nothing
engine.start()

def wait():
    while not engine.uploader.idle:
        engine.uploader.check()
        engine.journal.tick()
        time.sleep(0.01)

def many(first, last):
    for number in range(first, last):
        engine.offer(f"shop.item.{number:09}.sql", b"INSERT")
    wait()
    gc.collect()
    # Not pathlib: it interns the pieces of paths, in a table that Python enlarges by leaps.
    ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, "*/pathlib.py")])
    return sum(one.size for one in ours.statistics("filename"))

tracemalloc.start()
if sys.argv[3] == "many":
    before = many(0, 300)
    print(many(300, 1500) - before)
else:
    os.truncate(os.open(root / "big", os.O_CREAT | os.O_RDWR), 300 << 20)
    engine.uploader.offer(["big"])
    wait()
    print(tracemalloc.get_traced_memory()[1])
assert engine.journal.waiting == 0 and engine.uploader.files_sent in (1, 1500)
engine.close()
"""


class Sink:
    """Takes every body, at next to no cost, and answers with an ETag."""

    ANSWER = b'HTTP/1.1 200 OK\r\nETag: "0123"\r\nContent-Length: 0\r\n\r\n'

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = bytearray(1 << 20)
        with connection, connection.makefile("rb") as lines:
            while line := lines.readline():
                if line.lower().startswith(b"content-length:"):
                    left = int(line.split(b":")[1])
                if line == b"\r\n":
                    while left:
                        left -= lines.readinto(memoryview(buffer)[: min(left, len(buffer))])
                    connection.sendall(self.ANSWER)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.close()


def measure(sink: Sink, tmp_path: Path, kind: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", ENGINE, sink.url, str(tmp_path / "dump"), kind],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env={"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s", "PYTHONPATH": "."},
    )
    assert (0, "") == (done.returncode, done.stderr)
    return int(done.stdout)


def test_one_big_file(sink: Sink, tmp_path: Path) -> None:
    # Sixteen workers, of which one reads 1 MiB and the others send 128 KiB each.
    assert measure(sink, tmp_path, "big") < 16 << 20


def test_many_small_files(sink: Sink, tmp_path: Path) -> None:
    """1,200 more of them cost nothing: a name alone would be 70 bytes."""
    assert measure(sink, tmp_path, "many") < 70_000
