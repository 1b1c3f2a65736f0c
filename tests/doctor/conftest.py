"""A doctor that finds everything well; each test bends one thing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import CANARY_PASSWORD, Export
from tests.doctor.examination import Doctor
from tests.s3_proxy import S3Proxy
from tests.servers import GC_COMMENT, GC_VALUE, Account, Ceph, Database, Gateway, Quirk

ACCOUNT = "doctor"
Examine = Callable[..., Doctor]


@pytest.fixture(scope="session")
def patient(tidb: Database) -> Database:
    """The database with an account that may do what the guide asks for."""
    tidb.create_account(ACCOUNT, CANARY_PASSWORD)
    return tidb


@pytest.fixture
def doctor(
    patient: Database,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    quick_double: Path,
) -> Examine:
    """Make a doctor for a bucket of its own; keyword arguments change it."""

    def build(**settings: Any) -> Doctor:
        export = Export.of(
            patient,
            ceph,
            bucket,
            volume,
            provider="ceph",
            prefix="nightly",
            user=ACCOUNT,
            dumpling=quick_double,
        )
        return Doctor(export.but(**settings), ceph, bucket)

    return build


@pytest.fixture
def proxy(ceph: Ceph) -> Iterator[S3Proxy]:
    """A proxy before Ceph that can be told to misbehave."""
    with S3Proxy(ceph.http) as running:
        yield running


@pytest.fixture
def through(ceph: Ceph, doctor: Examine) -> Iterator[Callable[..., Doctor]]:
    """Make a doctor for a store with quirks."""
    running: list[Gateway] = []

    def build(*quirks: Quirk, **settings: Any) -> Doctor:
        gateway = Gateway(ceph, Account(ceph.access_key, ceph.secret_key), quirks=quirks)
        gateway.start()
        running.append(gateway)
        return doctor(**({"endpoint": gateway.url} | settings))

    yield build
    for gateway in running:
        gateway.stop()


@pytest.fixture(autouse=True)
def gc_as_it_was(patient: Database) -> Iterator[None]:
    """After every test the GC row is as before."""
    yield
    assert (GC_VALUE, GC_COMMENT) == patient.gc_row()


@pytest.fixture
def gc_put_back(gc_as_it_was: None, patient: Database) -> Iterator[None]:
    """For a test that has changed the row and looked at it by itself."""
    yield
    row = "REPLACE INTO mysql.tidb VALUES ('tikv_gc_life_time', %s, %s)"
    patient.execute(row, (GC_VALUE, GC_COMMENT))
