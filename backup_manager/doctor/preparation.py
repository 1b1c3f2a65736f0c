"""What a backup needs before it asks anybody: right settings, and a Dumpling that runs."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator

from backup_manager.definitions import GROUPS, Definition
from backup_manager.doctor.case import Case, the
from backup_manager.doctor.findings import Finding
from backup_manager.dumpling import binary
from backup_manager.errors import BackupError
from backup_manager.export.job import (
    dump_of,
    gc_life_time_of,
    source_of,
    volume_of,
    warn_of_no_check,
)
from backup_manager.metrics import metrics_sinks
from backup_manager.store.configure import configure


def _names(*groups: str) -> frozenset[str]:
    definitions: list[Definition] = []
    for group in groups:
        definitions += GROUPS["doctor"][group]
    return frozenset(definition.name for definition in definitions)


def _source(case: Case) -> None:
    case.source = source_of(case.settings)
    warn_of_no_check(case.source, case.report)


def _store(case: Case) -> None:
    case.place = configure(case.settings, case.report)


def _gc_life_time(case: Case) -> None:
    case.gc_life_time = gc_life_time_of(case.settings)


def _volume(case: Case) -> None:
    case.volume = volume_of(case.settings)


def _metrics(case: Case) -> None:
    metrics_sinks(case.settings, case.report)


# What is made of settings, and of which: a wrong one hides nothing but that.
_PARTS: tuple[tuple[frozenset[str], Callable[[Case], None]], ...] = (
    (_names("Database") - {"connect_timeout"}, _source),
    (_names("Store", "Objects"), _store),
    (frozenset({"gc_life_time"}), _gc_life_time),
    (frozenset({"volume"}), _volume),
    (_names("Metrics"), _metrics),
)


def settings(case: Case) -> Iterator[Finding]:
    """Read every setting, and make of them what the other checks begin with."""
    right = True
    for error in case.wrong.values():
        right = False
        yield Finding.of(error)
    for warning in case.said:
        yield Finding.said(warning)
    for names, make in _PARTS:
        if not names.isdisjoint(case.wrong):
            continue
        with case.report.overheard() as said:
            try:
                make(case)
            except BackupError as error:
                right = False
                yield Finding.of(error)
        yield from map(Finding.said, said)
    if right:
        yield Finding.ok(_origins(case))


def _origins(case: Case) -> str:
    kinds = Counter(_kind(setting.origin) for setting in case.settings.resolved.values())
    fields = f"{kinds['field']} from {case.backup}, " if case.backup else ""
    return (
        f"{kinds['flag']} from flags, {kinds['variable']} from variables, {fields}"
        f"{kinds['default']} by default; backup-manager export --dry-run shows each"
    )


def _kind(origin: str) -> str:
    if origin == "default":
        return origin
    if origin.startswith("--"):
        return "flag"
    # A variable's name has neither a dot nor a space.
    return "field" if {".", " "} & set(origin) else "variable"


def dumpling(case: Case) -> Iterator[Finding]:
    """Find Dumpling, and run it for its version and its options."""
    case.binary = binary.find(case.settings["dumpling"])
    yield Finding.ok(f"{case.binary.path} runs, {case.binary.version}")


def options(case: Case) -> Iterator[Finding]:
    """Merge the options for Dumpling, as this one takes them."""
    case.dump = dump_of(case.settings, case.dumpling_args, the(case.binary))
    yield from map(Finding.said, case.dump.options.warnings)
    yield Finding.ok(shlex.join(case.dump.options.argv))
