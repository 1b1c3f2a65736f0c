"""What several tests of Dumpling use: a binary on paper, a report that can be read, polling."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backup_manager.dumpling.binary import Binary, parse_help
from backup_manager.report import Report

HELP = """Dumpling is a CLI tool

Usage:
  dumpling [flags]

Flags:
      --allow-cleartext-passwords         send it
      --ca string                         a file
      --case-sensitive                    filter
      --cert string                       a file
      --compress string                   how
      --complete-insert                   columns
      --consistency string                how (default "auto")
  -B, --database strings                  which
      --dump-empty-database               too (default true)
      --escape-backslash                  with (default true)
  -F, --filesize string                   size
      --filetype string                   kind
  -f, --filter strings                    which (default [*.*])
      --gcs.endpoint string               where
      --help                              this
  -h, --host string                       where
      --key string                        a file
  -L, --logfile path                      where
      --logfmt format                     how
      --loglevel string                   how much
      --new-thing string                  of a later version
  -d, --no-data                           none
      --no-header                         none
  -m, --no-schemas                        none
      --no-sequences                      none (default true)
  -W, --no-views                          none (default true)
      --order-by-primary-key              sort (default true)
  -o, --output string                     where
      --output-filename-template string   names
      --params stringToString             session (default [])
  -p, --password string                   secret
  -P, --port int                          where
  -r, --rows uint                         If specified, split.
                                          If not specified, slow:
                                          --slow is slow
      --s3.region string                  where
      --snapshot string                   when
  -s, --statement-size uint               size
      --status-addr string                where
  -T, --tables-list strings               which
  -t, --threads int                       many
      --tidb-mem-quota-query uint         bytes
  -u, --user string                       who
  -V, --version                           that
      --where string                      which
"""
BINARY = Binary(Path("/dumpling"), "v9.9.9", parse_help(HELP))


def report() -> tuple[Report, io.StringIO]:
    """A report that logs everything, and what it logged."""
    stream = io.StringIO()
    return Report(level="debug", stream=stream), stream


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def wait_for(ready: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def script(path: Path, text: str) -> Path:
    """Write an executable script."""
    path.write_text(text)
    path.chmod(0o755)
    return path


def alive(pid: int) -> bool:
    """Whether the process runs: one that is dead and not reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
