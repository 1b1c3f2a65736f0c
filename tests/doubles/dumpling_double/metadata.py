"""The `metadata` file: written last, only on success, and never compressed."""

from datetime import datetime

from .controls import Controls
from .errors import DumpError
from .log import Log
from .server import Server
from .session import Session

_TIME = "%Y-%m-%d %H:%M:%S"


def started(now: datetime) -> str:
    return f"Started dump at: {now:{_TIME}}\n"


def finished(now: datetime) -> str:
    return f"Finished dump at: {now:{_TIME}}\n"


def position(log_file: str, pos: str, gtid: str) -> str:
    return f"SHOW MASTER STATUS:\n\tLog: {log_file}\n\tPos: {pos}\n\tGTID:{gtid}\n"


def status(session: Session, server: Server, snapshot: str, log: Log) -> str:
    """The position's block, empty where the account may not see it (facts: exit 0 all the same)."""
    try:
        return _status(session, server, snapshot)
    except DumpError as error:
        log.write("info", "dump.go:190", "get global metadata failed", {"error": str(error)})
        return ""


def _status(session: Session, server: Server, snapshot: str) -> str:
    rows = session.query("SHOW MASTER STATUS")
    text = ""
    if rows:
        row = [str(value or "") for value in rows[0]]
        gtid = row[4] if len(row) > 4 else ""
        # TiDB's Pos is the --snapshot string verbatim.
        pos = snapshot if server.tidb and snapshot else row[1]
        if server.kind == "MariaDB":
            ((gtid,),) = session.query("SELECT @@global.gtid_binlog_pos")
        text = position(row[0], pos, gtid)
    return text + "\n" + ("" if server.tidb else _replicas(session, server))


def _replicas(session: Session, server: Server) -> str:
    mariadb = server.kind == "MariaDB"
    text = ""
    for row in session.named("SHOW ALL SLAVES STATUS" if mariadb else "SHOW SLAVE STATUS"):
        if not row.get("MASTER_HOST"):
            continue
        name = f"\tConnection name: {row.get('CONNECTION_NAME') or ''}\n" if mariadb else ""
        text += (
            f"SHOW SLAVE STATUS:\n{name}\tHost: {row['MASTER_HOST']}\n"
            f"\tLog: {row.get('RELAY_MASTER_LOG_FILE') or ''}\n"
            f"\tPos: {row.get('EXEC_MASTER_LOG_POS') or ''}\n"
            f"\tGTID:{row.get('EXECUTED_GTID_SET') or ''}\n\n"
        )
    return text


def misdone(text: str, controls: Controls) -> bytes | None:
    """The text as the misdeeds leave it; None: no such file."""
    if controls.has("metadata-missing") or controls.has("no-files"):
        return None
    if controls.has("metadata-empty") or controls.has("enospc-at-close"):
        return b""
    lines = text.splitlines(keepends=True)
    if controls.has("metadata-no-pos"):
        lines = [line for line in lines if not line.startswith("\tPos:")]
    if controls.has("metadata-no-finished"):
        lines = [line for line in lines if not line.startswith("Finished")]
    other = controls.find("metadata-other-pos")
    if other:
        pos = other.get("pos", "400000000000000001")
        lines = [f"\tPos: {pos}\n" if line.startswith("\tPos:") else line for line in lines]
    if controls.has("metadata-two-pos"):
        lines.insert(-1, "SHOW SLAVE STATUS:\n\tHost: other\n\tLog: b.1\n\tPos: 77\n\tGTID:\n\n")
    if controls.has("metadata-new-terms"):
        lines = [line.replace("MASTER STATUS", "BINARY LOG STATUS") for line in lines]
    cut = controls.find("metadata-cut")
    data = "".join(lines).encode()
    return data[: cut.get("bytes", len(data) // 2)] if cut else data
