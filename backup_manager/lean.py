"""structlog, imported without rich: where rich is installed, structlog imports it for tracebacks.

That is a fifth of a Job's start, and nothing here uses it: stack traces are plain text.
"""

import sys

__all__ = ["structlog"]

_RICH = "rich"
_hidden = _RICH not in sys.modules
if _hidden:
    # None makes the import fail as if it were not installed; structlog then does without.
    sys.modules[_RICH] = None  # type: ignore[assignment]  # documented in importlib's reference
try:
    import structlog
finally:
    if _hidden:
        del sys.modules[_RICH]
