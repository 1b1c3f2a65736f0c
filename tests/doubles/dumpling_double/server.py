"""The server: its kind, its snapshot, and how the rows of all tables are made to agree."""

import re
from dataclasses import dataclass

from .catalog import Catalog
from .errors import DumpError
from .log import Log
from .options import Options
from .session import Session, quoted, usable_variables
from .versions import Version

_GC_QUERY = "SELECT COUNT(1) as c FROM MYSQL.TiDB WHERE VARIABLE_NAME='tikv_gc_safe_point'"
_PD_QUERY = "SELECT * FROM information_schema.cluster_info where type = 'pd';"
_GC_ADVICE = (
    "If the amount of data to dump is large, criteria: (data more than 60GB or dumped time more"
    " than 10 minutes)\nyou'd better adjust the tikv_gc_life_time to avoid export failure due to"
    " TiDB GC during the dump process.\n"
)


@dataclass
class Server:
    """What VERSION() tells."""

    kind: str
    version: str

    @property
    def tidb(self) -> bool:
        return self.kind == "TiDB"


def detect(options: Options, log: Log) -> Server:
    """Connect for the first time (facts: its errors say `sql: SELECT version()`)."""
    session = Session(options.account, "SELECT version()")
    try:
        ((text,),) = session.query("SELECT version()")
    finally:
        session.close()
    lower = text.lower()
    if "tidb" in lower:
        kind = "TiDB"
        matched = re.search(r"-v?(\d+\.\d+\.\d+)", text)
    else:
        kind = "MariaDB" if "mariadb" in lower else "MySQL"
        matched = re.match(r"(\d+\.\d+\.\d+)", text)
        kind = kind if matched or kind == "MariaDB" else "Unknown"
    log.write("info", "version.go:409", "detect server type", {"type": kind})
    version = matched[1] if matched else ""
    log.write("info", "version.go:427", "detect server version", {"version": version})
    return Server(kind, version)


def prepare(options: Options, server: Server, log: Log, version: Version) -> None:
    """Resolve what is left open, before the dump begins (NewDumper's steps)."""
    if options.consistency == "auto" and server.tidb:
        options.consistency = "snapshot"
    session = Session(options.account)
    try:
        if server.tidb:
            _look_for_pd(session, log)
            if not options.snapshot and options.consistency == "snapshot":
                _take_snapshot(session, options, log, version)
            log.write("warn", "dump.go:1420", _GC_ADVICE)
        wanted = dict(options.params)
        if server.tidb and options.mem_quota:
            wanted["tidb_mem_quota_query"] = str(options.mem_quota)
        if options.snapshot and not server.tidb:
            raise DumpError("snapshot consistency is not supported for this server")
        if options.snapshot and options.consistency == "snapshot" and _has_tikv(session, log):
            wanted["tidb_snapshot"] = options.snapshot
        options.account.variables = usable_variables(session, wanted, log)
    finally:
        session.close()


def _look_for_pd(session: Session, log: Log) -> None:
    try:
        session.query(_PD_QUERY)
    except DumpError as error:
        log.write(
            "warn", "dump.go:1338", "meet error while fetching pd addrs", {"error": str(error)}
        )


def _has_tikv(session: Session, log: Log) -> bool:
    try:
        ((count,),) = session.query(_GC_QUERY)
    except DumpError as error:
        fields = {"error": str(error)}
        log.write("warn", "dump.go:1530", "fail to check whether TiDB has TiKV", fields)
        return True
    return bool(count)


def _take_snapshot(session: Session, options: Options, log: Log, version: Version) -> None:
    try:
        options.snapshot = str(session.query("SHOW MASTER STATUS")[0][1])
    except (DumpError, IndexError) as error:
        reason = str(error) if isinstance(error, DumpError) else "SHOW MASTER STATUS is empty"
        if not version.old:
            raise DumpError(f"cannot get snapshot from TiDB: {reason}") from None
        # The old build goes on with no snapshot at all (facts).
        log.write("warn", "dump.go:1373", "cannot get snapshot from TiDB", {"error": reason})


class Guard:
    """Holds writers off (flush, lock) until every worker's transaction has begun."""

    def __init__(self, options: Options, server: Server, log: Log, version: Version) -> None:
        self._options = options
        self._server = server
        self._log = log
        self._old = version.old
        self._session: Session | None = None

    def set_up(self) -> None:
        options = self._options
        kind = options.consistency
        if kind == "auto":
            kind = options.consistency = self._resolve_auto()
        elif kind == "flush":
            self._flush()
        if kind == "snapshot" and not self._server.tidb:
            raise DumpError("snapshot consistency is not supported for this server")
        if kind not in ("flush", "lock", "snapshot", "none"):
            raise DumpError(f"invalid consistency option {kind}")

    def _resolve_auto(self) -> str:
        if self._server.kind == "Unknown":
            return "none"
        try:
            self._flush()
        except DumpError as error:
            if self._old:
                raise
            message = "error when use FLUSH TABLE WITH READ LOCK, fallback to LOCK TABLES"
            self._log.write("warn", "consistency.go:100", message, {"error": str(error)})
            return "lock"
        return "flush"

    def _flush(self) -> None:
        if self._server.tidb:
            raise DumpError(
                "'flush table with read lock' cannot be used to ensure the consistency in TiDB"
            )
        self._session = Session(self._options.account)
        self._session.query("FLUSH TABLES WITH READ LOCK")

    def lock(self, catalog: Catalog) -> None:
        """LOCK TABLES on all that will be dumped, once it is known what that is."""
        names = [
            f"{quoted(table.schema)}.{quoted(table.name)} READ"
            for tables in catalog.values()
            for table in tables
            if table.kind == "table"
        ]
        if names:
            self._session = Session(self._options.account)
            self._session.query(f"LOCK TABLES {','.join(names)}")

    def release(self) -> None:
        if self._options.consistency in ("flush", "lock"):
            message = "All the dumping transactions have started. Start to unlock tables"
            self._log.write("info", "dump.go:285", message)
        if self._session is not None:
            self._session.query("UNLOCK TABLES")
            self._session.close()
            self._session = None


def worker_session(options: Options, server: Server) -> Session:
    session = Session(options.account)
    session.begin(repeatable_read=not (server.tidb and options.consistency == "snapshot"))
    return session
