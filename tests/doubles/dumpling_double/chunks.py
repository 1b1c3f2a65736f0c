"""One chunk of a table: the query that reads it and the files that hold it."""

from collections.abc import Iterator
from dataclasses import dataclass

from .catalog import Table
from .formatting import Format
from .naming import Index
from .options import Options
from .output import DataFile, Output
from .session import Session, quoted

HEADER = b"/*!40101 SET NAMES binary*/;\n"


@dataclass(frozen=True)
class Chunk:
    """A part of a table's rows: those that satisfy `where`."""

    table: Table
    format: Format
    index: int
    total: int
    where: str

    def sql(self, options: Options) -> str:
        conditions = [f"({each})" for each in (options.where, self.where) if each]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        order = ",".join(quoted(name) for name in self.table.order)
        order = f" ORDER BY {order}" if order else ""
        return f"SELECT {self.format.fields()} FROM {self.table.quoted}{where}{order}"


def split(session: Session, table: Table, options: Options, rows: int) -> Iterator[str]:
    """The conditions of the chunks of about --rows each (dump.go's arithmetic)."""
    if not options.rows or not table.split_by or rows < options.rows:
        yield ""
        return
    key = quoted(table.split_by)
    where = f" WHERE {options.where}" if options.where else ""
    ((least, most),) = session.query(f"SELECT MIN({key}),MAX({key}) FROM {table.quoted}{where}")
    if least is None:
        yield ""
        return
    least, most = int(least), int(most)
    step = (most - least) // (rows // options.rows) + 1
    nulls = f"{key} IS NULL OR "
    for start in range(least, most + 1, step):
        yield f"{nulls}({key} >= {start} AND {key} < {start + step})"
        nulls = ""


class ChunkWriter:
    """Writes rows as statements of --statement-size in files of --filesize."""

    def __init__(self, chunk: Chunk, options: Options, output: Output) -> None:
        self.files: list[str] = []
        self.rows = 0
        self.size = 0
        self._chunk = chunk
        self._options = options
        self._output = output
        self._file: DataFile | None = None
        self._batch: list[bytes] = []
        self._pending = 0
        table = chunk.table
        names = ",".join(column.quoted for column in chunk.format.columns)
        columns = f" ({names})" if table.lists_columns and names else ""
        self._prefix = f"INSERT INTO {quoted(table.name)}{columns} VALUES\n".encode()

    def add(self, batch: list[bytes]) -> None:
        room = self._room()
        size = sum(map(len, batch)) + 2 * len(batch)
        if self._pending + size < room:
            self._batch += batch
            self._pending += size
            return
        for row in batch:
            self._batch.append(row)
            self._pending += len(row) + 2
            if self._pending >= room:
                self._flush()
                room = self._room()

    def finish(self) -> None:
        if self._batch:
            self._flush()
        if self._file is not None:
            self._close()

    def abandon(self) -> None:
        if self._file is not None:
            self._file.abandon()

    def _room(self) -> int:
        """Bytes that may be pending before something has to be written."""
        room = self._options.statement_size or 1 << 62
        if self._options.file_size:
            written = self._file.size if self._file else 0
            room = min(room, self._options.file_size - written)
        return room

    def _flush(self) -> None:
        style, output = self._options.style, self._output
        if style.csv:
            end = self._options.line_end.encode()
            data = end.join(self._batch) + end
        else:
            data = self._prefix + self._chunk.format.joined(self._batch) + b";\n"
        if self._file is None:
            self._file = self._open()
            data = self._header() + data
        before = self._file.size
        self._file.write(data)
        self.size += self._file.size - before
        self.rows += len(self._batch)
        output.metrics.count_rows(len(self._batch))
        self._batch, self._pending = [], 0
        if self._options.file_size and self._file.size >= self._options.file_size:
            self._close()

    def _open(self) -> DataFile:
        options, chunk = self._options, self._chunk
        by_rows, by_size = options.rows > 0, options.file_size > 0
        index = Index(chunk.index, len(self.files), by_rows, by_size)
        name = options.names.render("data", chunk.table.schema, chunk.table.name, str(index))
        file = DataFile(self._output, f"{name}.{'csv' if options.style.csv else 'sql'}")
        self.files.append(file.name)
        return file

    def _header(self) -> bytes:
        options = self._options
        if not options.style.csv:
            return HEADER
        if options.no_header:
            return b""
        quote = options.style.delimiter
        names = [quote + column.name + quote for column in self._chunk.format.columns]
        return (options.style.separator.join(names) + options.line_end).encode()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


def write_chunk(session: Session, chunk: Chunk, writer: ChunkWriter, options: Options) -> None:
    """One attempt at a chunk. An empty one makes no file."""
    for batch in chunk.format.read(session.connection, chunk.sql(options)):
        writer.add(batch)
    writer.finish()
