"""One backup to be tortured: a fresh volume and prefix, the proxies, and runs of one command."""

import subprocess
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.command import END_SECONDS, Export, Result
from tests.s3_proxy import Request
from tests.scoped import Scoped
from tests.servers import Ceph, Database, wait_until
from tests.torture import confirmed
from tests.torture.confirmed import Confirmed
from tests.torture.events import VolumeEvents
from tests.torture.points import Point, Scenario
from tests.torture.proxies import StrikingDatabase, StrikingStore
from tests.torture.shapes import ACCOUNT, Shape
from tests.torture.strangers import Strangers, under
from tests.torture.striker import Striker

_RUN_SECONDS = 120
_DRAIN_SECONDS = 30
_STEPS = {
    "connecting to the database": "connecting",
    "trying the store": "trying the store",
    "beginning a backup": "beginning",
    "dumping": "dumping",
    "going on with a finished dump": "taking up",
    "sending the rest": "sending the rest",
    "asking the store what it holds": "asking the store",
    "published; clearing the volume": "clearing",
}


@dataclass(frozen=True)
class Ground:
    """The servers and the bucket that a worker's scenes play on; the database is its alone."""

    database: Database
    store: Ceph
    bucket: str


@dataclass(frozen=True)
class Struck:
    """A run that was struck, or that ended before it could be."""

    result: Result
    hit: bool
    met: str  # the event that it was struck at
    confirmed: Confirmed  # what its journal held then

    @property
    def phase(self) -> str:
        """What the program itself last said that it does."""
        said = [_STEPS[event["event"]] for event in self.result.log if event["event"] in _STEPS]
        return said[-1] if said else "starting"


class Scene(Scoped):
    """Strangers lie under the prefix from the start; leaving removes all that is in the bucket."""

    def __init__(self, ground: Ground, shape: Shape, directory: Path) -> None:
        self.ground = ground
        self.shape = shape
        self.volume = directory / "volume"
        self.volume.mkdir(parents=True)
        self.fetched = directory / "fetched"
        self.prefix = f"torture/{uuid.uuid4().hex[:12]}"
        self.client = ground.store.client()
        self.gc_row = ground.database.gc_row()
        self.striker = Striker()
        self._accepted_before = 0
        self._stack = ExitStack()

    def start(self) -> None:
        enter = self._stack.enter_context
        ground = self.ground
        self._stack.callback(self._clear)
        self.strangers = Strangers.plant(self.client, ground.bucket, self.prefix)
        self.store = enter(StrikingStore(ground.store, self.striker, late=self.shape.late))
        self.database = enter(StrikingDatabase(ground.database, self.striker))
        enter(VolumeEvents(self.volume, self.striker))
        self.export = Export.of(
            ground.database,
            ground.store,
            ground.bucket,
            self.volume,
            host=self.database.host,
            port=self.database.port,
            user=ACCOUNT,
            endpoint=self.store.url,
            provider="ceph",
            prefix=self.prefix,
            **self.shape.settings,
            environment=self.shape.environment,
        )

    def stop(self) -> None:
        self._stack.close()

    def _clear(self) -> None:
        bucket = self.ground.bucket
        objects, uploads = under(self.client, bucket, self.prefix)
        for upload, key in uploads.items():
            self.client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        for key in objects:
            self.client.delete_object(Bucket=bucket, Key=key)

    def run(self) -> Result:
        """Run the command undisturbed, to its end."""
        self.striker.aim(None)
        self._accepted_before = len(self.store.accepted)
        with self.export.start() as running:
            self.striker.target(running)
            return running.result(_RUN_SECONDS)

    @property
    def accepted(self) -> list[Request]:
        """The requests that the store has carried out since the undisturbed run began."""
        return self.store.accepted[self._accepted_before :]

    def strike(self, point: Point, scenario: Scenario) -> Struck:
        """Run the command until it is struck, and wait until nothing of it is under way."""
        striker = self.striker
        striker.aim(point, scenario.signal)
        with self.export.start() as running:
            striker.target(running)
            wait_until(
                lambda: striker.struck.is_set() or running.ended,
                seconds=_RUN_SECONDS,
                what=f"{scenario}: neither struck nor ended",
            )
            if striker.struck.is_set():
                # Not longer than the contract lets it live.
                try:
                    running.process.wait(END_SECONDS)
                except subprocess.TimeoutExpired:
                    raise AssertionError(
                        f"alive {END_SECONDS} s after {scenario.signal.name} at {striker.met}:\n"
                        + "\n".join(str(event) for event in running.log[-20:])
                    ) from None
            code = running.process.wait()
            hit = striker.struck.is_set() and (not striker.kills or code == -scenario.signal)
            if hit and striker.kills:
                running.kill()  # it is dead: this only says that it has no summary
            result = running.result(_RUN_SECONDS)
        self._drain()
        return Struck(result, hit, striker.met, confirmed.read(self.volume))

    def _drain(self) -> None:
        """Wait for the servers, so that nothing of a killed run comes after it."""
        self.store.drain()
        sql = f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '{ACCOUNT}'"
        wait_until(
            lambda: self.ground.database.execute(sql) == [(0,)],
            seconds=_DRAIN_SECONDS,
            what="the database's connections are closed",
        )
