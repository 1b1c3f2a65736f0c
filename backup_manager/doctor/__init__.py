"""Everything that an export will need, tried for real and harmlessly, in the order of its story."""

from backup_manager.doctor import cluster, local, preparation, remote, source, writing
from backup_manager.doctor.case import Case, Check
from backup_manager.doctor.findings import CheckList, Finding, Verdict
from backup_manager.errors import BackupError, InterruptedBySignalError

# Only where a Backup object is named.
OF_CLUSTER = (
    Check("backup object", cluster.backup_object),
    Check("status", cluster.status, needs=("backup",)),
    Check("events", cluster.events, needs=("backup",)),
)
CHECKS = (
    Check("settings", preparation.settings),
    Check("dumpling", preparation.dumpling, reads=("dumpling",)),
    Check(
        "options",
        preparation.options,
        needs=("binary",),
        reads=("dumpling_option", "table_filter"),
    ),
    Check("database", source.login, needs=("source",)),
    Check("version", source.version, needs=("database",)),
    Check("privileges", source.privileges, needs=("database",)),
    Check("snapshot", source.snapshot, needs=("database",)),
    Check("gc", source.gc, needs=("database", "gc_life_time")),
    Check("leases", source.leases, needs=("database", "row")),
    Check("volume", local.write, needs=("volume",)),
    Check("lock", local.lock, needs=("writable",)),
    Check("room", local.room, needs=("volume", "there")),
    Check("leftovers", local.leftovers, needs=("volume", "there")),
    Check("credentials", remote.credentials, needs=("place",)),
    Check("bucket", remote.bucket, needs=("probing",)),
    Check("clock", remote.clock, needs=("probing",)),
    Check("versioning", remote.versioning, needs=("listed",)),
    Check("object lock", remote.object_lock, needs=("listed",)),
    Check("write", writing.write, needs=("listed",)),
    Check("read", writing.read, needs=("written",)),
    Check("conditions", writing.conditions, needs=("written",)),
    Check("delete", writing.delete, needs=("written",)),
    Check("multipart", writing.multipart, needs=("written",)),
)


def checks_of(case: Case) -> tuple[Check, ...]:
    """Return the checks that a command line asks for, in their order."""
    named = case.backup or case.object_trouble
    return (*OF_CLUSTER, *CHECKS) if named else CHECKS


def examine(case: Case, checklist: CheckList) -> None:
    """Do every check that can be done, and print what each found; leave nothing behind.

    Raises the BackupError of the first that failed, so that its exit code is the command's.
    """
    told: list[tuple[str, Finding]] = []
    with case.closing:
        try:
            for check in checks_of(case):
                _examine(case, check, checklist, told)
        except BaseException:
            # What is cleared away now is not cut short by the signal that ended it all.
            case.stop.begin_end()
            raise
    warnings = [
        f"{title}: {finding.seen}" + (f". To do: {finding.fix}" if finding.fix else "")
        for title, finding in told
        if finding.verdict is Verdict.WARNING
    ]
    case.report.summary.warnings += warnings
    failed = [(title, finding.error) for title, finding in told if finding.error]
    if failed:
        raise _first(failed)
    warned = f", {len(warnings)} with a warning" if warnings else ""
    case.report.succeed(f"{len(checks_of(case))} checks, none failed{warned}")


def _examine(
    case: Case, check: Check, checklist: CheckList, told: list[tuple[str, Finding]]
) -> None:
    def tell(finding: Finding) -> None:
        checklist.tell(check.title, finding)
        told.append((check.title, finding))

    case.stop.check()
    if lack := check.lacks(case):
        tell(Finding.skipped(f"not tried: {lack}"))
        return
    try:
        for finding in check.run(case):
            tell(finding)
    except InterruptedBySignalError:
        raise
    except BackupError as error:
        case.stop.check()
        tell(Finding.of(error))


def _first(failed: list[tuple[str, BackupError]]) -> BackupError:
    """Return the first failure, as one that speaks for them all."""
    title, error = failed[0]
    titles = dict.fromkeys(name for name, _ in failed)
    if len(titles) == 1:
        what = f"the check {title} failed"
    else:
        what = f"{len(titles)} checks failed ({', '.join(titles)}), the first"
    # The row of the table of exit codes: what stands below it is made in ways of its own.
    kinds: list[type[BackupError]] = type(error).mro()
    row = next(kind for kind in kinds if BackupError in kind.__bases__)
    return row(f"{what}: {error.what}", why=error.why, fix=error.fix, reason=error.reason)
