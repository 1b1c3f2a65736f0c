"""Warnings of what a person may not expect: too little room, and what is not in the backup."""

from backup_manager.database import privileges, visible
from backup_manager.database.connection import Database
from backup_manager.dumpling.content import Content
from backup_manager.errors import DatabaseError
from backup_manager.export.job import Job
from backup_manager.progress import size
from backup_manager.volume import directory

_NAMED = 20  # schemas in one warning


def warn_of_room(job: Job, database: Database) -> None:
    """Warn where the data seems to be more than the volume has room for."""
    expected, free = privileges.estimate_bytes(database), directory.room(job.volume)[0]
    if lacks_room(expected, free):
        job.report.warn(
            f"the volume may be too small: about {size(expected or 0)} of data in the database, "
            f"{size(free)} free on {job.volume}"
        )


def lacks_room(expected: int | None, free: int) -> bool:
    """Tell whether the data seems to be more than there is room for, both in bytes."""
    return bool(expected and expected > free)


def warn_of_what_is_not_in_it(job: Job, database: Database, content: Content) -> None:
    """Warn of schemas that the filter leaves out, and of views and sequences that Dumpling does."""
    try:
        left_out = content.left_out(privileges.visible_schemas(database))
        if left_out:
            more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
            shown = ", ".join(left_out[:_NAMED])
            job.report.warn(f"not in this backup, by the filter: {shown}{more}")
        for kind, option in (("VIEW", "no-views"), ("SEQUENCE", "no-sequences")):
            if job.options.values.get(option, "true") == "false" or not content.names_readable:
                continue
            objects = visible.objects(database, kind)
            names = [name for schema, name in objects if schema in content.schemas]
            if names:
                job.report.warn(
                    f"{len(names)} {kind.lower()}(s) are not in this backup, as Dumpling leaves "
                    f"them out: --dumpling-option=--{option}=false dumps them"
                )
    except DatabaseError as error:
        job.report.info("what the filter left out is not known", why=error.message)
