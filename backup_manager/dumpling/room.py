"""Whether the volume is full: then a dump that is not whole has a simple reason."""

import os
from pathlib import Path

# Dumpling writes blocks of about 1 MB: with less room than that, one may have failed.
FULL_BYTES = 1 << 20


def is_full(directory: Path) -> bool:
    """Whether less than 1 MiB, or no inode, is free; False where it cannot be told."""
    try:
        facts = os.statvfs(directory)
    except OSError:
        return False
    if facts.f_files and not facts.f_favail:
        return True
    return facts.f_bavail * facts.f_frsize < FULL_BYTES
