import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backup_manager.dumpling import process as process_module
from backup_manager.dumpling.lines import LINE_BYTES
from backup_manager.dumpling.process import Process
from backup_manager.errors import (
    BackupError,
    DumpInvalidError,
    DumplingError,
    ProtectionError,
    Reason,
    VolumeError,
)
from backup_manager.report import Report
from tests.dumpling.helpers import alive, entries, report, script, wait_for

SECRET = "canary-s3cret-é"
OUTPUT = Path("/v/0a.backup-2026-11-22T10:00:00Z-1a2b3c4d/dump")
SHELL = "#!/bin/sh\n"
PYTHON = f"#!{sys.executable} -IS\n"


@contextmanager
def running(program: Path, *arguments: str, into: Report | None = None) -> Iterator[Process]:
    process = Process.start([str(program), *arguments], os.environ, into or report()[0], OUTPUT)
    try:
        yield process
    finally:
        process.stop(0)


def run(program: Path, *arguments: str, into: Report | None = None) -> Process:
    """Run to the end."""
    with running(program, *arguments, into=into) as process:
        wait_for(lambda: process.poll() is not None)
        process._join()
        return process


def error_of(program: Path, *arguments: str, into: Report | None = None) -> BackupError:
    process = run(program, *arguments, into=into)
    with pytest.raises(BackupError) as caught:
        process.outcome()
    return caught.value


def messages(stream: io.StringIO) -> list[str]:
    return [entry["event"] for entry in entries(stream)]


def test_success(tmp_path: Path) -> None:
    process = run(script(tmp_path / "d", SHELL + "exit 0"))
    assert 0 == process.poll()
    process.outcome()


def test_arguments_arrive_as_they_are(tmp_path: Path) -> None:
    told = ["a b", "", "é\udcff", "--x=\n", "'\"$(id)"]
    text = PYTHON + "import os, sys; print([os.fsencode(a) for a in sys.argv[1:]])"
    log, stream = report()
    with running(script(tmp_path / "d", text), *told, into=log) as process:
        wait_for(lambda: process.poll() is not None)
    assert [repr([os.fsencode(item) for item in told])] == messages(stream)


def test_the_child_begins_clean(tmp_path: Path) -> None:
    text = SHELL + "grep -E 'SigBlk|SigIgn|Umask' /proc/self/status; pwd; readlink /proc/self/fd/0"
    log, stream = report()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        process = run(script(tmp_path / "d", text), into=log)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    umask, blocked, ignored, *rest = messages(stream)
    assert ["Umask:\t0077", "/", "/dev/null"] == [umask, *rest]
    # 32 and 33 are the C library's own: whoever started us may have had them ignored for good.
    ours = ~(0b11 << 31)
    assert [0, 0] == [int(line.split()[1], 16) & ours for line in (blocked, ignored)]
    assert process.pid != os.getpgid(0)


def test_it_leads_a_group_of_its_own(tmp_path: Path) -> None:
    with running(script(tmp_path / "d", SHELL + "sleep 600")) as process:
        assert process.pid == os.getpgid(process.pid)


def test_it_is_given_only_the_environment_that_was_told(tmp_path: Path) -> None:
    log, stream = report()
    program = script(tmp_path / "d", SHELL + "env")
    process = Process.start([str(program)], {"PATH": os.environ["PATH"], "ONLY": "this"}, log)
    wait_for(lambda: process.poll() is not None)
    process.stop(0)
    lines = set(messages(stream))
    assert "ONLY=this" in lines
    assert "HOME" not in {line.partition("=")[0] for line in lines}


def test_no_descriptor_of_ours_is_open_in_it(tmp_path: Path) -> None:
    log, stream = report()
    with (tmp_path / "held").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        run(script(tmp_path / "d", SHELL + "ls -l /proc/$$/fd"), into=log)
    shown = "\n".join(messages(stream))
    assert "held" not in shown
    # Its three standard ones, and the shell's own script.
    assert 4 == len(re.findall(" -> ", shown))


def test_floods_on_both_pipes(tmp_path: Path) -> None:
    text = PYTHON + (
        "import os, threading\n"
        "def flood(fd):\n"
        "    for _ in range(200): os.write(fd, b'x' * 99 + b'\\n' + b'y' * 99 + b'\\n')\n"
        "    os.write(fd, b'z' * (1 << 20) + b'\\nlast')\n"
        "threads = [threading.Thread(target=flood, args=(fd,)) for fd in (1, 2)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
    )
    log, stream = report()
    run(script(tmp_path / "d", text), into=log).outcome()
    for name in ("stdout", "stderr"):
        lines = [entry["event"] for entry in entries(stream) if entry.get("stream") == name]
        expected = ["x" * 99, "y" * 99] * 200 + ["z" * LINE_BYTES, "last"]
        assert expected == lines


