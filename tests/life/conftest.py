"""A shelf of one's own for each test."""

import pytest

from tests.life.backups import Shelf
from tests.life.commands import Life
from tests.servers import Ceph


@pytest.fixture
def shelf(ceph: Ceph, bucket: str) -> Shelf:
    """A new bucket in Ceph, and a prefix in it."""
    return Shelf(ceph, bucket)


@pytest.fixture
def life(shelf: Shelf) -> Life:
    """The commands for it."""
    return Life(shelf)
