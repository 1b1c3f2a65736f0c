"""``python -m backup_manager`` and the installed command."""

import sys

from backup_manager import signals


def main() -> None:
    """Set the signal handlers, then load the rest and run the command line."""
    stop = signals.install()
    # Imported here: boto3 and the like take half a second, and SIGTERM may come in it.
    from backup_manager.cli import run  # noqa: PLC0415 - see above

    sys.exit(run(sys.argv[1:], stop))


if __name__ == "__main__":
    main()