def test_invalid_utf8_is_replaced(tmp_path: Path) -> None:
    log, stream = report()
    run(script(tmp_path / "d", SHELL + r"printf 'a\377b\000c\r\n'"), into=log).outcome()
    assert ["a\ufffdb\0c"] == messages(stream)


def test_closed_pipes(tmp_path: Path) -> None:
    error = error_of(script(tmp_path / "d", SHELL + "exec >&- 2>&-; exit 3"))
    assert (DumplingError, "Dumpling ended with exit code 3") == (type(error), error.what)
    assert "no last words" in error.why


def test_a_grandchild_that_holds_the_pipes_does_not_hold_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "DRAIN_SECONDS", 0.05)
    with running(script(tmp_path / "d", SHELL + "sleep 600 & exit 4")) as process:
        wait_for(lambda: process.poll() is not None)
        try:
            with pytest.raises(DumplingError, match="exit code 4"):
                process.outcome()
        finally:
            os.killpg(process.pid, signal.SIGKILL)


LOG_LINES = r"""
{"level":"INFO","time":"t","caller":"c","message":"detect server type","type":"TiDB"}
{"level":"INFO","time":"t","caller":"c","message":"progress","finished rows":"5"}
{"level":"WARN","time":"t","caller":"c","message":"odd","self":1,"event":"e","level2":"x","time":0}
{"level":"ERROR","time":"t","caller":"c","message":"bad","error":"worse","errorVerbose":"stack"}
[2024/12/02 06:50:54.641 +00:00] [WARN] [dump.go:152] ["as text"] ["a b"=c]
plain
"""


def test_log_lines_reappear(tmp_path: Path) -> None:
    log, stream = report()
    run(script(tmp_path / "d", SHELL + f"cat <<'E'{LOG_LINES}E\n"), into=log).outcome()
    common = {"source": "dumpling"}
    expected: list[dict[str, object]] = [
        {"event": "detect server type", "level": "info", "severity": "info", "type": "TiDB"},
        {"event": "progress", "level": "debug", "severity": "info", "finished_rows": "5"},
        {"event": "odd", "level": "warning", "severity": "warn", "level2": "x"}
        | dict[str, object](dumpling_self=1, dumpling_event="e"),
        {"event": "bad", "level": "error", "severity": "error", "error": "worse"},
        {"event": "as text", "level": "warning", "severity": "warn", "a_b": "c"},
        {"event": "plain", "level": "info", "stream": "stdout"},
    ]
    logged = [{k: v for k, v in entry.items() if k != "time"} for entry in entries(stream)]
    assert [entry | common for entry in expected] == logged


def test_no_secret_and_no_row_comes_through(tmp_path: Path) -> None:
    row = "Canary5544"
    text = PYTHON + (
        "import json, sys, urllib.parse\n"
        f"s = {SECRET!r}\n"
        "print(s); print('dump failed: login with', s, urllib.parse.quote(s))\n"
        "for field in (s, json.dumps(s)):\n"
        "    print(json.dumps({'level': 'ERROR', 'message': s, 'error': field, s: 1}))\n"
        f"print(json.dumps({{'level': 'ERROR', 'message': 'writing failed', 'string': {row!r}}}))\n"
        f"print('dump failed: INSERT INTO t VALUES (1,' + {row!r}); print({row!r})\n"
        f"print('x' * {LINE_BYTES - 5} + s + 'y' * 20000)\n"
        f"print('x' * {LINE_BYTES + 8188} + s)\n"
        "sys.stdout.flush(); sys.stderr.write('panic: ' + s); sys.exit(1)\n"
    )
    log, stream = report()
    log.redact.add(SECRET)
    error = error_of(script(tmp_path / "d", text), into=log)
    shown = stream.getvalue() + error.message
    for canary in (SECRET, SECRET[:5], SECRET[-5:], "%C3%A9", row):
        assert canary not in shown
    assert "dump failed: login with ***" in error.why
    assert "panic: ***" in error.why
    assert "dump failed: INSERT INTO <hidden>" in error.why


