"""A MariaDB of our own on loopback: plain, or dressed as TiDB."""

import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import pymysql

from .certificates import Certificates
from .ports import free_port
from .process import Process, run
from .sql import GC_COMMENT, GC_NAME, GC_VALUE, Database, quoted

TIDB_VERSION = "8.0.11-TiDB-v8.5.1"

_CREATE_GC_TABLE = """
CREATE TABLE mysql.tidb (
    VARIABLE_NAME VARCHAR(64) NOT NULL PRIMARY KEY,
    VARIABLE_VALUE VARCHAR(1024),
    COMMENT VARCHAR(1024)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
"""

# Socket paths end at 107 bytes (unix(7)); a test's directory can be deeper than that.
_LONGEST_SOCKET = 107

# The server's answers that show it at work, whatever was done to root's account.
_ACCESS_DENIED = {1045, 1698, 3159}

# Data directories just installed by this process: the first that is left serves as a template.
_pristine: list[Path] = []
_pristine_lock = threading.Lock()


def _as_root() -> list[str]:
    # mariadbd refuses to be root unless told; and one that changed its user would outlive us.
    return ["--user=root"] if os.geteuid() == 0 else []


def _install(data: Path) -> None:
    with _pristine_lock:
        templates = [each for each in _pristine if (each / "mysql").is_dir()]
        if not templates:
            target = data.with_name("pristine")
            shutil.rmtree(target, ignore_errors=True)
            run(
                [
                    "mariadb-install-db",
                    "--no-defaults",
                    *_as_root(),
                    f"--datadir={target}",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    "--skip-name-resolve",
                    "--innodb-log-file-size=4M",
                    "--innodb-flush-log-at-trx-commit=0",
                    "--skip-innodb-doublewrite",
                ],
                # Its temporary tables are named by its pid, which another pid namespace has too.
                env={**os.environ, "TMPDIR": str(data.parent)},
            )
            templates = [target]
        _pristine[:] = templates[:1]
        shutil.copytree(templates[0], data)


class MariaDB(Database):
    """One server under `directory`; an existing data directory there is taken up.

    With `tidb` it reports a TiDB's version, has a binary log (so SHOW MASTER STATUS has a
    position) and the GC row in mysql.tidb. `options` are further ones of mariadbd.
    """

    def __init__(
        self,
        directory: Path,
        *,
        tidb: bool = True,
        tls: Certificates | None = None,
        buffer_pool_mb: int = 256,
        options: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.host = "127.0.0.1"
        self.port = free_port()
        self.tidb = tidb
        self.tls = tls
        self.buffer_pool_mb = buffer_pool_mb
        self.options = tuple(options)
        self.socket = directory / "mariadb.sock"
        self.log = directory / "mariadb.log"
        self._data = directory / "data"
        self._process: Process | None = None
        self._socket_directory: Path | None = None

    @property
    def pid(self) -> int | None:
        """Of the running server."""
        return self._process.pid if self._process and self._process.running else None

    def start(self) -> None:
        """Start and wait until it answers; the data of an earlier start are still there."""
        if self.pid is not None:
            return
        temporary = self.directory / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        new = not self._data.exists()
        if new:
            _install(self._data)
        if len(os.fsencode(self.socket)) > _LONGEST_SOCKET:
            self._socket_directory = Path(tempfile.mkdtemp(prefix="mariadb-"))
            self.socket = self._socket_directory / "mariadb.sock"
        self._process = Process(
            ["mariadbd", "--no-defaults", *self._arguments(), f"--tmpdir={temporary}"],
            log=self.log,
        )
        try:
            self._process.wait_ready(self._answers)
            if new and self.tidb:
                self.execute(_CREATE_GC_TABLE)
                row = (GC_NAME, GC_VALUE, GC_COMMENT)
                self.execute("INSERT INTO mysql.tidb VALUES (%s, %s, %s)", row)
        except BaseException:
            self.kill()
            raise

    def _arguments(self) -> list[str]:
        arguments = [
            *_as_root(),
            f"--datadir={self._data}",
            f"--socket={self.socket}",
            f"--pid-file={self.directory / 'mariadb.pid'}",
            f"--port={self.port}",
            f"--bind-address={self.host}",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_bin",
            "--max-connections=300",
            "--max-allowed-packet=64M",
            "--local-infile=ON",
            "--performance-schema=OFF",
            f"--innodb-buffer-pool-size={self.buffer_pool_mb}M",
            "--innodb-log-file-size=64M",
            # Data outlive the server's death, not the machine's: that is enough for a test.
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-innodb-doublewrite",
            "--innodb-buffer-pool-dump-at-shutdown=OFF",
        ]
        if self.tidb:
            arguments += [f"--version={TIDB_VERSION}", "--log-bin=binlog", "--sync-binlog=0"]
        if self.tls is not None:
            arguments += [
                f"--ssl-ca={self.tls.ca_file}",
                f"--ssl-cert={self.tls.certificate}",
                f"--ssl-key={self.tls.key}",
            ]
        return [*arguments, *self.options]

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.err.OperationalError as error:
            return error.args[0] in _ACCESS_DENIED
        return True

    def stop(self) -> None:
        """SIGTERM, and after 10 s SIGKILL."""
        if self._process is not None:
            self._process.stop(grace=10)
        self._forget()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
        self._forget()

    def _forget(self) -> None:
        self._process = None
        if self._socket_directory is not None:
            shutil.rmtree(self._socket_directory)
            self._socket_directory = None
            self.socket = self.directory / "mariadb.sock"

    def restart(self) -> None:
        """Stop and start on the same port, with the same data."""
        self.stop()
        self.start()

    def _client_address(self) -> list[str]:
        return ["--protocol=socket", f"--socket={self.socket}"]

    def checksum_tables(self, schema: str) -> dict[str, int | None]:
        checksums = {}
        for table in self.tables(schema):
            ((_, checksum),) = self.execute(f"CHECKSUM TABLE {quoted(schema)}.{quoted(table)}")
            checksums[table] = checksum
        return checksums
