"""The real command line run in this process, which takes a twentieth of the time of one of its own.

That a process ends so too, others show.
"""

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from backup_manager import cli
from backup_manager.signals import Stop


def run_here(
    words: Sequence[str], environment: Mapping[str, str], secrets: Sequence[str] = ()
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr; no secret is in them."""
    out, err = io.StringIO(), io.StringIO()
    mask = os.umask(0o077)
    try:
        with (
            patch.dict(os.environ, environment, clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = cli.run(words, Stop())
    finally:
        os.umask(mask)
    for secret in secrets:
        assert secret not in out.getvalue() + err.getvalue()
    return code, out.getvalue(), err.getvalue()