DUMPLING = (DumplingError, Reason.DUMPLING)
FULL = (VolumeError, Reason.VOLUME_FULL)
VOLUME = (VolumeError, Reason.VOLUME)
GC_PASSED = "Error 9006: GC life time is shorter than transaction duration"


@pytest.mark.parametrize(
    ("said", "code", "expected", "told"),
    [
        ("dump failed: Unknown databases [x]", 1, DUMPLING, "--database"),
        ("create dumper failed: Error 1045: denied", 1, DUMPLING, "--user"),
        ("dump failed: connection refused", 1, DUMPLING, "not reach"),
        ("dump failed: invalid connection", 1, DUMPLING, "broke the"),
        ("unknown flag: --x", 2, DUMPLING, "dumpling --help"),
        ('invalid argument "x" for "-t"', 2, DUMPLING, "correct the"),
        ("panic: boom", 2, DUMPLING, "another version"),
        ("dump failed: Error 1227 (42000): x", 1, DUMPLING, "grant"),
        ("dump failed: no space left on device", 1, FULL, "more storage"),
        ("dump failed: open /etc/x: permission denied", 1, DUMPLING, "log lines"),
        (f"dump failed: {GC_PASSED}", 1, (ProtectionError, Reason.GC_PASSED_SNAPSHOT), "--gc-life"),
        ("dump failed: Error 3: (Errcode: 28 No space left on device)", 1, DUMPLING, "log lines"),
        ("dump failed: strange", 1, DUMPLING, "log lines"),
        ("dump failed: strange", 137, DUMPLING, "OOM killer"),
    ],
)
def test_last_words(
    said: str, code: int, expected: tuple[type, Reason], told: str, tmp_path: Path
) -> None:
    error = error_of(script(tmp_path / "d", SHELL + f"cat <<'E'\n\n{said}\nE\nexit {code}"))
    assert expected == (type(error), error.reason)
    assert said in error.why
    assert told in error.message


def test_the_last_error_stands_in_for_last_words(tmp_path: Path) -> None:
    line = '{"level":"ERROR","message":"lost","error":"it"}'
    error = error_of(script(tmp_path / "d", SHELL + f"echo '{line}'; exit 1"))
    assert "lost: it" == error.why


@pytest.mark.parametrize(
    ("said", "expected", "told"),
    [
        ("write OUT/a.sql: no space left on device", FULL, "more storage"),
        ("write OUT/a.sql: disk quota exceeded", FULL, "more storage"),
        ("open OUT/a.sql: read-only file system", VOLUME, "for writing"),
        ("open OUT/a.sql: permission denied", VOLUME, "fsGroup"),
        ("close OUT/a.sql: input/output error", VOLUME, "kernel log"),
        ("write OUT/a.sql: structure needs cleaning", VOLUME, "kernel log"),
        ("mkdir OUT: no such file or directory", VOLUME, "went away"),
        ("open OUT/a.sql: stale NFS file handle", VOLUME, "went away"),
        ("open OUT/a.sql: file name too long", DUMPLING, "log lines"),
    ],
)
def test_a_file_that_could_not_be_written_names_the_volume(
    said: str, expected: tuple[type, Reason], told: str, tmp_path: Path
) -> None:
    words = f"dump failed: {said.replace('OUT', str(OUTPUT))}"
    program = script(tmp_path / "d", SHELL + f"cat <<'E'\n\n{words}\nE\nexit 1")
    error = error_of(program)
    assert expected == (type(error), error.reason)
    assert words in error.why
    assert told in error.fix
    assert expected == DUMPLING or str(OUTPUT) in error.what


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (
            '{"level":"ERROR","message":"close file failed","error":"input/output"}',
            DumpInvalidError,
        ),
        ('{"level":"WARN","message":"fail to close file","error":"x"}', DumpInvalidError),
        ('{"level":"ERROR","message":"x","error":"no space left on device"}', VolumeError),
    ],
)
def test_exit_0_is_not_believed(line: str, kind: type, tmp_path: Path) -> None:
    assert kind is type(error_of(script(tmp_path / "d", SHELL + f"echo '{line}'")))


def test_what_it_said_is_kept(tmp_path: Path) -> None:
    lines = """
{"level":"WARN","message":"fail to dumping table(chunk), will revert","error":"x"}
{"level":"WARN","message":"fail to dumping table(chunk), will revert","error":"x"}
{"level":"INFO","message":"get global metadata failed","error":"Error 1227: denied"}
"""
    process = run(script(tmp_path / "d", SHELL + f"cat <<'E'{lines}E\n"))
    assert (2, "Error 1227: denied") == (
        process.findings.retries,
        process.findings.metadata_error,
    )
    process.outcome()


