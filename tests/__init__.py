"""The tests; servers/ starts the real servers that they use."""

import sys
from pathlib import Path

if "pytest" in sys.modules:  # not the demo, nor a double that is a process of its own
    # An assertion that fails in a helper says what it compared.
    _modules = [f"{__name__}.{path.stem}" for path in Path(__file__).parent.iterdir()]
    sys.modules["pytest"].register_assert_rewrite(*_modules)
