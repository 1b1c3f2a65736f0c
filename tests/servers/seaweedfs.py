"""SeaweedFS: master, volume, filer and S3 gateway in one process."""

import json
import os
from pathlib import Path

from botocore import exceptions

from .ports import free_port, is_open
from .process import Process
from .s3 import S3Server

# Each of the four serves gRPC at its port + 10000 (`weed server -h`).
_GRPC = 10_000


class SeaweedFS(S3Server):
    """One server under `directory`."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory
        self._ports = {part: free_port(twin=_GRPC) for part in ("master", "volume", "filer", "s3")}
        self._ports |= {part: free_port() for part in ("s3.port.iceberg", "s3.port.lance")}
        self.http = f"http://127.0.0.1:{self._ports['s3']}"
        self._process: Process | None = None

    def start(self) -> None:
        """Start and wait until it lists its buckets."""
        if self._process is not None:
            return
        data = self.directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        accounts = self.directory / "s3.json"
        keys = {"accessKey": self.access_key, "secretKey": self.secret_key}
        owner = {"name": "owner", "credentials": [keys], "actions": ["Admin"]}
        accounts.write_text(json.dumps({"identities": [owner]}))
        ports = [
            f"-{part if 'port' in part else part + '.port'}={port}"
            for part, port in self._ports.items()
        ]
        # WEED_* are settings, and security.toml in the home directory is one more.
        own = {name: value for name, value in os.environ.items() if not name.startswith("WEED_")}
        self._process = Process(
            [
                "weed",
                "-logtostderr=true",
                "server",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                f"-dir={data}",
                "-filer",
                "-s3",
                *ports,
                f"-s3.config={accounts}",
                # Otherwise a missing bucket is made by the first upload.
                "-s3.autoCreateBucket=false",
                f"-filer.localSocket={self.directory / 'filer.sock'}",
                f"-s3.localSocket={self.directory / 's3.sock'}",
                # On by default, and reports to the internet.
                "-master.telemetry=false",
                "-master.volumeSizeLimitMB=1024",
                # A bucket takes several volumes.
                "-volume.max=200",
                "-volume.preStopSeconds=0",
            ],
            log=self.directory / "weed.log",
            env=own | {"HOME": str(self.directory), "TMPDIR": str(self.directory)},
        )
        try:
            self._process.wait_ready(self._answers)
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        if not is_open(self._ports["s3"]):
            return False
        probe = self.client(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
        try:
            probe.list_buckets()
        except (exceptions.ClientError, exceptions.ConnectionError, exceptions.HTTPClientError):
            return False
        return True

    def stop(self) -> None:
        """SIGTERM, and after 1 s SIGKILL: it would wait for streams between its own parts."""
        if self._process is not None:
            self._process.stop(grace=1)
        self._forget()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
        self._forget()

    def _forget(self) -> None:
        self._process = None
        # No flag moves these sockets (`strings` of the program); their names hold our ports.
        for part in ("master", "volume", "filer", "s3"):
            name = f"seaweedfs-{part}-grpc-{self._ports[part] + _GRPC}.sock"
            Path("/tmp", name).unlink(missing_ok=True)