def test_words_are_bounded(tmp_path: Path) -> None:
    text = PYTHON + "for i in range(99): print(f'panic: {i}', 'x' * 5000)\nraise SystemExit(1)"
    why = error_of(script(tmp_path / "d", text)).why
    assert "panic: 98 x" in why
    assert len(why) < 10_000


def test_a_signal_is_named(tmp_path: Path) -> None:
    error = error_of(script(tmp_path / "d", SHELL + "kill -SEGV $$"))
    assert "Dumpling ended with SIGSEGV" == error.what
    error = error_of(script(tmp_path / "d", SHELL + "kill -KILL $$"))
    assert ("Dumpling ended with SIGKILL", True) == (error.what, "OOM killer" in error.why)


def test_a_report_whose_stream_is_gone_does_not_hang_it(tmp_path: Path) -> None:
    log, stream = report()
    stream.close()
    text = PYTHON + "for _ in range(3000): print('x' * 99)\nprint('panic: last'); exit(1)"
    assert "panic: last" == error_of(script(tmp_path / "d", text), into=log).why


def test_a_defect_of_the_report_does_not_hang_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: failed.set())
    log, _ = report()
    monkeypatch.setattr(log, "info", None)
    text = PYTHON + "for _ in range(3000): print('x' * 99)"
    run(script(tmp_path / "d", text), into=log).outcome()
    assert failed.is_set()


def test_stop_ends_it_by_sigterm(tmp_path: Path) -> None:
    with running(script(tmp_path / "d", SHELL + "exec sleep 600")) as process:
        process.stop(60)
        assert -signal.SIGTERM == process.poll()
        process.stop(60)


def test_stop_ends_one_that_ignores_sigterm_and_its_group(tmp_path: Path) -> None:
    text = SHELL + "trap '' TERM; sleep 600 & echo $!; wait"
    log, stream = report()
    with running(script(tmp_path / "d", text), into=log) as process:
        wait_for(lambda: bool(messages(stream)))
        process.stop(0.05)
        assert -signal.SIGKILL == process.poll()
        grandchild = int(messages(stream)[0])
        wait_for(lambda: not alive(grandchild))


def test_the_outcome_of_one_that_runs_is_a_defect(tmp_path: Path) -> None:
    with (
        running(script(tmp_path / "d", SHELL + "exec sleep 600")) as process,
        pytest.raises(RuntimeError, match="still runs"),
    ):
        process.outcome()


def test_what_cannot_be_executed(tmp_path: Path) -> None:
    not_executable = tmp_path / "plain"
    not_executable.write_text("")
    for program, told in (
        (tmp_path / "missing", "No such file"),
        (not_executable, "Permission denied"),
        (script(tmp_path / "foreign", "\x7fELF\x02\x01\x01"), "another architecture"),
        (script(tmp_path / "bad", "#!/no/such/interpreter\n"), "interpreter"),
        (tmp_path, "Permission denied"),
    ):
        with pytest.raises(DumplingError, match=told) as caught:
            run(program)
        assert Reason.DUMPLING_UNUSABLE == caught.value.reason


def test_an_exit_code_of_its_own_is_no_failed_exec(tmp_path: Path) -> None:
    error = error_of(script(tmp_path / "d", SHELL + "exit 127"))
    assert (Reason.DUMPLING, "Dumpling ended with exit code 127") == (error.reason, error.what)


def test_a_launcher_that_fails_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(DumplingError, match="its launcher failed"):
        run(script(tmp_path / "d", SHELL))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(DumplingError, match="No such file"):
        run(script(tmp_path / "d", SHELL))


def test_only_the_main_thread_may_start_it(tmp_path: Path) -> None:
    program = script(tmp_path / "d", SHELL)
    caught: list[str] = []

    def start() -> None:
        try:
            Process.start([str(program)], {}, report()[0])
        except RuntimeError as error:
            caught.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert ["Dumpling has to be started from the main thread"] == caught


PARENT = """
import sys
from backup_manager.dumpling.process import Process
from backup_manager.report import Report
process = Process.start(sys.argv[1:], {}, Report())
print(process.pid, flush=True)
sys.stdin.read()
"""


def test_it_dies_with_us(tmp_path: Path) -> None:
    program = script(tmp_path / "d", SHELL + "trap '' TERM HUP INT PIPE; while :; do :; done")
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
        parent.wait()
        wait_for(lambda: not alive(child))
