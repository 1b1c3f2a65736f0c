"""Loads a dump back with the server's own client."""

import re
import subprocess
from pathlib import Path

from .servers.sql import quoted

_NAME = re.compile(
    r"(?P<db>[^.]*?)(?P<create>-schema-create)?(?:\.(?P<table>[^.]*?)"
    r"(?P<kind>-schema|-schema-view|-schema-sequence|\.\d+))?\.sql"
)
_ORDER = ["-schema-sequence", "-schema", "data", "-schema-view"]


def unescaped(name: str) -> str:
    return re.sub("%([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), name)


def _step(path: Path) -> tuple[int, str, Path]:
    """Where in the order a file comes, and the database that it goes into."""
    matched = _NAME.fullmatch(path.name)
    if matched is None:
        raise ValueError(f"not a file of a dump: {path.name}")
    if matched["create"]:
        return -1, "", path
    kind = matched["kind"]
    place = _ORDER.index(kind if kind in _ORDER else "data")
    return place, unescaped(matched["db"]), path


def load(directory: Path, client_argv: list[str]) -> None:
    """Feed every SQL file of the dump to the client: databases, tables, data, views."""
    parts = []
    for _, db, path in sorted(_step(path) for path in directory.glob("*.sql")):
        use = f"USE {quoted(db)};\n" if db else ""
        # A view's file changes the character set, and DELIMITER never occurs.
        parts.append(b"SET NAMES utf8mb4;\n" + use.encode() + path.read_bytes())
    script = b"SET FOREIGN_KEY_CHECKS=0;\n" + b"\n".join(parts)
    done = subprocess.run(client_argv, input=script, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr.decode("utf-8", "replace"))
