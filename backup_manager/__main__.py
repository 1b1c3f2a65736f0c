"""``python -m backup_manager`` and the installed command."""

import os
import sys

from backup_manager import loading, signals


def main() -> None:
    """Set the signal handlers, then load the rest and run the command line."""
    _fill_standard_streams()
    stop = signals.install()
    loading.begin()
    # Imported here: boto3 and the like take half a second, and SIGTERM may come in it.
    from backup_manager.cli import run  # noqa: PLC0415 - see above

    code = run(sys.argv[1:], stop)
    # The summary has been given: neither a late signal nor a log that nobody takes changes it.
    signals.ignore()
    _settle_stderr()
    sys.exit(code)


def _settle_stderr() -> None:
    if sys.stderr is None:
        return  # it was closed from the beginning
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        # Python flushes once more at its end, and would turn a failure into exit code 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _fill_standard_streams() -> None:
    """Open /dev/null for each stream that was closed, or the next file would take its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it takes the lowest number that is free


if __name__ == "__main__":
    main()
