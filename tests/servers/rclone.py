"""`rclone serve s3` over a directory: objects are its files, buckets its folders."""

import os
from pathlib import Path

from .ports import free_port, is_open
from .process import Process
from .s3 import S3Server


class Rclone(S3Server):
    """One server under `directory`; objects are in `directory`/data."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory
        self.data = directory / "data"
        self._port = free_port()
        self.http = f"http://127.0.0.1:{self._port}"
        self._process: Process | None = None

    def start(self) -> None:
        """Start and wait until the port is open."""
        if self._process is not None:
            return
        self.data.mkdir(parents=True, exist_ok=True)
        # Every flag of rclone has a variable too.
        own = {name: value for name, value in os.environ.items() if not name.startswith("RCLONE_")}
        self._process = Process(
            [
                "rclone",
                "serve",
                "s3",
                f"--addr=127.0.0.1:{self._port}",
                f"--auth-key={self.access_key},{self.secret_key}",
                "--config=",
                f"--cache-dir={self.directory / 'cache'}",
                str(self.data),
            ],
            log=self.directory / "rclone.log",
            env=own,
        )
        try:
            self._process.wait_ready(lambda: is_open(self._port))
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """SIGTERM, and after 3 s SIGKILL."""
        if self._process is not None:
            self._process.stop(grace=3)
        self._process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
        self._process = None
