"""One Ceph for all workers of a test run: the process that started them has it.

Each cluster takes a twentieth of a core even when nobody asks it anything. It is started when the
first worker asks for it, and goes with the process that has it, however that ends.
"""

import secrets
import shutil
import tempfile
import threading
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from tests.scoped import Scoped
from tests.servers import Ceph, ServerError

Where = tuple[str, int, str]


class CephForAll(Scoped):
    """In the process that has the workers; `where` is what they need to know."""

    def __init__(self) -> None:
        key = secrets.token_bytes(16)
        self._listener = Listener(("127.0.0.1", 0), authkey=key)
        host, port = self._listener.address
        self.where: Where = (str(host), int(port), key.hex())
        self._directory = Path(tempfile.mkdtemp(prefix="ceph-"))
        self._ceph: Ceph | None = None
        self._starting = threading.Lock()
        self._stopped = False

    def start(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while not self._stopped:
            # One that was killed may have left a connection half made.
            with suppress(OSError, EOFError), self._listener.accept() as worker:
                self._tell(worker)

    def _tell(self, worker: "Connection[Any, Any]") -> None:
        try:
            worker.send(self._started())
        except ServerError as error:
            worker.send(error)

    def _started(self) -> Ceph:
        with self._starting:
            if self._stopped:
                raise ServerError("the test run is ending")
            if self._ceph is None:
                ceph = Ceph(self._directory)
                ceph.start()
                self._ceph = ceph
            return self._ceph

    def stop(self) -> None:
        with self._starting:
            self._stopped = True
            if self._ceph:
                self._ceph.stop()
        self._listener.close()
        shutil.rmtree(self._directory, ignore_errors=True)


def ceph_of_all(where: Where) -> Ceph:
    """In a worker: the Ceph that all use. Raises ServerError where it could not be started."""
    host, port, key = where
    with Client((host, port), authkey=bytes.fromhex(key)) as owner:
        answer = owner.recv()
    if isinstance(answer, ServerError):
        raise answer
    assert isinstance(answer, Ceph)
    return answer
