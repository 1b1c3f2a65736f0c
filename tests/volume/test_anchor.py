"""A directory that another took the place of, or none."""

from pathlib import Path

import pytest

from backup_manager.errors import VolumeError
from backup_manager.volume.anchor import Anchor
from tests.disks import tmpfs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


def test_one_that_stays(root: Path) -> None:
    anchor = Anchor(root)
    (root / "file").touch()
    anchor.check()
    anchor.close()
    anchor.close()


def test_one_that_is_gone(root: Path) -> None:
    anchor = Anchor(root)
    root.rmdir()
    with pytest.raises(VolumeError, match=r"no longer what it was: No such file.*went away"):
        anchor.check()


def test_another_in_its_place(root: Path) -> None:
    anchor = Anchor(root)
    root.rmdir()
    # Held open, its number is not given to the next.
    root.mkdir()
    with pytest.raises(VolumeError, match="no longer what it was: the volume was unmounted, or"):
        anchor.check()


def test_a_file_system_mounted_over_it(root: Path) -> None:
    anchor = Anchor(root)
    with tmpfs(root, "size=64k"), pytest.raises(VolumeError, match="unmounted"):
        anchor.check()
    anchor.check()


def test_none_from_the_beginning(root: Path) -> None:
    with pytest.raises(VolumeError, match="cannot be opened"):
        Anchor(root / "gone")
