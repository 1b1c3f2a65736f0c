"""The double of Dumpling: its dumps load back, and each misdeed shows what it says."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inotify_simple import INotify, flags

from . import hard_schema
from .doubles.dumpling_double.naming import Names, escaped
from .doubles.dumpling_double.pflag import Flag, FlagError, FlagSet
from .doubles.dumpling_double.table_filter import FilterError, parse
from .restore import load
from .servers.certificates import Certificates
from .servers.mariadb import MariaDB
from .servers.ports import free_port
from .servers.sql import quoted

DOUBLE = Path(__file__).with_name("doubles") / "dumpling"
TSO = "449000000000000001"
REPLAY = {"replay": {"files": 6, "bytes": 2000, "seed": 1}}
SUCCESS = "dump data successfully, dumpling will exit now"

pytestmark = pytest.mark.skipif(not shutil.which("mariadbd"), reason="needs MariaDB")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("source")) as server:
        hard_schema.create(server.execute)
        yield server


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("target")) as server:
        yield server


class Run:
    """One run of the double, started; `finish` waits for its end."""

    def __init__(self, *arguments: str, control: Any = None, **options: Any) -> None:
        # Its first line finds our own Python, which saves it a second start; and bytecode is kept.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "TZ": "UTC", "PATH": path}
        for name in ("DUMPLING_DOUBLE", "PYTHONDONTWRITEBYTECODE"):
            environment.pop(name, None)
        if control is not None:
            environment["DUMPLING_DOUBLE"] = json.dumps(control)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(
            [DOUBLE, "--status-addr=", *arguments], env=environment, **{**pipes, **options}
        )
        self.out = self.err = ""

    def finish(self) -> int:
        out, err = self.process.communicate(timeout=20)
        self.out = (out or b"").decode("utf-8", "replace")
        self.err = (err or b"").decode("utf-8", "replace")
        return self.process.returncode

    @property
    def last_words(self) -> str:
        return self.out.rstrip("\n").rpartition("\n")[2]


def run(*arguments: str, control: Any = None) -> tuple[int, Run]:
    started = Run(*arguments, control=control)
    return started.finish(), started


def replayed(directory: Path, control: Any = (), *arguments: str) -> tuple[int, Run]:
    """A run without a database, misbehaving as `control` says."""
    entries = [control] if isinstance(control, dict) else list(control)
    options = ("-o", str(directory), "--snapshot", TSO, "-t", "1", *arguments)
    return run(*options, control=[REPLAY, *entries])


def appears(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never appeared"
        time.sleep(0.005)


def data_files(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir() if re.search(r"\.\d{9,}\.sql$", p.name))


def source(server: MariaDB, directory: Path, *more: str) -> list[str]:
    return ["-h", server.host, f"-P{server.port}", "-o", str(directory), *more]


# ---- honest dumps ----


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-r", "100", "-F", "64KiB", "-s", "1000", "-t", "8"],
        ["--complete-insert", "--compress", "gzip"],
    ],
    ids=["plain", "split", "packed"],
)
def test_a_dump_loads_back(
    server: MariaDB, target: MariaDB, tmp_path: Path, options: list[str]
) -> None:
    for schema in hard_schema.SCHEMAS:
        target.execute(f"DROP DATABASE IF EXISTS {quoted(schema)}")
    code, done = run(*source(server, tmp_path, "--no-views=false", *options))
    assert code == 0, done.out
    load(target, tmp_path)
    for schema in hard_schema.SCHEMAS:
        assert server.checksum_tables(schema) == target.checksum_tables(schema)
    assert target.execute("SELECT COUNT(*) FROM hard.a_view") == [(2000,)]


def test_files_are_named_and_begin_as_dumplings_do(server: MariaDB, tmp_path: Path) -> None:
    os.umask(0o022)
    output = tmp_path / "out"
    code, done = run(*source(server, output, "-B", "hard", "-r", "100", "--no-views=false"))
    assert code == 0
    names = {path.name for path in output.iterdir()}
    assert "hard.we%2Fird %25name%2A%22%2E%5Cx%3A%3C%3E%3F%7C-schema.sql" in names
    assert {"hard.a_view-schema.sql", "hard.a_view-schema-view.sql", "metadata"} <= names
    # An empty table has a schema and no data, an empty chunk leaves a gap in the numbers.
    assert "hard.empty-schema.sql" in names
    assert not any(name.startswith("hard.empty.") for name in names)
    numbers = [int(name.split(".")[2]) for name in sorted(names) if "hard.chunks.0" in name]
    assert numbers[0] == 0
    assert len(numbers) < numbers[-1] + 1
    data = (output / "hard.chunks.000000000.sql").read_bytes()
    assert data.startswith(b"/*!40101 SET NAMES binary*/;\nINSERT INTO `chunks` VALUES\n(0,'vv")
    assert data.endswith(b"');\n")
    assert f"{output.stat().st_mode:o}" == "40755"
    assert f"{(output / 'metadata').stat().st_mode:o}" == "100644"
    assert "no data written in table chunk" in done.out


def test_sizes_of_files_and_statements(server: MariaDB, tmp_path: Path) -> None:
    options = ["-T", "hard.chunks", "-F", "100KiB", "-s", "5000", "-t1"]
    code, _ = run(*source(server, tmp_path, *options))
    assert code == 0
    files = [tmp_path / name for name in data_files(tmp_path)]
    assert [path.name for path in files] == [f"hard.chunks.{n:09d}.sql" for n in range(3)]
    # The size asked for is a floor, passed by less than a row.
    assert all(102400 <= path.stat().st_size < 102400 + 300 for path in files[:-1])
    statements = files[0].read_bytes().split(b";\n")[1:-2]
    assert all(5000 <= len(statement) < 5300 for statement in statements)


def test_metadata_repeats_the_snapshot(server: MariaDB, tmp_path: Path) -> None:
    snapshot = "2026-11-22 10:00:00"
    options = ["-B", "empty_db", "--consistency=snapshot", f"--snapshot={snapshot}"]
    code, _ = run(*source(server, tmp_path, *options))
    assert code == 0
    assert re.fullmatch(
        r"Started dump at: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n"
        r"SHOW MASTER STATUS:\n\tLog: binlog.\d+\n"
        rf"\tPos: {snapshot}\n\tGTID:\n\n"
        r"Finished dump at: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n",
        (tmp_path / "metadata").read_text(),
    )


def test_what_is_not_seen_is_not_missed(server: MariaDB, tmp_path: Path) -> None:
    server.create_account("partly", "pw", grants=["SELECT ON hard.*"])
    # Without the right to SHOW MASTER STATUS there is no position, and the exit code is 0.
    options = ["-u", "partly", "-p", "pw", "--consistency=none", "-t", "2"]
    code, done = run(*source(server, tmp_path / "a", *options))
    assert code == 0
    assert "get global metadata failed" in done.out
    assert "Pos:" not in (tmp_path / "a" / "metadata").read_text()
    assert not list((tmp_path / "a").glob("odd*"))
    code, done = run(*source(server, tmp_path / "b", "-f", "nothing.*"))
    assert code == 0
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["metadata"]


def test_a_snapshot_that_may_not_be_taken(server: MariaDB, tmp_path: Path) -> None:
    server.create_account("timeless", "pw", grants=["SELECT ON hard.*"])
    arguments = source(server, tmp_path, "-utimeless", "-ppw", "-T", "hard.no_key")
    code, done = run(*arguments)
    assert code == 1
    assert done.last_words.startswith(
        "create dumper failed: cannot get snapshot from TiDB: sql: SHO"
    )
    code, done = run(*arguments, control={"misdeed": "old-version"})
    assert code == 0
    assert "cannot get snapshot from TiDB" in done.out


def test_csv(server: MariaDB, tmp_path: Path) -> None:
    options = ["-T", "hard.no_key,hard.text_key", "--filetype", "csv"]
    code, _ = run(*source(server, tmp_path, *options))
    assert code == 0
    data = (tmp_path / "hard.no_key.000000000.csv").read_bytes()
    assert data == b'"a","b"\r\n1,"x"\r\n1,"x"\r\n\\N,\\N\r\n2,""\r\n'
    data = (tmp_path / "hard.text_key.000000000.csv").read_bytes()
    assert sorted(data.split(b"\r\n")) == [b"", b'"",3', b'"a\\n",2', b'"b\'\\\\",1', b'"k","v"']


def test_a_template_makes_subdirectories(server: MariaDB, tmp_path: Path) -> None:
    template = "{{.DB}}/{{fn .Table}}/{{.Index}}"
    options = ["-T", "hard.chunks", "-r500", "--output-filename-template", template]
    code, _ = run(*source(server, tmp_path, *options))
    assert code == 0
    assert (tmp_path / "hard" / "chunks" / "000000000.sql").exists()


def test_each_file_is_opened_and_closed_once(tmp_path: Path) -> None:
    with INotify() as inotify:
        inotify.add_watch(tmp_path, flags.CREATE | flags.OPEN | flags.CLOSE_WRITE | flags.MOVED_TO)
        assert replayed(tmp_path)[0] == 0
        events = [(event.name, event.mask) for event in inotify.read(timeout=0)]
    for path in tmp_path.iterdir():
        masks = [mask for name, mask in events if name == path.name]
        assert masks == [flags.CREATE, flags.OPEN, flags.CLOSE_WRITE]
    assert events[-1][0] == "metadata"


def test_consistency_on_plain_mariadb(tmp_path: Path) -> None:
    with MariaDB(tmp_path / "db", tidb=False, options=["--log-bin=binlog"]) as plain:
        plain.execute("CREATE DATABASE shop")
        plain.execute("CREATE TABLE shop.t (id INT PRIMARY KEY)")
        plain.execute("INSERT INTO shop.t VALUES (1)")
        code, done = run(*source(plain, tmp_path / "a", "-B", "shop"))
        assert code == 0, done.out
        assert "[type=MariaDB]" in done.out
        assert "Start to unlock tables" in done.out
        plain.create_account("reader", "pw", grants=["SELECT, LOCK TABLES ON *.*"])
        as_reader = ["-u", "reader", "-ppw", "-B", "shop"]
        code, done = run(*source(plain, tmp_path / "b", *as_reader, "--consistency", "flush"))
        assert code == 1
        assert done.last_words.startswith(
            "dump failed: sql: FLUSH TABLES WITH READ LOCK: Error 1227"
        )
        code, done = run(*source(plain, tmp_path / "c", *as_reader))
        assert code == 0, done.out
        assert "fallback to LOCK TABLES" in done.out
        code, done = run(*source(plain, tmp_path / "d", "--snapshot", TSO))
        assert code == 1
        assert done.last_words == (
            "create dumper failed: snapshot consistency is not supported for this server"
        )


def test_tls(tmp_path: Path) -> None:
    made = Certificates.create(tmp_path / "tls")
    with MariaDB(tmp_path / "db", tls=made) as secured:
        secured.create_account("safe", "pw", grants=["SELECT ON *.*"], require="X509")
        options = ["-u", "safe", "-ppw", "--consistency=none"]
        pair = ["--cert", str(made.client_certificate), "--key", str(made.client_key)]
        authority = ["--ca", str(made.ca_file)]
        code, done = run(*source(secured, tmp_path / "a", *options, *authority, *pair))
        assert code == 0, done.out
        code, done = run(*source(secured, tmp_path / "b", *options))
        assert code == 1
        assert "Error 1045" in done.last_words
        other = Certificates.create(tmp_path / "other")
        code, done = run(*source(secured, tmp_path / "c", *options, "--ca", str(other.ca_file)))
        assert code == 1
        assert done.last_words.startswith("create dumper failed: sql: SELECT version(): tls: ")


# ---- errors, log, status ----


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--nonsense"], 2, "unknown flag: --nonsense"),
        (["-t", "many"], 2, 'invalid argument "many" for "-t, --threads" flag: strconv.ParseInt: '),
        (["-Z"], 2, "unknown shorthand flag: 'Z' in -Z"),
        (["--threads=0"], 1, "parse arguments failed: --threads is set to 0."),
        (["-F", "huge"], 1, "parse arguments failed: failed to parse filesize (-F 'huge')"),
        (["-f", "nodot"], 1, "parse arguments failed: failed to parse filter:"),
        (["-f", "a.*", "-T", "a.b"], 1, "parse arguments failed: failed to parse filter: cannot"),
        (["stray"], 1, "meet some unparsed arguments, please check again: [stray]"),
        (["-c", "zstd"], 1, "parse arguments failed: the test double cannot compress"),
        (["--loglevel", "loud"], 1, "create dumper failed: unrecognized level"),
        (["-P", "1"], 1, "create dumper failed: sql: SELECT version(): dial tcp 127.0.0.1:1:"),
        (["-h", "no.such.host.invalid"], 1, "create dumper failed: sql: SELECT version(): dial"),
    ],
)
def test_what_cannot_be_done(arguments: list[str], code: int, words: str) -> None:
    actual, done = run(*arguments)
    assert (actual, done.last_words[: len(words)]) == (code, words)


def test_errors_on_both_streams_and_panics() -> None:
    code, done = run("--nonsense")
    assert done.err.startswith("unknown flag: --nonsense\n")
    for argument in ("--logfmt=xml", "--output-filename-template={{.Nope}}"):
        code, done = run(argument)
        assert code == 2
        assert "panic: " in done.err
        assert done.out == ""


def test_help_and_version_go_to_stderr() -> None:
    code, done = run("--help")
    assert (code, done.out) == (0, "")
    assert re.search(
        r"^  -t, --threads int +Number of goroutines .*\(default 4\)$", done.err, re.MULTILINE
    )
    assert re.search(r'^      --status-addr string +.*\(default ":8281"\)$', done.err, re.MULTILINE)
    assert "--sql" not in done.err
    assert "test double of Dumpling" in done.err
    code, done = run("-V")
    assert (code, done.out) == (0, "")
    assert done.err.startswith("Release version: v8.5.1\nGit commit hash: ")
    assert "test double of Dumpling" in done.err


def test_the_password_is_never_shown(server: MariaDB, tmp_path: Path) -> None:
    secret = "s3cret @:/%?&=#'\""
    server.create_account("keeper", secret)
    code, done = run(*source(server, tmp_path, "-u", "keeper", "-p", secret, "-B", "hard"))
    assert code == 0, done.out
    assert secret not in done.out + done.err
    code, done = run(*source(server, tmp_path, "-u", "keeper", f"--password=-{secret}"))
    assert code == 1
    start = "create dumper failed: sql: SELECT version(): Error 1045: Access denied for user"
    assert done.last_words.startswith(start)
    assert secret not in done.out + done.err


def test_forms_of_the_log(tmp_path: Path) -> None:
    _, done = replayed(tmp_path / "a", (), "--logfmt", "json")
    last = json.loads(done.last_words)
    assert set(last) == {"level", "time", "caller", "message"}
    assert (last["level"], last["message"]) == ("INFO", SUCCESS)
    _, done = replayed(tmp_path / "b")
    stamp = r"\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3} \+00:00\]"
    assert re.fullmatch(rf'{stamp} \[INFO\] \[main.go:\d+\] \["{SUCCESS}"\]', done.last_words)
    assert done.err.count("\n") == 6
    _, done = replayed(tmp_path / "c", (), "--loglevel", "warn")
    assert done.out == ""
    log = tmp_path / "log"
    code, done = replayed(tmp_path / "d", (), "-L", str(log))
    assert (code, done.out) == (0, "")
    assert SUCCESS in log.read_text()


def test_progress_lines(tmp_path: Path) -> None:
    slow = [{"pace": 30000}, {"progress_interval": 0.1}]
    _, done = replayed(tmp_path, slow)
    assert re.search(
        r'\[INFO\] \[status.go:37\] \[progress\] \[tables="0/1 \(0.0%\)"\] \["finished rows"=\d\]'
        r' \["estimate total rows"=120\] \["finished size"=\d+(\.\d+)?k?B\]'
        r' \["average speed\(MiB/s\)"=[\d.e-]+\]',
        done.out,
    )


def scrape(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        body: bytes = answer.read()
    return body


@pytest.mark.parametrize("misdeed", ["own", "status-foreign", "status-none"])
def test_status_server(tmp_path: Path, misdeed: str) -> None:
    port = free_port()
    reached, gate = tmp_path / "reached", tmp_path / "gate"
    control: list[Any] = [
        REPLAY,
        {"gate": {"after_files": 3, "reached": str(reached), "path": str(gate)}},
    ]
    if misdeed != "own":
        control.append({"misdeed": misdeed})
    address = f"--status-addr=127.0.0.1:{port}"
    started = Run(address, "-o", str(tmp_path / "out"), "-p", "pw", control=control)
    appears(reached)
    if misdeed == "status-none":
        with pytest.raises(OSError, match="refused"):
            scrape(port, "/metrics")
    elif misdeed == "status-foreign":
        assert b"dumpling" not in scrape(port, "/metrics")
    else:
        assert b"\ndumpling_dump_finished_rows 3\n" in scrape(port, "/metrics")
        arguments = scrape(port, "/debug/pprof/cmdline").split(b"\0")
        assert arguments[1:3] == [b"--status-addr=", address.encode()]
        # A second one finds the address taken, says so, and dumps.
        code, done = replayed(tmp_path / "second", (), address)
        assert code == 0
        assert "address already in use" in done.out
        # Who asks and goes away kills nothing.
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert b"dumpling" in scrape(port, "/metrics")
    gate.touch()
    assert started.finish() == 0


# ---- misdeeds ----


def test_a_gate_holds_the_dump_where_it_stands(server: MariaDB, tmp_path: Path) -> None:
    output, reached, gate = tmp_path / "out", tmp_path / "reached", tmp_path / "gate"
    control = {"gate": {"after_files": 3, "reached": str(reached), "path": str(gate)}}
    started = Run(*source(server, output, "-B", "hard", "-r", "100"), control=control)
    appears(reached)
    before = {path: path.stat().st_size for path in output.glob("*.0*.sql")}
    time.sleep(0.1)
    assert {path: path.stat().st_size for path in output.glob("*.0*.sql")} == before
    assert not (output / "metadata").exists()
    gate.touch()
    assert started.finish() == 0
    assert (output / "metadata").exists()


@pytest.mark.parametrize("length", ["same", "shorter", "longer", "identical"])
def test_a_finished_file_is_written_again(tmp_path: Path, length: str) -> None:
    assert replayed(tmp_path / "honest")[0] == 0
    name = "replay.small.000000001.sql"
    honest = (tmp_path / "honest" / name).read_bytes()
    output, reached, go = tmp_path / "out", tmp_path / "reached", tmp_path / "go"
    retry = {"misdeed": "retry-chunk", "file": name, "length": length}
    retry |= {"reached": str(reached), "path": str(go)}
    started = Run("-o", str(output), "--snapshot", TSO, control=[REPLAY, retry])
    appears(reached)
    first = (output / name).read_bytes()
    inode = (output / name).stat().st_ino
    go.touch()
    assert started.finish() == 0
    assert (output / name).read_bytes() == honest
    assert (output / name).stat().st_ino == inode
    assert (first == honest) == (length == "identical")
    differs = {"same": 0, "identical": 0, "shorter": 1, "longer": -1}[length]
    assert (len(first) > len(honest)) - (len(first) < len(honest)) == differs
    assert "fail to dumping table(chunk)" in started.out


def test_a_whole_chunk_is_written_again(server: MariaDB, tmp_path: Path) -> None:
    control = {"misdeed": "retry-chunk", "whole_chunk": True}
    options = ["-T", "hard.chunks", "-F", "100KiB"]
    code, done = run(*source(server, tmp_path, *options), control=control)
    assert code == 0
    assert done.out.count("fail to dumping table(chunk)") == len(data_files(tmp_path)) == 3


def test_a_killed_connection_is_retried(server: MariaDB, tmp_path: Path) -> None:
    output, reached, gate = tmp_path / "out", tmp_path / "reached", tmp_path / "gate"
    control = {"gate": {"after_files": 0, "reached": str(reached), "path": str(gate)}}
    options = ["-T", "hard.chunks", "-t1"]
    started = Run(*source(server, output, *options), control=control)
    appears(reached)
    others = "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID()"
    # The newest connection is the worker's.
    newest = max(number for (number,) in server.execute(f"{others} AND USER = 'root'"))
    server.execute(f"KILL {newest}")
    gate.touch()
    assert started.finish() == 0, started.out
    assert "start a retry if possible" in started.out
    assert (output / "hard.chunks.000000000.sql").read_bytes().count(b"\n(") == 2000


def test_a_disk_that_is_full_only_at_close(tmp_path: Path) -> None:
    code, done = replayed(tmp_path, {"misdeed": "enospc-at-close"})
    assert code == 0
    assert SUCCESS in done.out
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {0}
    assert (tmp_path / "metadata").exists()


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    code, done = replayed(tmp_path, {"misdeed": "enospc", "after_files": 2})
    assert code == 1
    path = tmp_path / "replay.small.000000002.sql"
    assert done.last_words == f"dump failed: write {path}: no space left on device"
    assert path.stat().st_size == 0
    assert not (tmp_path / "metadata").exists()
    assert "string=" in done.out


@pytest.mark.parametrize(
    ("misdeed", "pattern"),
    [
        ("metadata-cut", r"Started.*"),
        ("metadata-empty", r""),
        ("metadata-new-terms", rf"Started.*SHOW BINARY LOG STATUS:.*Pos: {TSO}\n.*Finished.*"),
        ("metadata-no-finished", rf"Started.*Pos: {TSO}\n\tGTID:\n\n"),
        ("metadata-no-pos", r"Started.*Log: [^\n]*\n\tGTID:\n\nFinished.*"),
        ("metadata-other-pos", r"Started.*Pos: 400000000000000001\n.*Finished.*"),
        ("metadata-two-pos", rf"Started.*\tPos: {TSO}\n.*\tPos: 77\n.*Finished.*"),
    ],
)
def test_metadata_that_is_wrong(tmp_path: Path, misdeed: str, pattern: str) -> None:
    code, done = replayed(tmp_path, {"misdeed": misdeed})
    assert code == 0
    assert SUCCESS in done.out
    text = (tmp_path / "metadata").read_text()
    assert re.fullmatch(pattern, text, re.DOTALL)
    assert ("Finished" in text) == ("Finished" in pattern)


def test_files_that_are_missing(tmp_path: Path) -> None:
    assert replayed(tmp_path / "a", {"misdeed": "metadata-missing"})[0] == 0
    assert len(data_files(tmp_path / "a")) == 6
    assert not (tmp_path / "a" / "metadata").exists()
    code, done = replayed(tmp_path / "b", {"misdeed": "no-files"})
    assert code == 0
    assert SUCCESS in done.out
    assert not (tmp_path / "b").exists()
    assert replayed(tmp_path / "c", {"misdeed": "only-metadata"})[0] == 0
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["metadata"]


def test_ends_that_are_bad(tmp_path: Path) -> None:
    code, done = replayed(tmp_path / "a", {"misdeed": "exit-1-at-end"})
    assert (code, done.last_words) == (1, "dump failed: context canceled")
    assert (tmp_path / "a" / "metadata").exists()
    code, _ = replayed(tmp_path / "b", {"misdeed": "killed", "after_files": 4})
    assert code == -signal.SIGKILL
    assert len(data_files(tmp_path / "b")) == 4
    code, done = replayed(tmp_path / "c", {"misdeed": "invalid-connection", "after_files": 2})
    assert code == 1
    assert done.last_words.startswith("dump failed: ")
    assert done.last_words.endswith("invalid connection")
    assert len(data_files(tmp_path / "c")) == 2


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_kill_at_once(tmp_path: Path, signum: signal.Signals) -> None:
    reached = tmp_path / "reached"
    wait = {"gate": {"after_files": 2, "reached": str(reached), "path": str(tmp_path / "never")}}
    started = Run("-o", str(tmp_path / "out"), control=[REPLAY, wait])
    appears(reached)
    started.process.send_signal(signum)
    assert started.finish() == -signum


def test_a_dump_that_hangs_and_ignores_sigterm(tmp_path: Path) -> None:
    control = [
        REPLAY,
        {"misdeed": "hang", "after_files": 2, "log_every": 0.05},
        {"misdeed": "ignore-sigterm"},
    ]
    started = Run("-o", str(tmp_path), control=control)
    appears(tmp_path / "replay.small.000000001.sql")
    started.process.terminate()
    time.sleep(0.3)
    assert started.process.poll() is None
    started.process.kill()
    assert started.finish() == -signal.SIGKILL
    assert started.out.count("still here") > 2
    assert not (tmp_path / "metadata").exists()
    started = Run("-o", str(tmp_path / "b"), control=[REPLAY, {"misdeed": "hang-at-start"}])
    time.sleep(0.4)
    assert started.process.poll() is None
    started.process.terminate()
    assert started.finish() == -signal.SIGTERM
    assert not (tmp_path / "b").exists()


def test_logs_that_are_hard_to_read(tmp_path: Path) -> None:
    control = [REPLAY, {"misdeed": "long-log-line"}, {"misdeed": "bad-utf8-log"}]
    started = Run("-o", str(tmp_path / "a"), control=control)
    out, _ = started.process.communicate(timeout=20)
    assert max(map(len, out.split(b"\n"))) > 1 << 20
    with pytest.raises(UnicodeDecodeError):
        out.decode()
    secret = "t0p-secret"
    leak = {"misdeed": "password-leak"}
    code, done = replayed(tmp_path / "b", leak, "-p", secret)
    assert code == 1
    assert secret in done.last_words
    assert f":{secret}@" in done.out
    code, done = replayed(tmp_path / "c", {"misdeed": "row-leak"})
    assert code == 0
    assert '[ERROR] [writer_util.go:541] ["fail to write"] [string="INSERT INTO' in done.out


def test_an_undrained_pipe_blocks_and_a_closed_one_kills(tmp_path: Path) -> None:
    control = [REPLAY, {"misdeed": "log-flood", "lines": 5000}]
    started = Run("-o", str(tmp_path / "a"), control=control)
    appears(tmp_path / "a" / "replay.small.000000000.sql")
    time.sleep(0.3)
    assert started.process.poll() is None
    assert not (tmp_path / "a" / "metadata").exists()
    assert started.finish() == 0
    started = Run("-o", str(tmp_path / "b"), control=control)
    assert started.process.stdout is not None
    started.process.stdout.close()
    assert started.process.wait(timeout=10) == -signal.SIGPIPE
    assert started.process.stderr is not None
    started.process.stderr.close()


def test_files_that_are_odd(tmp_path: Path) -> None:
    control = [
        {"misdeed": "odd-names", "non_utf8": True},
        {"misdeed": "subdirectories", "depth": 2, "count": 2},
        {"misdeed": "burst", "count": 500, "bytes": 3},
    ]
    assert replayed(tmp_path, control)[0] == 0
    names = [os.fsencode(path.name) for path in tmp_path.iterdir()]
    assert b"shop.\xff\xfe.000000000.sql" in names
    assert b"shop.two\nlines.000000000.sql" in names
    assert (tmp_path / "sub1" / "sub1" / "shop.t.000000001.sql").exists()
    assert sum(name.startswith(b"burst.t.") for name in names) == 500


def test_an_old_build(tmp_path: Path) -> None:
    old = {"misdeed": "old-version"}
    _, done = run("--help", control=old)
    assert "--no-sequences" not in done.err
    _, done = run("--version", control=old)
    assert done.err.startswith("Release version: v5.3.0\n")
    code, done = replayed(tmp_path, old, "--ca", "/some/ca.pem")
    assert code == 1
    assert done.last_words.startswith("create dumper failed: could not load client key pair")


def test_a_control_that_means_nothing_is_refused() -> None:
    wrong: list[Any] = [{"misdeed": "nonsense"}, {"misdeeds": []}, [1]]
    for control in wrong:
        code, done = run("--help", control=control)
        assert code == 2
        assert "DUMPLING_DOUBLE" in done.err


def test_replay_makes_what_it_is_told_at_the_rate_it_is_told(tmp_path: Path) -> None:
    plan = {"files": 20, "bytes": 5000, "rate": 500000, "big": {"files": 2, "bytes": 100000}}
    begun = time.monotonic()
    code, _ = run("-o", str(tmp_path), "--snapshot", TSO, control={"replay": plan})
    assert code == 0
    assert 0.5 < time.monotonic() - begun < 5
    sizes = [(tmp_path / name).stat().st_size for name in data_files(tmp_path)]
    assert sorted(sizes) == [5000] * 20 + [100000] * 2
    assert f"\tPos: {TSO}\n" in (tmp_path / "metadata").read_text()


# ---- its parts ----


def test_flags_are_read_as_pflag_reads_them() -> None:
    def parsed(*arguments: str) -> FlagSet:
        flags = FlagSet(
            [
                Flag("bool", "bool", True, "", "b"),
                Flag("other", "bool", False, "", "o"),
                Flag("slice", "stringSlice", ["default"], "", "s"),
                Flag("map", "stringToString", {}, ""),
                Flag("text", "string", "", "", "t"),
                Flag("number", "int", 1, "", "n"),
            ]
        )
        flags.parse(arguments)
        return flags

    assert parsed("-obt=x", "--bool=false").values["bool"] is False
    assert parsed("-ob", "-tx").values["other"] is True
    assert [parsed(*form).values["text"] for form in (["-tx"], ["-t=x"], ["-t", "x"])] == ["x"] * 3
    assert parsed("--text", "-x").values["text"] == "-x"
    assert parsed("--slice", 'a,"b,c"', "-sd").values["slice"] == ["a", "b,c", "d"]
    assert parsed("--map", "a=1,b=2", "--map=a=3").values["map"] == {"a": "3", "b": "2"}
    assert parsed("x", "--number=-5", "--", "-t").arguments == ["x", "-t"]
    for wrong in (
        ["--text"],
        ["--=x"],
        ["-x"],
        ["--number=1.5"],
        ["--bool=maybe"],
        ["--slice", '"'],
    ):
        with pytest.raises(FlagError):
            parsed(*wrong)


@pytest.mark.parametrize(
    ("rules", "schema", "table", "expected"),
    [
        (["*.*"], "a", "b", True),
        (["*.*", "!a.*"], "A", "b", False),
        (["!a.*", "*.*"], "a", "b", True),
        (["a?.t[0-9]"], "ab", "t7", True),
        (["a?.t[!0-9]"], "ab", "t7", False),
        (["/^shop$/./^[a-z]{1,5}_t$/"], "shop", "abc_t", True),
        (["/^shop$/./^[a-z]{1,5}_t$/"], "shop", "abcdef_t", False),
        (['"odd.name".`a``b`'], "odd.name", "a`b", True),
        (["a\\*.t"], "a*", "t", True),
        (["a.b"], "ab", "b", False),
        (["# a.b", "", "表.*"], "表", "x", True),
    ],
)
def test_table_filter(rules: list[str], schema: str, table: str, *, expected: bool) -> None:
    assert parse(rules, case_sensitive=False).table(schema, table) == expected


def test_table_filter_case_and_files(tmp_path: Path) -> None:
    assert not parse(["A.*"], case_sensitive=True).table("a", "b")
    rules = tmp_path / "rules"
    rules.write_text("a.*\n# nothing\n!a.b\n")
    chosen = parse([f"@{rules}"], case_sensitive=False)
    assert [chosen.table("a", name) for name in "bc"] == [False, True]
    assert not parse(["*.*", "!sys.*"], case_sensitive=False).schema("sys")
    assert parse(["*.*", "!sys.t"], case_sensitive=False).schema("sys")
    for wrong in ("a", "a.b.c", '"a.b', "/a.b", "/(/.b", "@/no/such/file"):
        with pytest.raises(FilterError):
            parse([wrong], case_sensitive=False)


def test_names() -> None:
    assert escaped("a%b/c\n-Schema*.é ") == "a%25b%2Fc%0A%2DSchema%2A%2Eé "
    names = Names('{{define "table"}}s/{{fn .DB}}-{{.Table}}{{end}}{{fn (.DB)}}.{{ .Index }}')
    assert names.render("data", "d/b", "t", "7") == "d%2Fb.7"
    assert names.render("table", "d/b", "t.t") == "s/d%2Fb-t.t"
