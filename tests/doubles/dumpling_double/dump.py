"""A dump from its first lock to `metadata` (dump.go's Dump)."""

import time
from datetime import datetime

from . import catalog, metadata
from .catalog import Catalog, Table
from .chunks import HEADER, Chunk, split
from .controls import Controls
from .formatting import Format
from .log import Log
from .metrics import Metrics, human_size, log_progress
from .options import Options
from .output import Output
from .server import Guard, Server, worker_session
from .session import Session
from .versions import Version
from .workers import Workers

_PROGRESS_INTERVAL = 120


class Dump:
    """One dump of one server into one directory."""

    def __init__(
        self, options: Options, server: Server, output: Output, controls: Controls, version: Version
    ) -> None:
        self._options = options
        self._server = server
        self._output = output
        self._controls = controls
        self._version = version

    @property
    def _log(self) -> Log:
        return self._output.log

    @property
    def _metrics(self) -> Metrics:
        return self._output.metrics

    def run(self) -> None:
        options = self._options
        self._log.write("info", "dump.go:128", "begin to run Dump", {"conf": options.described()})
        guard = Guard(options, self._server, self._log, self._version)
        guard.set_up()
        # With lock the tables must be known before they can be locked.
        locked = self._read_catalog() if options.consistency == "lock" else None
        if locked is not None:
            guard.lock(locked)
        session = worker_session(options, self._server)
        text = metadata.started(datetime.now().astimezone())
        text += metadata.status(session, self._server, options.snapshot, self._log)
        tables = self._read_catalog(session) if locked is None else locked
        if self._controls.has("only-metadata") or self._controls.has("no-files"):
            tables = {}
        if not self._controls.has("no-files"):
            self._output.prepare()
        workers = Workers(options, self._server, self._output)
        guard.release()
        self._start_progress(tables)
        begun = time.monotonic()
        self._output.stage.begin()
        self._produce(session, tables, workers)
        workers.join()
        session.close()
        self._summarise(workers, time.monotonic() - begun)
        self._output.stage.end()
        text += metadata.finished(datetime.now().astimezone())
        write_metadata(self._output, self._controls, text)

    def _read_catalog(self, session: Session | None = None) -> Catalog:
        if session is not None:
            return catalog.read(session, self._options)
        session = worker_session(self._options, self._server)
        try:
            return catalog.read(session, self._options)
        finally:
            session.close()

    def _start_progress(self, tables: Catalog) -> None:
        base = [table for each in tables.values() for table in each if table.kind == "table"]
        self._metrics.total_tables = len(base)
        interval = self._controls.settings.get("progress_interval", _PROGRESS_INTERVAL)
        log_progress(self._metrics, self._log, interval)

    def _produce(self, session: Session, tables: Catalog, workers: Workers) -> None:
        for schema, members in tables.items():
            if not self._options.no_schemas:
                self._write_schema("schema", schema, "", catalog.create_database(session, schema))
            for table in members:
                workers.check()
                # A table's schema file comes before its data (facts).
                if not self._options.no_schemas:
                    self._write_table_schema(session, table)
                if table.kind == "table" and not self._options.no_data:
                    self._produce_chunks(session, table, workers)

    def _write_table_schema(self, session: Session, table: Table) -> None:
        if table.kind == "view":
            dummy, view = catalog.create_view(session, table)
            self._write_schema("table", table.schema, table.name, dummy)
            self._write_schema("view", table.schema, table.name, view)
        elif table.kind == "sequence":
            sql = catalog.create_sequence(session, table)
            self._write_schema("sequence", table.schema, table.name, sql)
        else:
            sql = catalog.create_table(session, table)
            self._write_schema("table", table.schema, table.name, sql)

    def _write_schema(self, kind: str, schema: str, table: str, sql: str) -> None:
        name = self._options.names.render(kind, schema, table)
        self._output.write_whole(f"{name}.sql", HEADER + sql.encode())

    def _produce_chunks(self, session: Session, table: Table, workers: Workers) -> None:
        options = self._options
        catalog.describe(session, table, options, tidb=self._server.tidb)
        rows = table.estimate
        names = {"database": table.schema, "table": table.name}
        if options.rows:
            # The binary asks EXPLAIN; a count keeps the chunks the same in every run.
            where = f" WHERE {options.where}" if options.where else ""
            ((rows,),) = session.query(f"SELECT COUNT(*) FROM {table.quoted}{where}")
            if not table.split_by:
                message = "fallback to sequential dump due to no proper field"
                self._log.write("warn", "dump.go:757", message, names)
            else:
                fields = {**names, "estimateCount": rows}
                self._log.write("info", "dump.go:762", "get estimated rows count", fields)
        self._metrics.add("estimate_total_rows", rows)
        shape = Format(table.columns, options.style)
        conditions = list(split(session, table, options, rows))
        for index, where in enumerate(conditions):
            workers.put(Chunk(table, shape, index, len(conditions), where))

    def _summarise(self, workers: Workers, seconds: float) -> None:
        size = self._metrics.get("finished_size")
        speed = human_size(size / max(seconds, 1e-9))
        self._log.write(
            "info",
            "collector.go:255",
            "backup success summary",
            {
                "total-ranges": workers.tasks,
                "ranges-succeed": workers.tasks,
                "ranges-failed": 0,
                "total-take": f"{seconds:.6f}s",
                "total-kv-size": human_size(size),
                "average-speed": f"{speed}/s",
                "total-rows": self._metrics.summary_rows,
            },
        )


def write_metadata(output: Output, controls: Controls, text: str) -> None:
    """Put `metadata` in place, or what the misdeeds leave of it."""
    output.stage.gates("metadata")
    data = metadata.misdone(text, controls)
    if data is not None:
        output.write_whole("metadata", data, plain=True)
