"""SIGTERM and SIGINT, sent to real processes; none of these tests waits for a time to pass."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from backup_manager import signals
from backup_manager.errors import ExitCode, InterruptedBySignalError
from backup_manager.signals import Stop

BEGIN = """
import os, signal, socket, sys, threading, time
from backup_manager import signals
from backup_manager.bounded import bounded
from backup_manager.errors import InterruptedBySignalError
stop = signals.install()
def say(text):
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()
say("ready")
"""
# The last resort comes at once.
AT_ONCE = "signals.LAST_RESORT_SECONDS = 0\n"
LISTEN = "listening = socket.create_server(('127.0.0.1', 0))\n"
END = """
try:
    {}
except InterruptedBySignalError as error:
    sys.exit(int(error.exit_code))
"""


@contextmanager
def process(script: str, before: Sequence[str] = ()) -> Iterator["subprocess.Popen[str]"]:
    """Run a script that has installed the handlers, until it has said so."""
    with subprocess.Popen(
        [*before, sys.executable, "-c", BEGIN + script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as child:
        try:
            hears(child, "ready")
            yield child
        finally:
            child.kill()


def hears(child: "subprocess.Popen[str]", word: str) -> None:
    assert child.stdout
    assert word == child.stdout.readline().strip()


def ends(child: "subprocess.Popen[str]") -> tuple[int, str]:
    """Its exit code and what it wrote to stderr; 60 s only end a test that would fail anyway."""
    _, errors = child.communicate(timeout=60)
    return child.returncode, errors


# In every kind of wait ---------------------------------------------------------------------

BLOCKED = {
    "sleep": "time.sleep(1000)",
    "accept": LISTEN + "listening.accept()",
    "lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "join": "t = threading.Thread(target=time.sleep, args=(1000,)); t.start(); t.join()",
    "busy": "while True: pass",
}


@pytest.mark.parametrize("blocked", BLOCKED.values(), ids=BLOCKED)
def test_the_last_resort_ends_what_cannot_be_interrupted(blocked: str) -> None:
    with process(AT_ONCE + "say('blocked')\n" + blocked) as child:
        hears(child, "blocked")
        child.terminate()
        assert (143, "") == ends(child)


@pytest.mark.parametrize(
    "waiting",
    [
        "stop.wait(1000)",
        "bounded(stop, lambda: time.sleep(1000))",
        "bounded(stop, socket.create_server(('127.0.0.1', 0)).accept, seconds=1000)",
    ],
)
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_whatever_waits_by_the_rules_ends_in_order(waiting: str, signum: int, code: int) -> None:
    with process(END.format(f"say('waiting'); {waiting}")) as child:
        hears(child, "waiting")
        child.send_signal(signum)
        assert (code, "") == ends(child)


def test_the_signal_is_seen_while_the_main_thread_is_blocked() -> None:
    script = "threading.Thread(target=lambda: (stop._event.wait(), say('seen'))).start()\n"
    with process(script + LISTEN + "listening.accept()") as child:
        child.terminate()
        hears(child, "seen")
        assert child.poll() is None


# The last resort ---------------------------------------------------------------------------


def test_the_last_resort_has_the_last_word() -> None:
    script = """
def last_resort(error):
    say(f"last {error.exit_code}")
    return 0
stop.last_resort = last_resort
time.sleep(1000)
"""
    with process(AT_ONCE + script) as child:
        child.terminate()
        hears(child, "last 143")
        assert (0, "") == ends(child)


def test_a_last_resort_that_fails() -> None:
    script = "stop.last_resort = lambda error: 1 / 0\ntime.sleep(1000)"
    with process(AT_ONCE + script) as child:
        child.terminate()
        code, _ = ends(child)
        assert 143 == code


def test_a_last_resort_whose_words_nobody_takes() -> None:
    """A pipe that is full, as a terminal that is held by Ctrl-S, blocks whoever writes."""
    script = """
reader, writer = os.pipe()
def words(error):
    say("blocked")
    os.write(writer, bytes(1 << 22))
