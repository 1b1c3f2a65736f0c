"""The journal on a volume that refuses a write: what was not yet durable must not be built upon."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_manager.errors import Reason, VolumeError
from backup_manager.volume.directory import FileState
from backup_manager.volume.journal import Journal
from tests.disks import fill, tmpfs


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "small", "size=2m") as where:
        yield where


def test_after_a_refused_write_nothing_is_written_any_more(small: Path) -> None:
    """SQLite undoes the whole batch: the end of a dump must not be written without its files."""
    journal = Journal(small / "journal.sqlite", create=True)
    for number in range(100):
        journal.settle(f"before-{number}", FileState(number, 1, 1, 1))
    ballast = fill(small)

    def more() -> None:
        for number in range(5000):
            journal.settle(f"{number}-{'x' * 200}", FileState(number, 1, 1, 1))

    with pytest.raises(VolumeError) as caught:
        more()
    assert Reason.VOLUME_FULL == caught.value.reason
    # Room again: but what was written before is no longer there to be relied on.
    ballast.unlink()
    with pytest.raises(VolumeError):
        journal.remember(dumped="2026-11-22T10:00:00Z")
    with pytest.raises(VolumeError):
        journal.settle("after", FileState(1, 1, 1, 1))
    journal.close()

    reopened = Journal(small / "journal.sqlite")
    assert reopened.fact("dumped") is None
    reopened.close()
