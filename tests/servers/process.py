"""Children that run in the foreground, log to a file, and die with us."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

POLL_SECONDS = 0.02
TAIL_LINES = 25


# The kernel sends the parent-death signal when the *thread* that forked ends (prctl(2)), so all
# children are forked by one thread that lives as long as this process.
# A forked copy of this process does not have the thread, and needs one of its own.
@functools.cache
def _forker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="servers")


os.register_at_fork(after_in_child=_forker.cache_clear)


class ServerError(RuntimeError):
    """A server did not start, died, or a command that prepares it failed."""


def program(name: str) -> str:
    """The path of a program: beside this Python, on PATH, or where Debian keeps daemons."""
    beside = str(Path(sys.executable).parent)
    places = [beside, os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise ServerError(f"{name} is not installed: see scripts/install-packages")
    return found


def missing(*names: str) -> list[str]:
    """Those of the programs that are not installed, for a test that wants to skip."""
    absent = []
    for name in names:
        try:
            program(name)
        except ServerError:
            absent.append(name)
    return absent


def run(argv: Sequence[str], *, seconds: float = 60, env: Mapping[str, str] | None = None) -> str:
    """Run a short command to its end and return its standard output."""
    done = subprocess.run(
        [program(argv[0]), *argv[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds,
        env=env,
        check=False,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode != 0:
        text = "\n".join((done.stdout + done.stderr).splitlines()[-TAIL_LINES:])
        raise ServerError(f"{argv[0]} ended with {done.returncode}:\n{text}")
    return done.stdout


def wait_until(ready: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Poll until `ready()` holds, or raise after that many seconds."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise ServerError(f"{what}: not so after {seconds:g} s")
        time.sleep(POLL_SECONDS)


class Process:
    """One child in a process group of its own; its output goes to the end of `log`."""

    def __init__(
        self, argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = Path(argv[0]).name
        self.log = log
        # setpriv (util-linux) arms the signal and becomes the program, under the same pid. The
        # kernel disarms it where the program changes its user, so none of them may.
        wrapped = [program("setpriv"), "--pdeathsig", "KILL", "--", program(argv[0]), *argv[1:]]
        self._child = _forker().submit(self._fork, wrapped, env).result()

    def _fork(self, argv: list[str], env: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def tail(self) -> str:
        """The log's last lines."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def check(self) -> None:
        """Raise, with the log's tail, if it has ended."""
        if not self.running:
            raise ServerError(f"{self.name} ended with {self._child.returncode}:\n{self.tail()}")

    def wait_ready(self, ready: Callable[[], bool], *, seconds: float = 60) -> None:
        """Poll until `ready()` holds; a child that died or is late raises, with its log's tail."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"{self.name} not ready in {seconds:g} s:\n{self.tail()}")
            time.sleep(POLL_SECONDS)

    def stop(self, *, grace: float = 10) -> None:
        """SIGTERM, then after `grace` seconds SIGKILL."""
        if self.running:
            self._child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(grace)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group, unless it has ended: its id may be another's by now."""
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
            self._child.wait()
