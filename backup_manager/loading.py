"""Loading without the garbage collector: what is loaded stays, and looking at it takes time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def begin() -> None:
    """Put the collector off, for what is loaded at the start."""
    gc.disable()


def end() -> None:
    """Let it work, if it was put off; at what is there by now it never looks."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


@contextmanager
def paused() -> Iterator[None]:
    """Put it off for a block that loads much."""
    works = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if works:
            gc.enable()