stop.last_resort = words
time.sleep(1000)
"""
    with process("signals.LAST_WORDS_SECONDS = 0.1\n" + AT_ONCE + script) as child:
        child.terminate()
        hears(child, "blocked")
        assert (143, "") == ends(child)


def test_the_last_resort_waits_for_the_orderly_end() -> None:
    with process(END.format("say('waiting'); stop.wait(1000)") + "\n") as child:
        hears(child, "waiting")
        child.terminate()
        assert (143, "") == ends(child)
    assert signals.ORDERLY_SECONDS < signals.LAST_RESORT_SECONDS
    assert signals.LAST_RESORT_SECONDS + signals.LAST_WORDS_SECONDS < 25


# Which signal ------------------------------------------------------------------------------


def test_the_first_signal_counts() -> None:
    script = "stop._event.wait(); say('seen'); sys.stdin.read(); print(stop.error.what)"
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as child:
        hears(child, "ready")
        child.terminate()
        hears(child, "seen")
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=60)
    assert "stopped by SIGTERM\n" == out


def test_sigint_that_the_parent_ignores_stays_ignored() -> None:
    ignoring = ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    with process(END.format("say('waiting'); stop.wait(1000)"), ignoring) as child:
        hears(child, "waiting")
        child.send_signal(signal.SIGINT)
        child.terminate()
        # Had it counted, it would have been the first: the lower number is delivered first.
        assert (143, "") == ends(child)


def test_sigterm_that_the_parent_ignores_counts() -> None:
    ignoring = ["/bin/sh", "-c", 'trap "" TERM; exec "$@"', "sh"]
    with process(END.format("say('waiting'); stop.wait(1000)"), ignoring) as child:
        hears(child, "waiting")
        child.terminate()
        assert (143, "") == ends(child)


def test_a_storm_of_signals() -> None:
    storm = "for _ in range(70_000): os.kill(os.getpid(), signal.SIGTERM)\n"
    with process(storm + END.format("stop.wait(1000)")) as child:
        assert (143, "") == ends(child)


# As PID 1 ----------------------------------------------------------------------------------


def namespace() -> list[str]:
    """The command that runs another as PID 1 of a namespace of its own."""
    unshare = shutil.which("unshare")
    for more in ([], ["--user", "--map-root-user"]):
        argv = [unshare or "unshare", *more, "--pid", "--fork", "--kill-child"]
        if (
            unshare
            and subprocess.run([*argv, "true"], check=False, capture_output=True).returncode == 0
        ):
            return argv
    pytest.skip("no PID namespace is to be had")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    "script",
    [
        END.format("say(str(os.getpid())); stop.wait(1000)"),
        AT_ONCE + "say(str(os.getpid())); time.sleep(1000)",
    ],
    ids=["orderly", "last resort"],
)
def test_as_pid_1(script: str, signum: int, code: int) -> None:
    with process(script, namespace()) as outer:
        hears(outer, "1")
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        os.kill(int(children[0]), signum)
        assert (code, "") == ends(outer)


# Early -------------------------------------------------------------------------------------


def test_the_handlers_stand_before_heavy_imports() -> None:
    script = "import backup_manager.__main__, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, encoding="utf-8"
    )
    loaded = set(done.stdout.split())
    assert "backup_manager.signals" in loaded
    assert set() == loaded & {"boto3", "botocore", "click", "structlog", "pymysql", "urllib3"}


def test_a_signal_while_the_rest_is_loaded() -> None:
    script = """
os.kill(os.getpid(), signal.SIGTERM)
stop._event.wait()
from backup_manager.cli import run
sys.exit(run(["export", "--bucket=abc"], stop))
"""
    with process(script) as child:
        out, _ = child.communicate(timeout=60)
    facts = json.loads(out.splitlines()[-1])
    assert (143, "Terminated", 143) == (child.returncode, facts["reason"], facts["exit_code"])


def test_a_signal_before_python_itself_is_there() -> None:
    """PID 1 would lose it, but for the entrypoint, which blocks it till the handler stands."""
    argv = ["env", "--block-signal=TERM", "sh", "-c", 'kill -TERM $$; exec "$@"', "sh"]
    command = [sys.executable, "-m", "backup_manager", "export", "--bucket=abc"]
    with subprocess.Popen(
        [*namespace(), *argv, *command], stdout=subprocess.PIPE, encoding="utf-8"
    ) as child:
        out, _ = child.communicate(timeout=60)
    facts = json.loads(out.splitlines()[-1])
    assert (143, "Terminated") == (child.returncode, facts["reason"])


# Stop itself -------------------------------------------------------------------------------


def test_a_stop_that_was_not_asked_for() -> None:
    stop = Stop()
    stop.check()
    stop.wait(0)
    assert (False, 7.0) == (stop.requested, stop.seconds_left(7.0))


@pytest.mark.parametrize(
    ("signum", "code", "reason"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED, "Interrupted"),
        (signal.SIGTERM, ExitCode.TERMINATED, "Terminated"),
    ],
)
def test_a_stop_that_was(signum: int, code: ExitCode, reason: str) -> None:
    stop = Stop()
    stop.request(signum)
    for call in (stop.check, lambda: stop.wait(1000)):
        with pytest.raises(InterruptedBySignalError) as caught:
            call()
        assert (code, reason) == (caught.value.exit_code, caught.value.reason)
    assert 0 < stop.seconds_left(1000) <= signals.ORDERLY_SECONDS
    assert 3.0 == stop.seconds_left(3.0)


def test_no_time_is_left_after_the_orderly_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "ORDERLY_SECONDS", -1.0)
    stop = Stop()
    stop.request(signal.SIGTERM)
    assert 0.0 == stop.seconds_left(5.0)
