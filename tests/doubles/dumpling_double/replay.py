"""Load without a database: synthetic files at a given rate, with a `metadata` that is right."""

import queue
import random
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from . import metadata
from .chunks import HEADER
from .controls import Controls
from .dump import write_metadata
from .errors import DumpError
from .metrics import log_progress
from .options import Options
from .output import DataFile, Output

_STATEMENT = 1 << 20
_NO_SNAPSHOT = "400000000000000000"
_DATABASE = "replay"

Job = tuple[str, int, int]


def run(plan: dict[str, Any], options: Options, output: Output, controls: Controls) -> None:
    """`files` of `bytes` each, and beside them those of `big`, all from the same `seed`."""
    begun = datetime.now().astimezone()
    empty = controls.has("no-files") or controls.has("only-metadata")
    if not controls.has("no-files"):
        output.prepare()
    output.stage.rate = plan.get("rate") or output.stage.rate
    jobs = [] if empty else list(_jobs(plan))
    tables = sorted({table for table, _, _ in jobs})
    output.metrics.total_tables = len(tables)
    output.metrics.add("estimate_total_rows", sum(size // 100 for _, _, size in jobs))
    log_progress(output.metrics, output.log, controls.settings.get("progress_interval", 120))
    if not empty:
        sql = f"CREATE DATABASE `{_DATABASE}`;\n"
        output.write_whole(f"{_DATABASE}-schema-create.sql", HEADER + sql.encode())
    for table in tables:
        sql = f"CREATE TABLE `{table}` (`id` bigint, `body` longtext);\n"
        output.write_whole(f"{_DATABASE}.{table}-schema.sql", HEADER + sql.encode())
    output.stage.begin()
    _write(jobs, options, output, int(plan.get("seed", 0)))
    output.metrics.add("finished_tables", len(tables))
    output.stage.end()
    text = metadata.started(begun)
    text += metadata.position("tidb-binlog", options.snapshot or _NO_SNAPSHOT, "") + "\n"
    text += metadata.finished(datetime.now().astimezone())
    write_metadata(output, controls, text)


def _jobs(plan: dict[str, Any]) -> Iterator[Job]:
    """Table, number and size of each file; the big ones are spread evenly among the others."""
    files, size = int(plan.get("files", 0)), int(plan.get("bytes", 0))
    big = plan.get("big") or {}
    bigs = int(big.get("files", 0))
    every = max(1, files // (bigs + 1))
    sent = 0
    for number in range(files):
        if number % every == 0 and number and sent < bigs:
            yield "big", sent, int(big["bytes"])
            sent += 1
        yield "small", number, size
    for number in range(sent, bigs):
        yield "big", number, int(big["bytes"])


def _filler(seed: int) -> bytes:
    """A megabyte that does not compress, the same for the same seed, and no line end in it."""
    return random.Random(seed).randbytes(_STATEMENT // 2).hex().encode()


def _write(jobs: list[Job], options: Options, output: Output, seed: int) -> None:
    pending: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        pending.put(job)
    filler = _filler(seed)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not errors:
                table, number, size = pending.get_nowait()
                _write_file(output, table, number, size, filler)
        except queue.Empty:
            pass
        except BaseException as error:  # noqa: BLE001  raised below
            errors.append(error)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(options.threads, 16))]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers) and not errors:
        time.sleep(0.005)
    if errors:
        raise errors[0]


def _write_file(output: Output, table: str, number: int, size: int, filler: bytes) -> None:
    head = HEADER + f"INSERT INTO `{table}` VALUES\n({number},'".encode()
    tail = b"');\n"
    if size < len(head) + len(tail):
        raise DumpError(f"replay: files of {size} bytes are too small")
    body = size - len(head) - len(tail)
    file = DataFile(output, f"{_DATABASE}.{table}.{number:09d}.sql")
    # Each file starts elsewhere in the filler, so that no two are alike.
    start = number * 7919 % len(filler)
    piece = filler[start:] + filler[:start]
    data = head + piece[: min(body, _STATEMENT)]
    body -= min(body, _STATEMENT)
    while body:
        file.write(data)
        data = piece[: min(body, _STATEMENT)]
        body -= len(data)
    file.write(data + tail)
    output.metrics.count_rows(1)
    file.close()
