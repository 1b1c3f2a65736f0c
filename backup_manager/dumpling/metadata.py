"""The ``metadata`` file: Dumpling writes it last, and only on success.

Its form is that of dumpling/export/metadata.go. Its write error is discarded there, so a missing
or cut one may come with exit code 0 (pingcap/tidb#51661).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from backup_manager.errors import BackupError, DumpInvalidError, Reason
from backup_manager.volume.directory import full, is_full, volume_error

METADATA_BYTES = 64 * 1024

_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_STARTED = re.compile(rf"Started dump at: ({_TIME})\n")
_FINISHED = re.compile(rf"(?:^|\n)Finished dump at: ({_TIME})\n+\Z")
# The first such block counts: one taken after the connections stood may follow, and one of SHOW
# SLAVE STATUS, whose Pos is another server's. BINARY LOG is MySQL 8.4's word for it.
_MASTER = re.compile(r"^SHOW (?:MASTER|BINARY LOG) STATUS:.*\n((?:\t.*\n)*)", re.MULTILINE)
_FIELD = re.compile(r"^\t(\w+): ?(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Metadata:
    """What ``metadata`` says: times are local to Dumpling, without a zone.

    ``position`` is None where the server has no binary log: never with TiDB.
    """

    started: str
    finished: str
    position: str | None
    log: str | None = None
    gtid: str | None = None


def parse(data: bytes) -> Metadata:
    """Return what a whole ``metadata`` says; raise DumpInvalidError for any other bytes."""
    if not data:
        raise _invalid("it is empty")
    if len(data) > METADATA_BYTES:
        raise _invalid(f"it is larger than {METADATA_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _invalid("it is no UTF-8 text") from error
    started = _STARTED.match(text)
    if not started:
        raise _invalid("it does not begin with 'Started dump at'")
    finished = _FINISHED.search(text)
    if not finished:
        raise _invalid("it does not end with 'Finished dump at': it was cut, or the dump was")
    block = _MASTER.search(text)
    # Of a field named twice, the first; blank values are none.
    fields = dict(reversed(_FIELD.findall(block.group(1)))) if block else {}
    values = {name: value.strip() or None for name, value in fields.items()}
    return Metadata(
        started.group(1),
        finished.group(1),
        values.get("Pos"),
        values.get("Log"),
        values.get("GTID"),
    )


def check_data(
    data: bytes, expected_position: str | None, *, position_required: bool = True, cause: str = ""
) -> Metadata:
    """Return what ``metadata`` says where it is whole and has the right position.

    ``expected_position`` is the snapshot that was passed to Dumpling, None where any will do;
    ``position_required`` is False for a server that is no TiDB: it may have no binary log;
    ``cause`` is what Dumpling said about a missing position (``Findings.metadata_error``). Raises
    DumpInvalidError, with the reason COMMIT_TS where it is about the position.
    """
    metadata = parse(data)
    if metadata.position is None and (position_required or expected_position is not None):
        raise _invalid(
            "it has no Pos: Dumpling could not read SHOW MASTER STATUS"
            + (f" ({cause})" if cause else ""),
            fix="grant the account REPLICATION CLIENT",
            reason=Reason.COMMIT_TS,
        )
    if expected_position is not None and metadata.position != expected_position:
        raise _invalid(
            f"its Pos is {metadata.position}, not the snapshot {expected_position} that Dumpling "
            "was told to read",
            reason=Reason.COMMIT_TS,
        )
    return metadata


def check(
    path: Path, expected_position: str | None, *, position_required: bool = True, cause: str = ""
) -> Metadata:
    """Check the file ``metadata``, as ``check_data`` does.

    Raises VolumeError where it cannot be read, or is not whole because the volume is full.
    """
    try:
        with path.open("rb") as file:
            data = file.read(METADATA_BYTES + 1)
        return check_data(data, expected_position, position_required=position_required, cause=cause)
    except FileNotFoundError as error:
        told = DumpInvalidError(
            "the dump has no metadata", why="Dumpling writes it last, and only on success", fix=_FIX
        )
        raise _or_full(told, path) from error
    except OSError as error:
        raise volume_error("the dump's metadata cannot be read", error) from error
    except DumpInvalidError as error:
        if error.reason == Reason.COMMIT_TS:
            raise
        raise _or_full(error, path) from error


def _or_full(error: DumpInvalidError, path: Path) -> BackupError:
    """Name a full volume, where Dumpling's error in writing this file was lost."""
    if not is_full(path.parent):
        return error
    return full(f"Dumpling could not write {path}", f"{error.what}: {error.why}", where=path.parent)


_FIX = "run the same command again: it dumps anew"


def _invalid(why: str, fix: str = _FIX, reason: Reason | None = None) -> DumpInvalidError:
    return DumpInvalidError("the dump's metadata is not valid", why=why, fix=fix, reason=reason)
