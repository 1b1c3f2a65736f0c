"""The threads that write chunks, each over a connection of its own."""

import queue
import threading
import time

from .chunks import Chunk, ChunkWriter, write_chunk
from .errors import DumpError, LostConnectionError
from .log import Log
from .metrics import Metrics
from .options import Options
from .output import Output
from .server import Server, worker_session
from .session import Session

MOST_WORKERS = 16
_CHANNEL = 128
_RETRIES = 3


class Workers:
    """Started with the transactions in which they read; the first error ends all."""

    def __init__(self, options: Options, server: Server, output: Output) -> None:
        self._options = options
        self._server = server
        self._output = output
        self._queue: queue.Queue[Chunk | None] = queue.Queue(_CHANNEL)
        self._error: BaseException | None = None
        # With flush and lock a new connection would see other rows (canRebuildConn).
        self._may_retry = options.consistency in ("snapshot", "none")
        self.tasks = 0
        sessions = [worker_session(options, server) for _ in range(self._count())]
        self._threads = [
            threading.Thread(target=self._run, args=(session,), daemon=True) for session in sessions
        ]
        for thread in self._threads:
            thread.start()

    def _count(self) -> int:
        return min(self._options.threads, MOST_WORKERS)

    @property
    def _log(self) -> Log:
        return self._output.log

    @property
    def _metrics(self) -> Metrics:
        return self._output.metrics

    def put(self, chunk: Chunk) -> None:
        self._metrics.add("channel_capacity", -1)
        self.tasks += 1
        self._put(chunk)

    def _put(self, chunk: Chunk | None) -> None:
        while True:
            self.check()
            try:
                self._queue.put(chunk, timeout=0.05)
            except queue.Full:
                continue
            return

    def check(self) -> None:
        """Raise what ended a worker."""
        if self._error is not None:
            raise self._error

    def join(self) -> None:
        """Wait until all is written, or for the first error."""
        for _ in self._threads:
            self._put(None)
        for thread in self._threads:
            while thread.is_alive():
                self.check()
                thread.join(0.02)
        self.check()

    def _run(self, session: Session) -> None:
        try:
            while (chunk := self._queue.get()) is not None:
                session = self._write(session, chunk)
                self._metrics.add("channel_capacity")
                self._metrics.add("write_receive_chunk_duration_time_count")
                if chunk.index + 1 == chunk.total:
                    self._metrics.add("finished_tables")
            session.close()
        except BaseException as error:  # noqa: BLE001  the main thread raises it
            self._error = self._error or error

    def _write(self, session: Session, chunk: Chunk) -> Session:
        """Write a chunk, anew over a new connection where the old one broke."""
        first_error: DumpError | None = None
        for attempt in range(_RETRIES + 1):
            writer = ChunkWriter(chunk, self._options, self._output)
            try:
                if first_error is not None:
                    session = worker_session(self._options, self._server)
                write_chunk(session, chunk, writer, self._options)
            except LostConnectionError as error:
                first_error = first_error or error
                self._revert(chunk, writer, error)
                if not self._may_retry or attempt == _RETRIES:
                    raise
                time.sleep(0.1 * attempt)
            except DumpError:
                # Where the server is gone for good, the broken connection is the reason given.
                if first_error is not None:
                    raise first_error from None
                raise
            else:
                self._after(chunk, writer)
                return session
        raise AssertionError

    def _revert(self, chunk: Chunk, writer: ChunkWriter, error: DumpError) -> None:
        writer.abandon()
        self._metrics.add("error_count")
        self._metrics.add("finished_rows", -writer.rows)
        self._metrics.add("finished_size", -writer.size)
        self._log.write(
            "warn",
            "writer_util.go:194",
            "fail to dumping table(chunk), will revert some metrics and start a retry if possible",
            {
                "database": chunk.table.schema,
                "table": chunk.table.name,
                "finished rows": writer.rows,
                "finished size": writer.size,
                "error": str(error),
            },
        )

    def _after(self, chunk: Chunk, writer: ChunkWriter) -> None:
        if not writer.files:
            fields = {"database": chunk.table.schema, "table": chunk.table.name}
            message = "no data written in table chunk"
            self._log.write("info", "writer.go:264", message, {**fields, "chunkIdx": chunk.index})
        elif self._output.stage.takes_chunk_retry():
            for name in writer.files:
                content = (self._output.directory / name).read_bytes()
                self._output.again(name, content)
