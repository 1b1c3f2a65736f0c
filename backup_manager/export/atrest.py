"""How a run's objects lie in the store: one backup has one class, one encryption, one lock."""

import hashlib

from backup_manager.canonical import canonical
from backup_manager.catalog.archive import distrust_archive
from backup_manager.catalog.layout import Layout
from backup_manager.export.job import Job
from backup_manager.store.client import Store
from backup_manager.store.multipart import Multipart, abort_begun
from backup_manager.store.settings import StoreOptions
from backup_manager.volume.runs import Run

FACT = "at_rest"


def at_rest(options: StoreOptions) -> str:
    """Return a digest of all that decides how an object lies in the store."""
    encryption, retention = options.encryption, options.retention
    key = encryption.customer_key
    said = {
        "storage_class": options.storage_class,
        "acl": options.acl,
        "sse": [encryption.algorithm, encryption.kms_key_id, encryption.kms_context],
        "customer_key": hashlib.sha256(key).hexdigest() if key else None,
        "retention": [retention.mode, str(retention.seconds)] if retention else None,
        "headers": [list(pair) for pair in options.headers],
    }
    return hashlib.sha256(canonical(said)).hexdigest()


def differs(job: Job, run: Run) -> bool:
    """Tell whether this command would write objects in another way than the run has."""
    return run.journal.fact(FACT) != at_rest(job.store_options)


def send_anew(job: Job, store: Store, run: Run) -> None:
    """Let all that the run has sent be sent again in this command's way. Raises StoreError."""
    job.report.info("class, encryption or lock are others than before: all is sent anew")
    journal, layout = run.journal, Layout(run.directory)
    abort_begun(Multipart(store), journal, layout.key)
    for row in journal.files():
        journal.distrust(row.name)
        journal.forget_sent(row.name)
    distrust_archive(journal)
    journal.remember(**{FACT: at_rest(job.store_options)})


def warn_of_another_way(job: Job, run: Run) -> None:
    """Say that a run stays whose record, if there is one, this command could not read."""
    job.report.warn(
        f"{run.place.backup} stays on the volume: whether it was published can be seen only with "
        f"the encryption, class and lock of then; this does it: {run.fact('command')}"
    )
