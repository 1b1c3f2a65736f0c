"""The settings of what is done with backups once they are there."""

from backup_manager import values
from backup_manager.definitions.definition import Definition

RETENTION = (
    Definition(
        "max-reserved-time",
        "Remove backups that are older than this, such as 72h. It decides where --max-backups is "
        "given too, which then only says how many of the newest stay, however old they are.",
        values.reserved_seconds,
        metavar="DURATION",
    ),
    Definition(
        "max-backups",
        "Keep so many of the newest backups that are whole in the store, and remove what is older; "
        "0 is no limit.",
        values.backups_kept,
        metavar="NUMBER",
    ),
    Definition(
        "incomplete-after",
        "Remove what was never published only when nothing has been written to it for so long.",
        values.reserved_seconds,
        "168h",
        metavar="DURATION",
    ),
)
OF_SCHEDULE = (
    Definition("schedule", "Look only at the backups of this schedule.", metavar="NAME"),
)
TABLES = (
    Definition(
        "tables",
        "Rule of what to fetch, such as 'shop.*' or '!shop.tmp_*', as --table-filter of export has "
        "them; may be repeated. Without one: everything.",
        repeated=True,
        metavar="RULE",
    ),
)
