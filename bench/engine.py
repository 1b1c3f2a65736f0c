"""The product's upload engine alone, over files that are there already, for `bench.upload`.

`python -m bench.engine ENDPOINT BUCKET PREFIX DIRECTORY`; the journal is made beside DIRECTORY.
"""

import sys
from pathlib import Path

from backup_manager.report import Report
from backup_manager.signals import Stop
from backup_manager.store.client import Store
from backup_manager.store.settings import StoreSettings
from backup_manager.store.upload import Uploader
from backup_manager.volume.directory import scan
from backup_manager.volume.journal import Journal

# As the main thread of an export looks after its workers.
_TICK_SECONDS = 0.1


def main(endpoint: str, bucket: str, prefix: str, root: Path) -> None:
    report, stop = Report(level="warning"), Stop()
    settings = StoreSettings("ceph", endpoint, None, bucket, prefix)
    store = Store(settings, report=report, stop=stop)
    journal = Journal(root.with_suffix(f".{prefix}.sqlite"), create=True)
    uploader = Uploader(store, journal, root=root, directory=prefix, stop=stop, report=report)
    uploader.offer(name for name, _ in scan(root))
    uploader.start()
    while not uploader.idle:
        stop.wait(_TICK_SECONDS)
        uploader.check()
        journal.tick()
    uploader.halt()
    journal.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
