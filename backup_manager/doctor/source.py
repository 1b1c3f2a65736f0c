"""The database: login, privileges, snapshot, and who holds GC off."""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from backup_manager.canonical import timestamp
from backup_manager.database import privileges as proofs
from backup_manager.database import snapshot as snapshots
from backup_manager.database.dead_leases import remove_dead
from backup_manager.database.failures import DENIED, AnswerError, StatementError
from backup_manager.database.lease_document import (
    Change,
    Document,
    clear,
    parse,
    refuse_unreadable,
    renew,
)
from backup_manager.database.lease_row import read
from backup_manager.database.waiting import wait_for_database
from backup_manager.doctor.case import Case, the
from backup_manager.doctor.findings import Finding, Verdict
from backup_manager.dumpling.options import Options
from backup_manager.durations import format_duration
from backup_manager.errors import DatabaseError, ProtectionError, Reason
from backup_manager.export.job import unlocked
from backup_manager.export.record import flags_of
from backup_manager.export.steps import prove_privileges

# Long enough for a server that drops a line; export waits for one that starts, but a person does
# not want to.
_TRY_SECONDS = 3.0
_PAUSE_SECONDS = 1.0
# Of no run: only what a lease would make of the row is asked.
_NO_RUN = "00000000"


def login(case: Case) -> Iterator[Finding]:
    """Log in, as export does, but without its patience."""
    source = unlocked(the(case.source), case.settings, case.report, case.stop)
    patience = case.settings["connect_timeout"]
    try:
        database = wait_for_database(
            source,
            timeout=min(_TRY_SECONDS, patience),
            stop=case.stop,
            report=case.report,
            interval=_PAUSE_SECONDS,
        )
    except DatabaseError as error:
        finding = Finding.of(error)
        cause = error.__cause__
        passes = isinstance(cause, AnswerError) and cause.passing
        waits = f"; export goes on trying for {_span(patience)}" if passes else ""
        yield Finding(Verdict.FAILED, finding.seen + waits, finding.fix, error)
        return
    case.database = case.closing.enter_context(database)
    line = ", over TLS" if source.tls else ""
    by = f"the password of {case.settings.password_origin}" if source.password else "no password"
    yield Finding.ok(f"logged in to {source.address} as {database.account} with {by}{line}")


def version(case: Case) -> Iterator[Finding]:
    """Tell the server's version, and whether it is a TiDB."""
    database = the(case.database)
    if database.is_tidb:
        yield Finding.ok(database.version)
    else:
        yield Finding.ok(
            f"{database.version} is no TiDB: GC and the pinned snapshot have no meaning and are "
            "skipped"
        )


def privileges(case: Case) -> Iterator[Finding]:
    """Prove every privilege that this backup needs."""
    database = the(case.database)
    with case.report.overheard() as said:
        try:
            held_off = not case.settings["no_gc"]
            prove_privileges(database, _options(case), gc=held_off, report=case.report)
        except ProtectionError as error:
            if error.reason == Reason.PRIVILEGE:
                raise
            # None is missing: it is the row itself that something is wrong with.
            case.gc_trouble = error
        proofs.warn_of_partial_select(database, case.report)
    yield from map(Finding.said, said)
    yield Finding.ok(f"{database.account} has all that this backup needs")


def _options(case: Case) -> Options:
    """Return the options for Dumpling; the defaults where they are not known."""
    return case.dump.options if case.dump else Options(argv=(), values={})


def snapshot(case: Case) -> Iterator[Finding]:
    """Take a snapshot, which holds nothing, or look at the one that was given."""
    database, options = the(case.database), _options(case)
    if not database.is_tidb:
        yield Finding.skipped("a server that is no TiDB has none")
    elif options.pins_snapshot:
        taken = snapshots.take(database)
        moment = snapshots.tso_time(taken, datetime.now(UTC))
        yield Finding.ok(f"{taken} is taken" + (f", of {timestamp(moment)}" if moment else ""))
    elif options.snapshot:
        snapshots.check_not_collected(database, options.snapshot)
        yield Finding.ok(f"{options.snapshot} can still be read")
    else:
        yield Finding.ok(f"Dumpling sees to it by --consistency={options.consistency}")


