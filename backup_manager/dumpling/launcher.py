"""Becomes Dumpling, so that Dumpling dies with the backup manager.

Run as ``python -I -S launcher.py PARENT_PID STATUS_FD PROGRAM ARGS...``; uses the standard
library alone. The parent-death signal has to be asked for in the child itself (prctl(2)), and
code of ours between fork and exec (``preexec_fn``) is not safe beside threads. STATUS_FD gets the
word ``EXECS`` right before the exec, which closes it, and after a failure its ``errno``.
"""

import ctypes
import errno
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
FAILED = 127
EXECS = b"exec "
# Group and others have no business with the rows on the volume.
UMASK = 0o077


def _reset_signals() -> None:
    # What we ignore (Python: SIGPIPE) or block would stay so across exec.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            continue  # the C library keeps some real-time signals to itself
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _die_with(parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    # The parent may have died before the signal was asked for.
    if os.getppid() != parent:
        raise ProcessLookupError(errno.ESRCH, "the parent is gone")


def main(arguments: list[str]) -> int:
    """Exec the program; only a failure returns, with the exit code."""
    parent, status = int(arguments[0]), int(arguments[1])
    program = arguments[2:]
    try:
        _die_with(parent)
        _reset_signals()
        os.umask(UMASK)
        os.chdir("/")
        os.set_inheritable(status, False)
        os.write(status, EXECS)
        os.execv(program[0], program)  # noqa: S606 - that is what this is for
    except OSError as error:
        os.write(status, str(error.errno or 0).encode())
    return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
