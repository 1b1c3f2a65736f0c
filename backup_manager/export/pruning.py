"""What comes after a backup is published, if it is wanted: older ones are pruned."""

from backup_manager.catalog.catalog import Catalog
from backup_manager.errors import BackupError
from backup_manager.export.job import Job
from backup_manager.removal import prune
from backup_manager.removal.retention import Rules
from backup_manager.store.client import PATIENCE_SECONDS, Store
from backup_manager.store.reader import Reader
from backup_manager.store.retries import Patience


def prune_older(job: Job, store: Store) -> None:
    """Prune the backups of this one's schedule, or, if it has none, those of no schedule.

    Whatever goes wrong is a warning: the backup is published.
    """
    rules = prune.rules_of(job.settings, everything=False)
    if job.settings["max_backups"] == 0:
        job.report.info("--max-backups=0 is no limit")
    if rules.reserved_seconds is None and rules.most is None:
        return
    job.report.step("pruning older backups")
    store = store.patient(Patience(PATIENCE_SECONDS))
    reader = Reader(store, stop=job.stop, report=job.report)
    try:
        _prune(Catalog(store, reader, job.report, job.stop), rules)
    except BackupError as error:
        job.report.warn(f"the backup is complete, but older ones stay: {error.message}")
    finally:
        reader.end()


def _prune(catalog: Catalog, rules: Rules) -> None:
    report = catalog.report
    plan = prune.make_plan(catalog, rules)
    for decision in plan.decisions:
        report.info("remove" if decision.remove else "keep", **prune.facts_of(decision))
    if plan.caution:
        report.warn(plan.caution)
    outcome = prune.Outcome()
    prune.carry_out(catalog, plan, outcome)
    if outcome.failed:
        raise outcome.error
    report.info(prune.summed_up(outcome))