def gc(case: Case) -> Iterator[Finding]:
    """Read the row of the GC life time, and see what a backup would make of it."""
    database = the(case.database)
    if not database.is_tidb:
        yield Finding.skipped("a server that is no TiDB has none")
        return
    if case.settings["no_gc"]:
        yield Finding.skipped("left alone for --no-gc: the life time must be long enough by itself")
        return
    try:
        row, now = case.row = read(database)
    except ProtectionError as error:
        cause = error.__cause__
        if isinstance(cause, StatementError) and cause.errno in DENIED:
            yield Finding.skipped("not tried: SELECT on mysql.tidb is missing")
            return
        raise
    if case.gc_trouble:
        raise case.gc_trouble
    refuse_unreadable(row)
    wanted = renew(row, _NO_RUN, need=the(case.gc_life_time), now=now).row.value
    if wanted == row.value:
        yield Finding.ok(f"tikv_gc_life_time is {row.value}, which is enough for a backup")
    else:
        yield Finding.ok(
            f"tikv_gc_life_time is {row.value}; a backup raises it to {wanted} while Dumpling runs"
        )


def leases(case: Case) -> Iterator[Finding]:
    """Tell who holds GC off, and find, or remove, what dead runs have left of it."""
    row, now = the(case.row)
    dead = case.dead()
    known = dead.gc_original(the(case.source).address)
    change = clear(
        row, now=now, known=Document(known, {}) if known else None, dead_ids=dead.lease_ids
    )
    document = parse(row.comment)
    held = document.leases if document else {}
    gone = {lease: end for lease, end in held.items() if end <= now or lease in dead.lease_ids}
    for lease, end in held.items():
        if lease not in gone:
            yield Finding.ok(
                f"a backup is at work, the one whose name ends with {lease}: its lease ends in "
                f"{_span(end - now)} unless it is renewed"
            )
    if change.row == row:
        if not held:
            yield Finding.ok("nobody holds GC off")
    elif case.mend:
        yield _mended(case, gone)
    else:
        yield Finding.warning(_left_behind(change, gone, now), _command(case))


def _left_behind(change: Change, gone: dict[str, int], now: int) -> str:
    value = change.found.value
    if not gone:
        return f"a dead run has left tikv_gc_life_time at {value}, and its lease was overwritten"
    each = ", ".join(
        f"{lease} (ended {_span(now - end)} ago)"
        if end <= now
        else f"{lease} (killed: nobody holds its journal on the volume)"
        for lease, end in gone.items()
    )
    many = len(gone) > 1
    whose = "leases of backups whose names end" if many else "lease of the backup whose name ends"
    text = f"dead {whose} with {each}"
    if change.row.value != value:
        text += f"; tikv_gc_life_time stays {value} for {'them' if many else 'it'}, and was "
        text += change.row.value
    return text


def _mended(case: Case, gone: dict[str, int]) -> Finding:
    dead = case.dead()
    change = remove_dead(
        the(case.database),
        dead.lease_ids,
        stop=case.stop,
        known=dead.gc_original(the(case.source).address),
    )
    names = f"the dead lease{'s' * (len(gone) > 1)} {', '.join(gone)}"
    if change.document is None:
        return Finding.ok(
            f"removed {names if gone else 'what a dead run had left'}; tikv_gc_life_time is "
            f"{change.row.value} again"
        )
    if not gone:
        # COMMENT was overwritten: living runs may stand behind the value, and get time to say so.
        return Finding.warning(
            f"a dead run has left tikv_gc_life_time at {change.row.value}, and its lease was "
            "overwritten, perhaps with those of living ones: it is recorded anew for 15 min",
            f"after that: {_command(case)}",
        )
    return Finding.ok(
        f"removed {names}; tikv_gc_life_time stays {change.row.value} for the "
        f"{len(change.document.leases)} that live"
    )


def _command(case: Case) -> str:
    words = ["backup-manager", "doctor", "--mend", *flags_of(case.settings)]
    if case.dumpling_args:
        words += ["--", *case.dumpling_args]
    return shlex.join(words)


def _span(seconds: float) -> str:
    return format_duration(round(seconds) * 1_000_000_000)
