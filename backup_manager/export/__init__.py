"""The story of one backup, from top to bottom."""

from backup_manager.export import protection, steps
from backup_manager.export.job import Job
from backup_manager.export.pruning import prune_older
from backup_manager.export.takeup import (
    clear,
    earlier_runs,
    hold_identity,
    make_room,
    published,
)


def export(job: Job) -> None:
    """Make one backup; the report's summary tells of it.

    Whatever goes wrong, the GC life time is put back and an unfinished dump is undone in the store;
    a finished one is taken up by the next run. Raises BackupError.
    """
    steps.check_volume(job)
    with hold_identity(job) as lock, earlier_runs(job) as earlier:
        taken = earlier.taken
        if not taken:
            job.check_new()
        job = job if taken else job.unlocked()
        database = None if taken else steps.connect(job)
        store = steps.reach_store(job)
        make_room(job, earlier.dead)
        with (
            steps.running(job, store, database, taken) as run,
            steps.sending(job, store, run, lock) as beside,
        ):
            if database is None:
                protection.give_back_leases(job, earlier)
                clear(job, store, earlier)
            else:
                with database:
                    with protection.gc_held_off(job, database, run, earlier) as lease:
                        clear(job, store, earlier)
                        pinned = protection.take_snapshot(job, database, lease)
                        end = steps.dump(job, run, beside, pinned, lease)
                        protection.look_back(job, database, pinned, lease)
                    steps.finish_dump(job, run, database, beside, end)
            if not published(store, run):
                steps.send_rest(job, run, beside)
                steps.publish(job, run, store, beside, lock)
            steps.succeed(job, run)
    # Published and let go of: nothing from here on can make it a failure.
    prune_older(job, store)
