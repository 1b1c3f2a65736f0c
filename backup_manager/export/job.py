"""One export as it was asked for: the settings made into what the steps need."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backup_manager import kms
from backup_manager.catalog.layout import ARCHIVE_SUFFIX
from backup_manager.database.lease_document import parse_gc_life_time
from backup_manager.database.source import Source, tls_context
from backup_manager.dumpling import binary, options
from backup_manager.dumpling.command import check_user
from backup_manager.errors import UsageError
from backup_manager.report import Report
from backup_manager.settings import Settings, check_utf8
from backup_manager.signals import Stop
from backup_manager.store.configure import configure
from backup_manager.store.credentials import check_access
from backup_manager.store.settings import StoreOptions, StoreSettings
from backup_manager.telling import Phase, Telling
from backup_manager.values import ARCHIVE
from backup_manager.volume.runs import identity_of

_UNCHECKED = (
    "the database's certificate was not checked (--skipClientCA): whoever stands between can read "
    "the password and the data. To do: leave it away"
)


@dataclass(frozen=True)
class Job:
    """What to back up, from where to where, and how. ``gc_life_time`` is in nanoseconds.

    ``check_new`` raises HeldError where no other dump may be begun.
    """

    settings: Settings
    report: Report
    stop: Stop
    source: Source
    store: StoreSettings
    store_options: StoreOptions
    gc_life_time: int
    dumpling: binary.Binary
    options: options.Options
    dumpling_args: tuple[str, ...]
    volume: Path
    identity_facts: dict[str, Any]
    telling: Telling = field(default_factory=Telling)
    check_new: Callable[[], None] = lambda: None

    @property
    def identity(self) -> str:
        return identity_of(self.identity_facts)

    def unlocked(self) -> "Job":
        """Return the same with the password, where that is encrypted. Raises DatabaseError."""
        source = unlocked(self.source, self.settings, self.report, self.stop)
        return replace(self, source=source)

    def backup_key(self, name: str) -> str:
        """Return the key of the directory, or the archive, of the backup of that name."""
        archived = self.settings["format"] == ARCHIVE
        return self.store.key(name + ARCHIVE_SUFFIX if archived else name)

    def step(self, phase: Phase, event: str, **facts: Any) -> None:
        """Say in the log, and to who listens, that a step of the story has been reached."""
        self.telling.enter(phase)
        self.report.step(event, **facts)


def prepare(
    settings: Settings,
    dumpling_args: Sequence[str],
    report: Report,
    stop: Stop,
    telling: Telling | None = None,
) -> Job:
    """Check every setting and find Dumpling. Raises UsageError, DumplingError."""
    source = source_of(settings)
    warn_of_no_check(source, report)
    store = configure(settings, report)
    check_access()
    gc_life_time = gc_life_time_of(settings)
    dump = dump_of(settings, dumpling_args, binary.find(settings["dumpling"]))
    check_tls(source, dump.binary)
    for warning in dump.options.warnings:
        report.warn(warning)
    return assemble(
        settings,
        report,
        stop,
        source=source,
        store=store,
        gc_life_time=gc_life_time,
        dump=dump,
        telling=telling,
    )


def source_of(settings: Settings) -> Source:
    """Return the database that the settings name, with the password as far as it is known.

    Raises UsageError.
    """
    unchecked = settings["skipClientCA"]
    if unchecked and not settings["client_tls"] and settings["tls_ca"]:
        raise UsageError(
            f"{settings.resolved['skipClientCA'].origin} is given without --client-tls",
            why="without a CA to check by, only a client certificate turns TLS on",
            fix="add --client-tls, or leave it away",
        )
    source = Source(
        host=settings["host"],
        port=settings["port"],
        user=settings["user"],
        password=settings.password,
        # Where it says not to check, Dumpling must be told of no CA either.
        tls_ca=None if unchecked else settings["tls_ca"],
        tls_cert=settings["tls_cert"],
        tls_key=settings["tls_key"],
        tls_checked=not unchecked,
    )
    check_user(source.user)
    tls_context(source)
    return source


def gc_life_time_of(settings: Settings) -> int:
    """Return it in nanoseconds. Raises UsageError."""
    setting = settings.resolved["gc_life_time"]
    named = setting.origin if setting.origin != "default" else "--gc-life-time"
    return parse_gc_life_time(setting.value, named)


def warn_of_no_check(source: Source, report: Report) -> None:
    """Warn where the database's certificate is not checked."""
    if source.tls and not source.tls_checked:
        report.warn(_UNCHECKED)


def unlocked(source: Source, settings: Settings, report: Report, stop: Stop) -> Source:
    """Return the same with the password, where that is encrypted. Raises DatabaseError."""
    encrypted = settings.encrypted_password
    if encrypted is None or source.password:
        return source
    report.step("having KMS decrypt the password")
    return replace(
        source, password=kms.decrypt(encrypted, stop=stop, keep_secret=report.redact.add)
    )


def check_tls(source: Source, found: binary.Binary) -> None:
    """Raise UsageError for a Dumpling that would speak no TLS at all.

    Up to v5 it does so only with a CA (pingcap/tidb-tools, pkg/utils/security.go).
    """
    if source.tls and not source.tls_ca and re.match(r"v[0-5]\.", found.version):
        raise UsageError(
            f"Dumpling {found.version} cannot leave the database's certificate unchecked",
            why="it speaks TLS only with a CA, and would send all in clear",
            fix="give the CA (--tls-ca, or leave --skipClientCA away), or a Dumpling from v6 on",
        )


@dataclass(frozen=True)
class Dump:
    """Which Dumpling, and what it is told: ``given`` by the user, ``options`` with the defaults."""

    binary: binary.Binary
    options: options.Options
    given: tuple[str, ...]


def dump_of(settings: Settings, dumpling_args: Sequence[str], found: binary.Binary) -> Dump:
    """Merge the options for the Dumpling that was found. Raises UsageError."""
    check_utf8("an option for Dumpling", *dumpling_args)
    given = (*settings["dumpling_option"], *dumpling_args)
    return Dump(found, options.merge(given, settings["table_filter"], found), given)


def assemble(
    settings: Settings,
    report: Report,
    stop: Stop,
    *,
    source: Source,
    store: tuple[StoreSettings, StoreOptions],
    gc_life_time: int,
    dump: Dump,
    telling: Telling | None = None,
) -> Job:
    """Make a job of its parts."""
    place, store_options = store
    facts = {
        "source": source.address,
        "user": source.user,
        "endpoint": place.endpoint,
        "bucket": place.bucket,
        "prefix": place.prefix,
        "options": list(dump.options.argv),
        "format": settings["format"],
        "name": settings["name"],
        "owner_uid": settings["owner_uid"],
    }
    return Job(
        settings=settings,
        report=report,
        stop=stop,
        source=source,
        store=place,
        store_options=store_options,
        gc_life_time=gc_life_time,
        dumpling=dump.binary,
        options=dump.options,
        dumpling_args=dump.given,
        volume=volume_of(settings),
        identity_facts=facts,
        telling=telling or Telling(),
    )


def volume_of(settings: Settings) -> Path:
    """Return the volume as the kernel spells it: processes are found by what they have open."""
    return Path(os.path.realpath(settings["volume"]))
