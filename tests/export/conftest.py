"""A database with something in it, and an export of it that works; each test bends one thing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import DOUBLE, Export, find_dumpling
from tests.s3_proxy import S3Proxy
from tests.servers import GC_COMMENT, GC_VALUE, Ceph, Database

ACCOUNT = "backup"
Make = Callable[..., Export]


@pytest.fixture
def make(shop: Database, ceph: Ceph, bucket: str, volume: Path, quick_double: Path) -> Make:
    """Make an export of the shop to a bucket of its own; keyword arguments change it."""

    def build(**settings: Any) -> Export:
        defaults: dict[str, Any] = {
            "provider": "ceph",
            "prefix": "nightly",
            "table_filter": ["shop.*", "stock.*"],
        }
        if find_dumpling() == DOUBLE:
            defaults["dumpling"] = quick_double
        return Export.of(shop, ceph, bucket, volume, **defaults).but(**settings)

    return build


@pytest.fixture
def double(make: Make, quick_double: Path) -> Make:
    """The same with the double of Dumpling, told what to do: ``double({"misdeed": …}, …)``."""

    def build(*controls: dict[str, Any], **settings: Any) -> Export:
        import json  # noqa: PLC0415 - one use

        environment = dict(settings.pop("environment", None) or {})
        if controls:
            environment["DUMPLING_DOUBLE"] = json.dumps(list(controls))
        return make(dumpling=quick_double, environment=environment, **settings)

    return build


@pytest.fixture
def proxy(ceph: Ceph) -> Iterator[S3Proxy]:
    """A proxy before Ceph that can be told to misbehave."""
    with S3Proxy(ceph.http) as running:
        yield running


@pytest.fixture(autouse=True)
def gc_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test the GC row is as before, unless the test says otherwise."""
    yield
    if "shop" in request.fixturenames and "gc_left" not in request.keywords:
        server: Database = request.getfixturevalue("shop")
        found = server.gc_row()
        # Put back first: one test that fails must not fail all that follow.
        server.execute(
            "UPDATE mysql.tidb SET VARIABLE_VALUE = %s, COMMENT = %s"
            " WHERE VARIABLE_NAME = 'tikv_gc_life_time'",
            (GC_VALUE, GC_COMMENT),
        )
        assert (GC_VALUE, GC_COMMENT) == found
